// Package pdf writes a table as a PDF document to keep or to print: A4 across, with its heading on every page and the
// pages numbered. The same table gives the same bytes, so that two copies can be compared by their hash.
//
// Two fonts are embedded, each with the letters that are used alone: Go's for the Latin script, which is in the
// binary, and one for Chinese, which is read from a file of the system.
package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
)

// Column is one column of the table.
type Column struct {
	Head  string
	Share float64 // of the page's width, in proportion to the other columns
	Right bool    // numbers
}

// Table is what is written.
type Table struct {
	Title   string
	Lines   []string // under the title: what was asked for, by whom, when
	Columns []Column
	Rows    [][]string
	At      time.Time // when it was made; the only time in the document
	// Page writes a page's number, e.g. "page 2". Its width is not limited.
	Page func(n int) string
}

// Fonts are the two fonts of a document.
type Fonts struct {
	latin, han   *sfnt.Font
	latinB, hanB []byte
}

// maxFont is far above any font, in bytes.
const maxFont = 64 << 20

// NewFonts reads the font for Chinese, which must be TrueType outlines in a file of their own, as fonts-droid-fallback
// has it.
func NewFonts(han []byte) (*Fonts, error) {
	if len(han) > maxFont {
		return nil, fmt.Errorf("pdf: the font has %d bytes, which no font has", len(han))
	}
	if len(han) < 4 || !bytes.Equal(han[:4], []byte{0, 1, 0, 0}) {
		return nil, errors.New("pdf: the font is no single TrueType file; collections and CFF outlines cannot be embedded")
	}
	h, err := sfnt.Parse(han)
	if err != nil {
		return nil, fmt.Errorf("pdf: the font cannot be read: %w", err)
	}
	l, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		return nil, err
	}
	return &Fonts{latin: l, han: h, latinB: goregular.TTF, hanB: han}, nil
}

// missing stands where neither font has a letter.
const missing = '〓'

// family names the font that has a letter, and the letter to write.
func (f *Fonts) family(r rune) (string, rune) {
	var buf sfnt.Buffer
	if r < 0x20 || unicode.Is(unicode.Cf, r) {
		r = ' '
	}
	if g, err := f.latin.GlyphIndex(&buf, r); err == nil && g != 0 && r < 0x3000 {
		return "latin", r
	}
	if g, err := f.han.GlyphIndex(&buf, r); err == nil && g != 0 && r <= 0xffff {
		return "han", r
	}
	return "han", missing
}

// Measures, in millimetres but for the sizes of letters in points.
const (
	margin  = 12
	wide    = 297 - 2*margin
	lowest  = 210 - 15 // where the rows of a page end
	pad     = 1.2
	leading = 4
	letters = 8
)

// document is one being written.
type document struct {
	*fpdf.Fpdf
	fonts *Fonts
	table Table
	width []float64 // of the columns
	at    map[rune]float64
	size  float64
	y     float64
}

// Write writes the table.
func Write(w io.Writer, fonts *Fonts, t Table) error {
	f := fpdf.New("L", "mm", "A4", "")
	f.SetCatalogSort(true)
	f.SetCreationDate(t.At.UTC())
	f.SetModificationDate(t.At.UTC())
	f.SetTitle(t.Title, true)
	f.SetAutoPageBreak(false, 0)
	f.SetMargins(margin, margin, margin)
	f.SetCellMargin(0)
	f.AddUTF8FontFromBytes("latin", "", bytes.Clone(fonts.latinB))
	f.AddUTF8FontFromBytes("han", "", bytes.Clone(fonts.hanB))
	d := &document{Fpdf: f, fonts: fonts, table: t, at: map[rune]float64{}}
	sum := 0.0
	for _, c := range t.Columns {
		sum += c.Share
	}
	for _, c := range t.Columns {
		d.width = append(d.width, wide*c.Share/sum)
	}
	d.page()
	for _, r := range t.Rows {
		d.row(r, false)
	}
	return f.Output(w)
}

