package chart

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// elements counts the elements of a drawing by name and class, and fails where it is no XML or holds style or script.
func elements(t *testing.T, svg string) map[string]int {
	t.Helper()
	out := map[string]int{}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if x, ok := tok.(xml.StartElement); ok {
			class := ""
			for _, a := range x.Attr {
				if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("%s has %s, which the content security policy stops", x.Name.Local, a.Name.Local)
				}
				if a.Name.Local == "class" {
					class = "." + a.Value
				}
			}
			out[x.Name.Local+class]++
		}
	}
}

func TestColumns(t *testing.T) {
	svg := string(Columns{ID: "days", Title: `Q<script>`, Desc: "d", Labels: []string{"1", "2", "3"}, Every: 1,
		Series: []Series{{"in", []int{1, 0, 3}}, {"out", []int{0, 2, -1}}}}.SVG())
	n := elements(t, svg)
	if n["rect.a"] != 2 || n["rect.b"] != 1 || n["title"] != 1 || n["desc"] != 1 || n["script"] != 0 {
		t.Errorf("%v in %s", n, svg)
	}
	if !strings.Contains(svg, `role="img"`) || !strings.Contains(svg, `aria-labelledby="days-t days-d"`) {
		t.Error("a screen reader finds no name")
	}
	// The tallest column reaches its value on the axis, 4 at most: three quarters of 158 units.
	if !strings.Contains(svg, `height="118.5"`) {
		t.Error(svg)
	}
}

func TestNothingToDraw(t *testing.T) {
	elements(t, string(Columns{}.SVG()))
	elements(t, string(Rows{}.SVG()))
}

func TestRows(t *testing.T) {
	svg := string(Rows{ID: "r", Rows: []Row{{"a & b", 1500}, {strings.Repeat("名", 40), 0}}}.SVG())
	if n := elements(t, svg); n["rect.a"] != 1 || n["rect.track"] != 2 {
		t.Errorf("%v", n)
	}
	if !strings.Contains(svg, ">1,500<") || !strings.Contains(svg, "a &amp; b") || strings.Contains(svg, strings.Repeat("名", 30)) {
		t.Error(svg)
	}
}

func TestAxis(t *testing.T) {
	for v, want := range map[int]int{0: 2, 1: 2, 3: 4, 5: 10, 11: 20, 2_000_001: 4_000_000} {
		if got := ceiling(v); got != want {
			t.Errorf("%d: %d, want %d", v, got, want)
		}
	}
	for v, want := range map[int]string{0: "0", 1000: "1,000", 20000: "20k", 4_000_000: "4M", 500_000: "500k"} {
		if got := short(v); got != want {
			t.Errorf("%d: %s, want %s", v, got, want)
		}
	}
}
