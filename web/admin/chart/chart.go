// Package chart draws the pages' charts as SVG: without scripts and without style of their own, so that they pass a
// strict content security policy and take the page's colours, in light and in dark. Two series differ by shape as
// well as by colour, and what a chart shows is told to a screen reader by its title and description.
package chart

import (
	"fmt"
	"html/template"
	"strings"
)

// The drawing's size in its own units. It is scaled to the page, down to a telephone of 360 pixels, where its text is
// still of ten pixels.
const (
	width   = 400
	height  = 190
	left    = 34 // of the axis' numbers
	right   = 4
	top     = 10
	bottom  = 22 // of the labels
	perLine = 40 // of a row of Rows
)

// Series is one value for each label. A negative value counts as none.
type Series struct {
	Name   string
	Values []int
}

// Columns is a chart of columns side by side, one or two for each label.
type Columns struct {
	ID          string // unique on the page
	Title, Desc string // read out in place of the drawing
	Labels      []string
	Every       int // each so manieth label is written; the last always is
	Series      []Series
}

// classes are the looks of the series, in their order: a filled shape and an outlined one.
var classes = [...]string{"a", "b"}

// SVG draws the chart.
func (c Columns) SVG() template.HTML {
	var b strings.Builder
	begin(&b, c.ID, c.Title, c.Desc, height)
	most := 0
	for _, s := range c.Series {
		for _, v := range s.Values {
			most = max(most, v)
		}
	}
	most = ceiling(most)
	const ground = height - bottom
	for i := range 3 {
		v := most * i / 2
		y := ground - (ground-top)*float64(i)/2
		fmt.Fprintf(&b, `<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text class="value" x="%d" y="%.1f" text-anchor="end">%s</text>`,
			left, y, width-right, y, left-5, y+4, short(v))
	}
	c.columns(&b, most)
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// columns draws what stands above the labels, and the labels.
func (c Columns) columns(b *strings.Builder, most int) {
	if len(c.Labels) == 0 {
		return
	}
	const ground, high = height - bottom, height - bottom - top
	step := float64(width-left-right) / float64(len(c.Labels))
	each := step * .8 / float64(max(len(c.Series), 1))
	for i, label := range c.Labels {
		x := left + step*float64(i)
		for k, s := range c.Series {
			if i >= len(s.Values) || s.Values[i] <= 0 {
				continue
			}
			h := max(float64(high)*float64(s.Values[i])/float64(most), 1)
			fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`,
				classes[k%len(classes)], x+step*.1+each*float64(k), ground-h, max(each-.5, .5), h)
		}
		if last := len(c.Labels) - 1; i == last || i%max(c.Every, 1) == 0 && last-i >= c.Every {
			anchor, at := "middle", x+step/2
			if i == last {
				anchor, at = "end", float64(width-right)
			}
			fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="%s">%s</text>`, at, height-6, anchor, template.HTMLEscapeString(label))
		}
	}
}

// Row is one line of Rows.
type Row struct {
	Label string
	Value int
}

// Rows is a chart of lying bars, each under its label.
type Rows struct {
	ID          string
	Title, Desc string
	Rows        []Row
}

// longest is how wide a label may be drawn, in Latin letters, of which a Chinese one takes two. The whole of it is in
// the numbers beside the chart.
const longest = 46

// fitting is a label that is cut where it would run into its number.
func fitting(label string) string {
	wide := 0
	for i, r := range label {
		if wide++; r > 0x2e7f {
			wide++
		}
		if wide > longest {
			return label[:i] + "…"
		}
	}
	return label
}

// SVG draws the chart.
func (c Rows) SVG() template.HTML {
	var b strings.Builder
	begin(&b, c.ID, c.Title, c.Desc, max(len(c.Rows)*perLine, perLine))
	most := 1
	for _, r := range c.Rows {
		most = max(most, r.Value)
	}
	for i, r := range c.Rows {
		y := i * perLine
		fmt.Fprintf(&b, `<text class="label" x="0" y="%d">%s</text><text class="label" x="%d" y="%d" text-anchor="end">%s</text>`,
			y+15, template.HTMLEscapeString(fitting(r.Label)), width, y+15, grouped(r.Value))
		fmt.Fprintf(&b, `<rect class="track" x="0" y="%d" width="%d" height="10"/>`, y+21, width)
		if r.Value > 0 {
			fmt.Fprintf(&b, `<rect class="a" x="0" y="%d" width="%.1f" height="10"/>`, y+21, max(float64(width)*float64(r.Value)/float64(most), 1))
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

func begin(b *strings.Builder, id, title, desc string, high int) {
	e := template.HTMLEscapeString
	fmt.Fprintf(b, `<svg class="chart" viewBox="0 0 %d %d" role="img" aria-labelledby="%s-t %s-d"><title id="%s-t">%s</title><desc id="%s-d">%s</desc>`,
		width, high, e(id), e(id), e(id), e(title), e(id), e(desc))
}

// ceiling is the next of 2, 4, 10, 20, 40, 100 … that is not smaller: an axis whose half is a whole number.
func ceiling(v int) int {
	for step := 1; ; step *= 10 {
		for _, n := range []int{2, 4, 10} {
			if n*step >= v {
				return n * step
			}
		}
	}
}

// short writes a number of the axis in at most four letters.
func short(v int) string {
	switch {
	case v >= 1_000_000:
		return fmt.Sprintf("%gM", float64(v)/1_000_000)
	case v >= 10_000:
		return fmt.Sprintf("%gk", float64(v)/1000)
	}
	return grouped(v)
}

// grouped writes a number with a comma after each three digits.
func grouped(v int) string {
	s := fmt.Sprint(v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