// page begins one, with the heading and the columns' names.
func (d *document) page() {
	d.AddPage()
	d.y = margin
	d.letters(13)
	d.text(margin, d.y+5, d.table.Title)
	d.letters(letters)
	n := d.table.Page(d.PageNo())
	d.text(margin+wide-d.measure(n), 210-8, n)
	d.y += 8
	if d.PageNo() == 1 {
		for _, line := range d.table.Lines {
			for _, part := range d.wrapped(line, wide) {
				d.text(margin, d.y+3, part)
				d.y += leading
			}
		}
		d.y += 2
	}
	heads := make([]string, len(d.table.Columns))
	for i, c := range d.table.Columns {
		heads[i] = c.Head
	}
	d.row(heads, true)
}

// row writes one, over several lines and pages where its cells are long.
func (d *document) row(cells []string, head bool) {
	lines, most := make([][]string, len(d.width)), 1
	for i := range d.width {
		if i < len(cells) {
			lines[i] = d.wrapped(cells[i], d.width[i]-2*pad)
		}
		most = max(most, len(lines[i]))
	}
	if high := float64(most)*leading + 2*pad; !head && d.y+high > lowest && high < lowest-40 {
		d.page()
	}
	d.y += pad
	for k := range most {
		if d.y+leading > lowest {
			d.page()
		}
		x := float64(margin)
		for i, w := range d.width {
			if k < len(lines[i]) {
				at := x + pad
				if d.table.Columns[i].Right {
					at = x + w - pad - d.measure(lines[i][k])
				}
				d.text(at, d.y+3, lines[i][k])
			}
			x += w
		}
		d.y += leading
	}
	d.y += pad
	d.SetLineWidth(.1)
	if head {
		d.SetLineWidth(.4)
	}
	d.Line(margin, d.y, margin+wide, d.y)
}

// letters sets the size of what is written from here on, in points.
func (d *document) letters(size float64) {
	d.size = size
	clear(d.at)
}

// width of a letter in millimetres.
func (d *document) letter(r rune) float64 {
	if w, ok := d.at[r]; ok {
		return w
	}
	family, shown := d.fonts.family(r)
	d.SetFont(family, "", d.size)
	w := d.GetStringWidth(string(shown))
	d.at[r] = w
	return w
}

func (d *document) measure(s string) (w float64) {
	for _, r := range s {
		w += d.letter(r)
	}
	return w
}

// text writes one line from a point on its foot, each run in the font that has it.
func (d *document) text(x, y float64, s string) {
	var run strings.Builder
	current, begun := "", x
	flush := func() {
		if run.Len() > 0 {
			d.SetFont(current, "", d.size)
			d.Text(begun, y, run.String())
			run.Reset()
		}
	}
	for _, r := range s {
		family, shown := d.fonts.family(r)
		if family != current {
			flush()
			current, begun = family, x
		}
		run.WriteRune(shown)
		x += d.letter(r)
	}
	flush()
}

// wrapped breaks a text into lines of a width: after a blank or beside a Chinese letter where it can, else anywhere.
func (d *document) wrapped(s string, width float64) (out []string) {
	for line := range strings.SplitSeq(s, "\n") {
		rest := []rune(line)
		for {
			n, last, used := 0, 0, 0.0
			for n < len(rest) {
				w := d.letter(rest[n])
				if used+w > width && n > 0 {
					break
				}
				used += w
				n++
				if n < len(rest) && !unicode.In(rest[n], unicode.Pe, unicode.Pf, unicode.Po) && (rest[n-1] == ' ' || unicode.Is(unicode.Han, rest[n-1]) || unicode.Is(unicode.Han, rest[n])) {
					last = n
				}
			}
			if n == len(rest) {
				out = append(out, string(rest))
				break
			}
			if last > 0 {
				n = last
			}
			out = append(out, strings.TrimRight(string(rest[:n]), " "))
			rest = rest[n:]
		}
	}
	return out
}
