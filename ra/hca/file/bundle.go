package file

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
)

// ManifestName is the list of a bundle's requests, which nobody has to read to answer them.
const ManifestName = "manifest.json"

// Extensions of a request and of an answer (RFC 5273 section 3).
const (
	RequestExtension = ".crq"
	AnswerExtension  = ".crp"
)

// Limits of what is read back: an answer has cmc.MaxResponse bytes at most.
const (
	MaxFiles = 2000
	MaxBytes = 8 << 20 // as it came, and unpacked
)

// Manifest says what a bundle holds, and by which bytes it can be told.
type Manifest struct {
	Version  int       `json:"version"` // 1
	Window   string    `json:"window"`  // the institution's code
	Made     time.Time `json:"made"`
	Requests []Line    `json:"requests"`
}

// Line is one request of a manifest.
type Line struct {
	Transaction string   `json:"transaction"`
	Kind        hca.Kind `json:"kind"`
	File        string   `json:"file"`
	SHA256      string   `json:"sha256"` // of the file, lower hex
	Bytes       int      `json:"bytes"`
}

// WriteBundle writes the requests as one ZIP, each under the name of its transaction, with their manifest before them.
func WriteBundle(w io.Writer, window string, made time.Time, requests []hca.Prepared) error {
	m := Manifest{Version: 1, Window: window, Made: made.UTC().Truncate(time.Second), Requests: []Line{}}
	for _, p := range requests {
		sum := sha256.Sum256(p.Bytes)
		m.Requests = append(m.Requests, Line{Transaction: p.TransactionID, Kind: p.Kind, File: p.TransactionID + RequestExtension,
			SHA256: hex.EncodeToString(sum[:]), Bytes: len(p.Bytes)})
	}
	list, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	if err := add(z, ManifestName, made, append(list, '\n')); err != nil {
		return err
	}
	for i, p := range requests {
		if err := add(z, m.Requests[i].File, made, p.Bytes); err != nil {
			return err
		}
	}
	return z.Close()
}

func add(z *zip.Writer, name string, made time.Time, content []byte) error {
	f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: made.UTC()})
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return err
}

// Answer is one file that was brought back. Err says why its content could not be had; nothing in it is judged yet.
type Answer struct {
	Name    string
	Content []byte // DER
	Err     error
}

// errLarge and errNothing are told to whoever brought the file.
var (
	errLarge   = errors.New("the file is larger than an answer can be")
	errNothing = errors.New("the file is empty")
)

// ReadAnswers takes apart what was brought back: one answer, in DER or PEM, or a ZIP of them. What of it cannot be read
// does not keep the rest from being read; an error is about the whole.
func ReadAnswers(name string, raw []byte) ([]Answer, error) {
	switch {
	case len(raw) == 0:
		return nil, errNothing
	case len(raw) > MaxBytes:
		return nil, fmt.Errorf("the file has more than %d bytes", MaxBytes)
	case !bytes.HasPrefix(raw, []byte("PK")):
		return []Answer{answer(name, raw)}, nil
	}
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, fmt.Errorf("the ZIP cannot be read: %w", err)
	}
	if len(z.File) > MaxFiles {
		return nil, fmt.Errorf("the ZIP holds more than %d files", MaxFiles)
	}
	var out []Answer
	left := int64(MaxBytes)
	for _, f := range z.File {
		if f.FileInfo().IsDir() || path.Base(f.Name) == ManifestName {
			continue
		}
		content, err := unpack(f, min(left, cmc.MaxResponse))
		left -= int64(len(content))
		if err != nil {
			out = append(out, Answer{Name: f.Name, Err: err})
			continue
		}
		out = append(out, answer(f.Name, content))
	}
	if len(out) == 0 {
		return nil, errors.New("the ZIP holds no answer")
	}
	return out, nil
}

// unpack reads one file, whatever size its entry claims.
func unpack(f *zip.File, most int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("it cannot be unpacked: %w", err)
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case int64(len(content)) > most:
		return content[:most], errLarge
	case err != nil:
		return content, fmt.Errorf("it cannot be unpacked: %w", err)
	}
	return content, nil
}

// answer strips the armour that mail programs like, where there is one.
func answer(name string, content []byte) Answer {
	a := Answer{Name: name, Content: content}
	if strings.HasPrefix(strings.TrimSpace(string(content[:min(len(content), 64)])), "-----BEGIN ") {
		block, rest := pem.Decode(content)
		if block == nil || len(bytes.TrimSpace(rest)) > 0 {
			return Answer{Name: name, Err: errors.New("it is not one PEM block")}
		}
		a.Content = block.Bytes
	}
	switch {
	case len(a.Content) == 0:
		a.Err = errNothing
	case len(a.Content) > cmc.MaxResponse:
		a.Content, a.Err = nil, errLarge
	}
	return a
}
