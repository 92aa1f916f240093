package evidence

import (
	"archive/zip"
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"certwindow/ra/cardmsg"
	"certwindow/ra/cardmsg/cardtest"
)

// rezip writes files as a zip, as somebody with an ordinary tool would.
func rezip(tb testing.TB, files map[string][]byte, more ...File) []byte {
	tb.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	all := []File{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		all = append(all, File{name, files[name]})
	}
	for _, f := range append(all, more...) {
		w, err := z.Create(f.Name)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(f.Data); err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func contents(tb testing.TB, b []byte) map[string][]byte {
	tb.Helper()
	files, err := unpack(b, Limits{}.withDefaults())
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// Every file that is edited, taken away, added or doubled after the seal is found by name.
func TestTampering(t *testing.T) {
	s := theScene(t)
	o := s.options(t)
	verify := func(b []byte) error { _, err := Verify(context.Background(), b, o); return err }
	if err := verify(rezip(t, contents(t, s.zip))); err != nil {
		t.Fatalf("packed anew: %v", err)
	}
	for name := range contents(t, s.zip) {
		edited, removed := contents(t, s.zip), contents(t, s.zip)
		edited[name] = append(slices.Clone(edited[name]), ' ')
		delete(removed, name)
		reasonEdited := ReasonHash
		if name == FileManifest {
			reasonEdited = ReasonSeal
		}
		wantReason(t, verify(rezip(t, edited)), reasonEdited)
		wantReason(t, verify(rezip(t, removed)), ReasonMissing)
		wantReason(t, verify(rezip(t, contents(t, s.zip), File{name, []byte("second")})), ReasonDuplicate)
	}
	wantReason(t, verify(rezip(t, contents(t, s.zip), File{"more.txt", []byte("x")})), ReasonExtra)
	for _, bad := range []string{"../text.txt", "/etc/passwd", "a/b.txt", `..\x.txt`, "folder/", ".hidden", "TEXT.TXT", "text", "con.", "a b.txt", "\x00.txt", "text.txt\n"} {
		wantReason(t, verify(rezip(t, contents(t, s.zip), File{Name: bad})), ReasonName)
	}

	comment := slices.Concat(s.zip[:len(s.zip)-2], []byte{4, 0}, []byte("note"))
	for _, more := range [][]byte{slices.Concat([]byte("note"), s.zip), slices.Concat(s.zip, []byte("note")), comment} {
		wantReason(t, verify(more), ReasonZip)
	}

	wrong := s.options(t)
	wrong.Window = wrong.Anchors
	_, err := Verify(context.Background(), s.zip, wrong)
	wantReason(t, err, ReasonWindow)
	wrong = s.options(t)
	wrong.Window = nil
	_, err = Verify(context.Background(), s.zip, wrong)
	wantReason(t, err, ReasonWindow)
	wrong = s.options(t)
	wrong.Anchors = cardtest.New(t, now).Path(t, now).Anchors
	_, err = Verify(context.Background(), s.zip, wrong)
	wantReason(t, err, ReasonMessage)
}

// A zip of a few KiB that unpacks to gigabytes, or of very many files, costs no more than its limits.
func TestBombs(t *testing.T) {
	s := theScene(t)
	bomb := rezip(t, nil, File{"text.txt", make([]byte, 8<<20)})
	o := s.options(t)
	o.Limits = Limits{Total: 1 << 20}
	_, err := Verify(context.Background(), bomb, o)
	wantReason(t, err, ReasonTooLarge)

	lying := slices.Clone(bomb)
	for i := range len(lying) - 4 { // the central directory's uncompressed size
		if bytes.Equal(lying[i:i+4], []byte{0, 0, 0x80, 0}) {
			lying[i+2] = 0x01
		}
	}
	if _, err = Verify(context.Background(), lying, o); err == nil {
		t.Error("a zip that lies about its sizes was accepted")
	}
	var many []File
	for i := range 200 {
		many = append(many, File{strings.Repeat("a", i%40+1) + strings.Repeat("b", i/40) + ".x", []byte("x")})
	}
	_, err = Verify(context.Background(), rezip(t, nil, many...), s.options(t))
	wantReason(t, err, ReasonTooLarge)
	o.Limits = Limits{Zip: 100}
	_, err = Verify(context.Background(), s.zip, o)
	wantReason(t, err, ReasonTooLarge)
	_, err = Verify(context.Background(), []byte("PK no zip"), s.options(t))
	wantReason(t, err, ReasonZip)
}

// The zip is made of what it holds: no clock, no order by chance.
func TestDeterministic(t *testing.T) {
	s := theScene(t)
	rsaWindow := s.card // RSA signatures are deterministic
	var a, b bytes.Buffer
	for _, out := range []*bytes.Buffer{&a, &b} {
		if err := Write(out, s.bundle, rsaWindow.Key, rsaWindow.Cert.Raw); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two zips of the same bundle differ")
	}
}

func TestWriteRefuses(t *testing.T) {
	s := theScene(t)
	for name, edit := range map[string]func(*Bundle){
		"login":       func(b *Bundle) { b.Purpose = cardmsg.PurposeLogin },
		"no text":     func(b *Bundle) { b.Text = nil },
		"no answer":   func(b *Bundle) { b.HCAAnswer = nil },
		"no CSR":      func(b *Bundle) { b.CSR = nil },
		"not decided": func(b *Bundle) { b.Decision.DecidedAt = time.Time{} },
		"not sealed":  func(b *Bundle) { b.SealedAt = time.Time{} },
		"bad name":    func(b *Bundle) { b.Extra = []File{{"../x.txt", []byte("x")}} },
		"name twice":  func(b *Bundle) { b.Extra = []File{{FileText, []byte("x")}} },
		"manifest":    func(b *Bundle) { b.Extra = []File{{FileManifest, []byte("x")}} },
	} {
		b := s.bundle
		edit(&b)
		if err := Write(&bytes.Buffer{}, b, s.window.Key, s.window.Cert.Raw); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// HCA-3.3: the commands of docs/evidence.md, with openssl alone.
func TestByHand(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is needed")
		}
		t.Skip("no openssl")
	}
	s := theScene(t)
	dir := t.TempDir()
	files := contents(t, s.zip)
	files["root.pem"] = cardtest.PEM(s.pki.Root.Cert)
	files["pinned.pem"] = cardtest.PEM(s.pki.Root.Cert, s.pki.CA.Cert)
	files["window.pem"] = cardtest.PEM(s.window.Cert)
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	guide, err := os.ReadFile("../../docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for line := range strings.Lines(strings.ReplaceAll(string(guide), "\\\n", " ")) {
		if !strings.HasPrefix(line, "    openssl ") {
			continue
		}
		commands++
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s%v\n%s", line, err, out)
		}
	}
	if commands < 8 {
		t.Errorf("the guide has %d commands", commands)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "signed.txt")); err != nil || !bytes.Equal(got, files[FileText]) {
		t.Errorf("openssl reads another text: %v", err)
	}
}

// FuzzEvidence: no zip panics or is accepted with another text than the card signed.
func FuzzEvidence(f *testing.F) {
	s := theScene(f)
	o := s.options(f)
	o.Limits = Limits{Total: 1 << 20}
	f.Add(s.zip)
	f.Add(rezip(f, contents(f, s.zip)))
	f.Add(rezip(f, map[string][]byte{FileManifest: contents(f, s.zip)[FileManifest]}))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Verify(context.Background(), b, o)
		if err == nil && (r.Holder != "0000000112345678" || r.Application != "01JD8Z0000000000000000000A") {
			t.Fatalf("%+v", r)
		}
	})
}
