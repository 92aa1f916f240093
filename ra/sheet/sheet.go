// Package sheet reads tables that people export from other systems and send here: CSV of unknown origin, encoding and
// honesty. It decides nothing about what a table says.
package sheet

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/traditionalchinese"
	utf "golang.org/x/text/encoding/unicode"
)

// Limits of a table.
const (
	MaxBytes   = 8 << 20
	MaxRows    = 5000
	MaxColumns = 200
	MaxCell    = 16 << 10 // bytes; a certificate in PEM has about two thousand
)

// Column is one that a table may have, by its name here and by those that other systems give it.
type Column struct {
	Name     string
	Required bool
	Aliases  []string
}

// Row is one line of a table.
type Row struct {
	Line  int // of the file, counted from 1, where the row begins
	Cells map[string]string
	Wrong *Wrong // what cannot be read of it; the cells are then not to be relied upon
}

// Wrong says what is the matter with one row.
type Wrong struct {
	Code   string // "sheet-cell-large", "sheet-formula", "sheet-control", "sheet-short" or "sheet-quote"
	Column string
}

// Table is what was read.
type Table struct {
	Encoding string   // "UTF-8", "UTF-16" or "Big5"
	Ignored  []string // headers that are not known here
	Rows     []Row
}

// Error is why nothing of a file can be read.
type Error struct {
	Code   string // "sheet-empty", "sheet-large", "sheet-rows", "sheet-encoding", "sheet-header", "sheet-column" or "sheet-quote"
	Detail string // a column's name or a line's number
}

// Error says what is wrong.
func (e *Error) Error() string { return e.Code + " " + e.Detail }

// Read reads a file with a head line. Columns that are not known are left out and named; a row that cannot be read keeps
// no other from being read.
func Read(raw []byte, columns []Column) (Table, error) {
	if len(raw) > MaxBytes {
		return Table{}, &Error{"sheet-large", fmt.Sprint(MaxBytes >> 20)}
	}
	text, name, err := decode(raw)
	if err != nil {
		return Table{}, err
	}
	t := Table{Encoding: name}
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.ReuseRecord, r.TrimLeadingSpace = -1, true, true
	r.Comma = separator(text)
	head, err := r.Read()
	if err != nil {
		return Table{}, &Error{"sheet-empty", ""}
	}
	at, err := t.headers(head, columns)
	if err != nil {
		return Table{}, err
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		row, err := rowOf(r, cells, err, at)
		if err != nil {
			return Table{}, err
		}
		if row.Wrong == nil && blank(row.Cells) {
			continue
		}
		if len(t.Rows) == MaxRows {
			return Table{}, &Error{"sheet-rows", fmt.Sprint(MaxRows)}
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) == 0 {
		return Table{}, &Error{"sheet-empty", ""}
	}
	return t, nil
}

// rowOf takes one record, or what was wrong with it. A quote that is never closed swallows the rest of the file, so that
// nothing of it can be relied upon.
func rowOf(r *csv.Reader, cells []string, err error, at map[int]string) (Row, error) {
	var p *csv.ParseError
	if errors.As(err, &p) {
		if p.Line != p.StartLine {
			return Row{}, &Error{"sheet-quote", fmt.Sprint(p.StartLine)}
		}
		return Row{Line: p.StartLine, Wrong: &Wrong{Code: "sheet-quote"}}, nil
	}
	if err != nil {
		return Row{}, &Error{"sheet-empty", ""}
	}
	line, _ := r.FieldPos(0)
	row := Row{Line: line, Cells: map[string]string{}}
	for i, v := range cells {
		name, known := at[i]
		if !known {
			continue
		}
		v = strings.TrimSpace(v)
		if code := suspicious(v); code != "" && row.Wrong == nil {
			row.Wrong = &Wrong{code, name}
		}
		row.Cells[name] = v
	}
	return row, nil
}

// suspicious refuses a cell that no honest table holds: a formula, control characters, or too much of anything.
func suspicious(v string) string {
	switch {
	case len(v) > MaxCell:
		return "sheet-cell-large"
	case strings.ContainsFunc(v, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }):
		return "sheet-control"
	case v == "":
		return ""
	case v[0] == '=' || v[0] == '@':
		return "sheet-formula"
	case (v[0] == '+' || v[0] == '-') && len(v) > 1 && !(v[1] >= '0' && v[1] <= '9') && v[1] != '-': // a telephone number may, and PEM does
		return "sheet-formula"
	}
	return ""
}

func blank(cells map[string]string) bool {
	for _, v := range cells {
		if v != "" {
			return false
		}
	}
	return true
}

// headers finds which column of the file is which of ours.
func (t *Table) headers(head []string, columns []Column) (map[int]string, error) {
	if len(head) > MaxColumns {
		return nil, &Error{"sheet-header", fmt.Sprint(MaxColumns)}
	}
	at, found := map[int]string{}, map[string]bool{}
	for i, h := range head {
		name := match(h, columns)
		switch {
		case name == "":
			if h = strings.TrimSpace(h); h != "" {
				t.Ignored = append(t.Ignored, shorten(h))
			}
		case found[name]:
			return nil, &Error{"sheet-header", name}
		default:
			at[i], found[name] = name, true
		}
	}
	for _, c := range columns {
		if c.Required && !found[c.Name] {
			return nil, &Error{"sheet-column", c.Name}
		}
	}
	return at, nil
}

func match(header string, columns []Column) string {
	h := plain(header)
	for _, c := range columns {
		if plain(c.Name) == h {
			return c.Name
		}
		for _, a := range c.Aliases {
			if plain(a) == h {
				return c.Name
			}
		}
	}
	return ""
}

// plain is a header without what differs between systems: case, blanks, hyphens and underscores.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '_' || r == '-' || r == '\uFEFF' {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

func shorten(s string) string {
	out := []rune(s)
	for i, r := range out {
		if !unicode.IsPrint(r) {
			out[i] = unicode.ReplacementChar
		}
	}
	return string(out[:min(len(out), 40)])
}

// separator is the one that the head line has most of: commas, or what spreadsheets write in their place.
func separator(text string) rune {
	head, _, _ := strings.Cut(text, "\n")
	best := ','
	for _, c := range []rune{'\t', ';'} {
		if strings.Count(head, string(c)) > strings.Count(head, string(best)) {
			best = c
		}
	}
	return best
}

// decode makes the file's bytes a text: UTF-8, UTF-16 with its mark, or Big5, in which older systems in Taiwan export.
// A text that is none of them is refused, and so is one with NULs.
func decode(raw []byte) (text, name string, err error) {
	out, name := raw, "UTF-8"
	switch {
	case bytes.HasPrefix(raw, []byte{0xff, 0xfe}), bytes.HasPrefix(raw, []byte{0xfe, 0xff}):
		name = "UTF-16"
		out, err = utf.UTF16(utf.LittleEndian, utf.ExpectBOM).NewDecoder().Bytes(raw)
	case !utf8.Valid(raw):
		name = "Big5"
		out, err = traditionalchinese.Big5.NewDecoder().Bytes(raw)
	}
	out = bytes.TrimPrefix(out, []byte("\uFEFF"))
	if err != nil || bytes.IndexByte(out, 0) >= 0 || name != "UTF-8" && bytes.ContainsRune(out, utf8.RuneError) {
		return "", "", &Error{"sheet-encoding", ""}
	}
	if len(bytes.TrimSpace(out)) == 0 {
		return "", "", &Error{"sheet-empty", ""}
	}
	return string(out), name, nil
}
