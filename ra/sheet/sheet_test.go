package sheet_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/text/encoding/traditionalchinese"
	utf "golang.org/x/text/encoding/unicode"

	"certwindow/ra/sheet"
)

var columns = []sheet.Column{{Name: "national_id", Required: true, Aliases: []string{"身分證字號"}}, {Name: "name", Required: true, Aliases: []string{"姓名"}}, {Name: "phone"}}

const people = "身分證字號,姓名,Phone,部門\r\nA123456789,王大明,+886912345678,內科\r\n\r\nB223456789,\"林,美玲\",,\r\n"

func TestReadsWhatOtherSystemsExport(t *testing.T) {
	big5, err := traditionalchinese.Big5.NewEncoder().String(people)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := utf.UTF16(utf.LittleEndian, utf.UseBOM).NewEncoder().String(strings.ReplaceAll(strings.ReplaceAll(people, "\"林,美玲\"", "林;美玲"), ",", "\t"))
	if err != nil {
		t.Fatal(err)
	}
	for encoding, file := range map[string]string{"UTF-8": people, "UTF-8 with a mark": "\uFEFF" + people, "Big5": big5, "UTF-16": wide} {
		got, err := sheet.Read([]byte(file), columns)
		if err != nil {
			t.Fatalf("%s: %v", encoding, err)
		}
		if !strings.HasPrefix(encoding, got.Encoding) || len(got.Rows) != 2 || len(got.Ignored) != 1 || got.Ignored[0] != "部門" {
			t.Errorf("%s: %+v", encoding, got)
			continue
		}
		first, second := got.Rows[0], got.Rows[1]
		if first.Line != 2 || first.Cells["name"] != "王大明" || first.Cells["phone"] != "+886912345678" || second.Line != 4 || second.Cells["name"][3:4] == "" {
			t.Errorf("%s: %+v", encoding, got.Rows)
		}
	}
}

// What is wrong with one line is said of that line, and the others are read.
func TestALineThatIsWrongLosesNoOther(t *testing.T) {
	file := "national_id,name,phone\n" +
		"A1,=HYPERLINK(\"x\"),\n" + // bare quotes
		"A2,=cmd|'/c calc'!A0,\n" +
		"A3," + strings.Repeat("x", sheet.MaxCell+1) + ",\n" +
		"A4,b\x07ell,\n" +
		"A5,good\n" +
		"A6,@SUM(A1),\n"
	got, err := sheet.Read([]byte(file), columns)
	if err != nil || len(got.Rows) != 6 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []string{"sheet-quote", "sheet-formula", "sheet-cell-large", "sheet-control", "", "sheet-formula"} {
		if r := got.Rows[i]; r.Line != i+2 || (r.Wrong == nil) != (want == "") || r.Wrong != nil && r.Wrong.Code != want {
			t.Errorf("line %d: %+v %v", r.Line, r.Wrong, want)
		}
	}
}

func TestFilesThatAreRefusedWhole(t *testing.T) {
	head := "national_id,name\n"
	for name, c := range map[string]struct{ file, code string }{
		"empty":                     {"", "sheet-empty"},
		"only a mark":               {"\uFEFF", "sheet-empty"},
		"only a head":               {head, "sheet-empty"},
		"a column is missing":       {"name,phone\nx,y\n", "sheet-column"},
		"a column twice":            {"national_id,name,姓名\nx,y,z\n", "sheet-header"},
		"NULs":                      {head + "A1,a\x00b\n", "sheet-encoding"},
		"no text in any encoding":   {head + "\xff\xff\xff\x80\n", "sheet-encoding"},
		"an image":                  {"\x89PNG\r\n\x1a\n\x00\x00", "sheet-encoding"},
		"a quote that never closes": {head + "A1,\"x\n" + strings.Repeat("A2,y\n", 100), "sheet-quote"},
		"too large":                 {head + strings.Repeat("x", sheet.MaxBytes), "sheet-large"},
		"too many rows":             {head + strings.Repeat("A1,b\n", sheet.MaxRows+1), "sheet-rows"},
		"too many columns":          {strings.Repeat("x,", sheet.MaxColumns) + head + "A1,b\n", "sheet-header"},
	} {
		_, err := sheet.Read([]byte(c.file), columns)
		var e *sheet.Error
		if !errors.As(err, &e) || !strings.HasPrefix(e.Code, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{people, "\uFEFF" + people, "national_id\tname\nA\tB", "national_id;name\n\"a\";\"b", "\xff\xfen\x00", "national_id,name\n=1,2"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := sheet.Read(raw, columns)
		if (err == nil) != (len(got.Rows) > 0) {
			t.Fatalf("%d rows, %v", len(got.Rows), err)
		}
		line := 1
		for _, r := range got.Rows {
			if r.Line <= line {
				t.Fatalf("line %d after %d", r.Line, line)
			}
			line = r.Line
			for name, v := range r.Cells {
				if r.Wrong == nil && (len(v) > sheet.MaxCell || strings.HasPrefix(v, "=") || strings.ContainsRune(v, 0)) {
					t.Fatalf("%s %q", name, v)
				}
			}
		}
	})
}
