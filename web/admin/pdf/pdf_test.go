package pdf

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// droid is where Debian's fonts-droid-fallback puts its font.
const droid = "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"

func fonts(t testing.TB) *Fonts {
	t.Helper()
	raw, err := os.ReadFile(droid)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	f, err := NewFonts(raw)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func sample(rows int) Table {
	t := Table{Title: "核可紀錄", Lines: []string{"自 2026-08-24 至 2026-11-22"}, At: time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC),
		Columns: []Column{{Head: "時間", Share: 2}, {Head: "說明", Share: 3}, {Head: "張數", Share: 1, Right: true}},
		Page:    func(n int) string { return fmt.Sprintf("第 %d 頁", n) }}
	for i := range rows {
		t.Rows = append(t.Rows, []string{fmt.Sprintf("2026-11-22 14:%02d", i%60), "王○明的憑證 " + strings.Repeat("廢止原因很長，", i%9) + "𠮷 end", fmt.Sprint(i)})
	}
	return t
}

func write(t testing.TB, f *Fonts, x Table) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, f, x); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Another program reads the text back: every row is there, in Chinese and Latin, over all the pages.
func TestTextCanBeReadBack(t *testing.T) {
	reader, err := exec.LookPath("pdftotext")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("pdftotext is not installed, and CI needs it")
		}
		t.Skip("pdftotext is not installed")
	}
	raw := write(t, fonts(t), sample(120))
	path := filepath.Join(t.TempDir(), "x.pdf")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(reader, "-layout", path, "-").CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	text := strings.ReplaceAll(strings.Join(strings.Fields(string(out)), " "), " 頁", "頁") // how far apart its words are is the reader's guess
	for _, want := range []string{"核可紀錄", "自 2026-08-24 至 2026-11-22", "王○明的憑證", "廢止原因很長", "〓 end", "第1頁", "第2頁", "2026-11-22 14:59", "119"} {
		if !strings.Contains(text, want) {
			t.Errorf("the document lacks %q", want)
		}
	}
	if n := strings.Count(text, "王○明"); n != 120 {
		t.Errorf("%d rows of 120 are in the document", n)
	}
	if len(raw) > 200<<10 {
		t.Errorf("%d bytes: the font is embedded whole", len(raw))
	}
}

func TestSameTableSameBytes(t *testing.T) {
	f := fonts(t)
	first := write(t, f, sample(30))
	for range 4 {
		if !bytes.Equal(write(t, f, sample(30)), first) {
			t.Fatal("the same table gives other bytes")
		}
	}
	if bytes.Equal(write(t, f, sample(31)), first) {
		t.Fatal("another table gives the same bytes")
	}
}

// A cell that is longer than a page goes on over the next, and one without a place to break is broken anywhere.
func TestCellsLongerThanAPage(t *testing.T) {
	x := sample(1)
	x.Rows = append(x.Rows, []string{strings.Repeat("x", 5000), "", "1", "a cell too many"}, nil)
	write(t, fonts(t), x)
}

func TestFontsThatCannotBeEmbedded(t *testing.T) {
	for name, raw := range map[string][]byte{"nothing": nil, "a collection": []byte("ttcf\x00\x01\x00\x00"), "CFF": []byte("OTTO----"), "noise": {0, 1, 0, 0, 0, 9, 9, 9}} {
		if _, err := NewFonts(raw); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
