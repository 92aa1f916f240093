package pinentry

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"certwindow/devices/card"
)

// scripted is a pinentry of a few lines of shell: it writes down what it is sent and answers GETPIN and
// CONFIRM with the lines given.
func scripted(t *testing.T, getpin, confirm string) (Program, func() []string) {
	t.Helper()
	dir := t.TempDir()
	seen := filepath.Join(dir, "seen")
	script := filepath.Join(dir, "pinentry")
	text := "#!/bin/sh\necho 'OK hello'\nwhile IFS= read -r line; do\nprintf '%s\\n' \"$line\" >>'" + seen + "'\n" +
		"case \"$line\" in\nGETPIN) " + getpin + " ;;\nCONFIRM) " + confirm + " ;;\nOPTION*) echo 'ERR 83886254 unknown option' ;;\n" +
		"BYE) echo OK; exit ;;\n*) echo OK ;;\nesac\ndone\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return Program{Path: script, Options: []string{"ttytype=dumb"}}, func() []string {
		b, err := os.ReadFile(seen)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	}
}

// shown puts together what the windows said, as a person reads them one after another.
func shown(lines []string) (windows []string) {
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "SETDESC "); ok {
			windows = append(windows, strings.NewReplacer("%0A", "\n", "%0D", "\r", "%25", "%").Replace(text))
		}
	}
	return windows
}

// HCA-8.1.3: the window says who asks, whose card it is, and the whole text, percent signs and all.
func TestPIN(t *testing.T) {
	p, seen := scripted(t, `echo 'S PASSWORD_FROM_CACHE'; echo 'D 24%25'; echo 'D 0A%0D%0a13'; echo OK`, "echo OK")
	pin, err := p.PIN(t.Context(), card.Prompt{
		Origin: "https://window.example", Holder: "王小明\nevil", CardSN: "TP12", Text: "第一行 100%0A\n第二行", FinalTry: true,
	})
	if err != nil || string(pin.Bytes()) != "24%0A\r\n13" {
		t.Fatalf("%q, %v", pin.Bytes(), err)
	}
	windows := shown(seen())
	if len(windows) != 1 || !strings.Contains(windows[0], "\n第一行 100%0A\n第二行\n") || !strings.Contains(windows[0], "https://window.example") ||
		!strings.Contains(windows[0], "王小明?evil TP12\n") {
		t.Errorf("%q", windows)
	}
	if all := strings.Join(seen(), "\n"); !strings.Contains(all, "SETERROR") || strings.Contains(all, "KEYINFO") || strings.Contains(all, "cache") {
		t.Errorf("no warning of the last try, or the PIN may be cached: %s", all)
	}
}

// A line of the protocol holds a thousand bytes, so a long text comes in several windows, none of it lost.
func TestLongText(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		b.WriteString(strconv.Itoa(i) + " 本人同意服務窗口以此訊息代為申辦 100% " + strings.Repeat("x", i*7) + "\n")
	}
	p, seen := scripted(t, `echo 'D 246813'; echo OK`, "echo OK")
	if _, err := p.PIN(t.Context(), card.Prompt{Text: b.String()}); err != nil {
		t.Fatal(err)
	}
	var together strings.Builder
	windows := shown(seen())
	for i, w := range windows {
		if i < len(windows)-1 {
			w = w[:strings.LastIndex(w, "\n")]
		}
		together.WriteString(w)
		together.WriteByte('\n')
	}
	squash := func(s string) string { return strings.Join(strings.Fields(s), "") }
	if len(windows) < 2 || !strings.Contains(squash(together.String()), squash(b.String())) {
		t.Errorf("%d windows do not hold the text:\n%s", len(windows), together.String())
	}
	for _, line := range seen() {
		if len(line) > maxLine {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	if _, err := p.PIN(t.Context(), card.Prompt{Text: strings.Repeat("x", maxPages*maxLine)}); err == nil {
		t.Error("a text for too many windows was shown")
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		getpin    string
		cancelled bool
	}{
		"cancelled":       {"echo 'ERR 83886179 Operation cancelled <Pinentry>'", true},
		"fully cancelled": {"echo 'ERR 83886278 cancelled'", true},
		"timeout":         {"echo 'ERR 83886142 Timeout'", true},
		"no display":      {"echo 'ERR 83886165 no display'", false},
		"broken number":   {"echo 'ERR x'", false},
		"broken data":     {"echo 'D 12%4'; echo OK", false},
		"dies":            {"exit 1", false},
		"line too long":   {"head -c 5000 /dev/zero | tr '\\0' x", false},
		"no end":          {"for i in $(seq 100); do echo '# x'; done", false},
	} {
		p, _ := scripted(t, c.getpin, "echo OK")
		pin, err := p.PIN(t.Context(), card.Prompt{Text: "x"})
		if err == nil || pin.Len() != 0 || errors.Is(err, card.ErrCancelled) != c.cancelled {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, _ := scripted(t, "echo OK", "echo 'ERR 83886194 not confirmed'")
	if err := p.Confirm(t.Context(), "may it?"); !errors.Is(err, card.ErrCancelled) {
		t.Errorf("not confirmed: %v", err)
	}
	if err := (Program{Path: filepath.Join(t.TempDir(), "none")}).Confirm(t.Context(), "x"); err == nil {
		t.Error("a program that is not there has said yes")
	}
}

// The window goes when the operation does.
func TestEndsWithContext(t *testing.T) {
	p, _ := scripted(t, "exec sleep 60", "echo OK")
	gone := errors.New("card was taken out")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(gone) })
	start := time.Now()
	if _, err := p.PIN(ctx, card.Prompt{Text: "x"}); !errors.Is(err, gone) || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// FuzzReply: whatever a program answers, reading it ends without a panic.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"OK\n", "D 12%41\nOK\n", "ERR 83886179 no\n", "# x\nS y\nD %\n", "D %zz\n", "\n\n", "ERR \n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		c := &conn{out: bufio.NewReaderSize(strings.NewReader(string(reply)), 2*maxLine)}
		data, err := c.reply()
		if err != nil && data != nil {
			t.Error("data beside an error")
		}
		if len(data) > len(reply) {
			t.Error("more data than was sent")
		}
	})
}
