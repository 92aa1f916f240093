package file_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"strings"
	"testing"
	"time"

	"certwindow/ra/certpath"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/file"
	"certwindow/ra/hca/hcasim"
	"certwindow/ra/hca/hcatest"
)

func open(t testing.TB, w *hcatest.Window) *file.Adapter {
	t.Helper()
	root, err := certpath.ParseCertificate(w.Server.Root().Raw)
	if err != nil {
		t.Fatal(err)
	}
	a, err := file.New(cmc.Trust{Anchors: []*certpath.Certificate{root}, Signer: w.Signer, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func prepare(t testing.TB, w *hcatest.Window, a hca.Adapter) hca.Prepared {
	t.Helper()
	p, err := a.Prepare(context.Background(), w.Enrolment(t, hcatest.NewKey(t), pkix.Name{}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// HCA-3.3: what is carried by hand is signed and judged as what travels by itself; nothing is sent anywhere, and it
// stays pending until its answer is there.
func TestRequestAndAnswerAsFiles(t *testing.T) {
	w := hcatest.NewWindow(t)
	a := open(t, w)
	p := prepare(t, w, a)
	for _, sent := range []bool{false, true} {
		if out, err := hca.Settle(context.Background(), a, p, sent); err != nil || out.State != hca.Pending {
			t.Fatalf("settled as %s, %v", out.State, err)
		}
	}
	answer, err := w.Server.Answer(p.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if claimed, err := a.Claimed(answer); err != nil || claimed != p.TransactionID {
		t.Fatalf("claims %q, %v", claimed, err)
	}
	out, err := a.Read(context.Background(), p, answer)
	if err != nil || out.State != hca.Issued || len(out.Certificates) == 0 || !bytes.Equal(out.Answer, answer) {
		t.Fatalf("%+v, %v", out.State, err)
	}
	other := prepare(t, w, a)
	if out, err := a.Read(context.Background(), other, answer); hca.KindOf(err) != hca.WrongTransaction || out.State != hca.Unknown {
		t.Errorf("the answer to another request: %s, %v", out.State, err)
	}
}

// HCA-3.3: an answer that somebody else made, changed or left unsigned says nothing.
func TestAnswersThatAreNotTheHCAs(t *testing.T) {
	w := hcatest.NewWindow(t)
	a := open(t, w)
	for fault, want := range map[hcasim.FaultKind]hca.ErrorKind{hcasim.FaultUnsigned: hca.Unsigned, hcasim.FaultTampered: hca.BadSignature,
		hcasim.FaultOtherSigner: hca.UntrustedSigner, hcasim.FaultCardSigner: hca.UntrustedSigner, hcasim.FaultWrongNonce: hca.WrongNonce,
		hcasim.FaultGarbage: hca.Undecodable} {
		p := prepare(t, w, a)
		if err := w.Server.SetFault(hcasim.Fault{Kind: fault, Count: 1}); err != nil {
			t.Fatal(err)
		}
		answer, err := w.Server.Answer(p.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := a.Read(context.Background(), p, answer); hca.KindOf(err) != want || out.State != hca.Unknown {
			t.Errorf("%s: %s, %v, want %s", fault, out.State, err, want)
		}
	}
}

// The bundle says what it holds, and its bytes are those that were signed.
func TestBundle(t *testing.T) {
	w := hcatest.NewWindow(t)
	a := open(t, w)
	requests := []hca.Prepared{prepare(t, w, a), prepare(t, w, a)}
	var out bytes.Buffer
	if err := file.WriteBundle(&out, hcatest.Institution, time.Now(), requests); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	var m file.Manifest
	if err := json.Unmarshal(files[file.ManifestName], &m); err != nil || len(m.Requests) != 2 || m.Window != hcatest.Institution || len(files) != 3 {
		t.Fatalf("%+v, %v, %d files", m, err, len(files))
	}
	for i, line := range m.Requests {
		sum := sha256.Sum256(files[line.File])
		if !bytes.Equal(files[line.File], requests[i].Bytes) || line.SHA256 != hex.EncodeToString(sum[:]) || line.Transaction != requests[i].TransactionID {
			t.Errorf("%+v", line)
		}
	}
}

func zipOf(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, content := range files {
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWhatIsBroughtBackIsTakenApart(t *testing.T) {
	armour := pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: []byte("der")})
	for _, c := range []struct {
		name  string
		raw   []byte
		want  int
		wrong int // of them, those that cannot be read
	}{
		{"one answer", []byte{0x30, 0}, 1, 0},
		{"armoured", armour, 1, 0},
		{"two armours in one file", append(armour, armour...), 1, 1},
		{"a ZIP with a manifest", zipOf(t, map[string][]byte{"a.crp": {0x30, 0}, "sub/b.crp": armour, file.ManifestName: []byte("{}")}), 2, 0},
		{"one of a ZIP too large", zipOf(t, map[string][]byte{"a.crp": make([]byte, cmc.MaxResponse+1), "b.crp": {0x30, 0}}), 2, 1},
		{"a bomb", zipOf(t, map[string][]byte{"a.crp": make([]byte, 64<<20), "b.crp": {}}), 2, 2},
	} {
		got, err := file.ReadAnswers("x", c.raw)
		wrong := 0
		for _, a := range got {
			if a.Err != nil {
				wrong++
			}
		}
		if err != nil || len(got) != c.want || wrong != c.wrong {
			t.Errorf("%s: %d answers, %d of them wrong, %v", c.name, len(got), wrong, err)
		}
	}
	for name, raw := range map[string][]byte{"empty": nil, "no ZIP": []byte("PK\x03\x04"), "an empty ZIP": zipOf(t, nil), "too large": make([]byte, file.MaxBytes+1)} {
		if got, err := file.ReadAnswers("x", raw); err == nil {
			t.Errorf("%s gives %d answers", name, len(got))
		}
	}
}

func FuzzReadAnswers(f *testing.F) {
	f.Add([]byte{0x30, 0})
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: []byte("der")}))
	f.Add(zipOf(f, map[string][]byte{"a.crp": {0x30, 0}, file.ManifestName: []byte("{}")}))
	f.Add([]byte(strings.Repeat("-----BEGIN ", 9)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		answers, err := file.ReadAnswers("f", raw)
		if err == nil && len(answers) == 0 {
			t.Fatal("neither an answer nor an error")
		}
		for _, a := range answers {
			if a.Err == nil && (len(a.Content) == 0 || len(a.Content) > cmc.MaxResponse) {
				t.Fatalf("%d bytes, %v", len(a.Content), a.Err)
			}
			_, _ = cmc.Claimed(a.Content)
		}
	})
}
