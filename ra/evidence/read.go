package evidence

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
)

// Limits bound what a zip from outside may cost. A zero field takes its default.
type Limits struct {
	Zip   int64 // bytes of the zip; 64 MiB
	Total int64 // bytes of all files together, unpacked; 256 MiB
	Files int   // 128
}

func (l Limits) withDefaults() Limits {
	if l.Zip == 0 {
		l.Zip = 64 << 20
	}
	if l.Total == 0 {
		l.Total = 256 << 20
	}
	if l.Files == 0 {
		l.Files = 128
	}
	return l
}

// MaxZip is the default bound on a zip, in bytes.
const MaxZip = 64 << 20

// Error says why evidence is not accepted.
type Error struct {
	Reason string // a stable word in kebab case
	Detail string
	Err    error
}

func (e *Error) Error() string {
	s := e.Reason + ": " + e.Detail
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

func refuse(reason string, err error, format string, args ...any) error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...), Err: err}
}

// Reasons of Error.
const (
	ReasonZip         = "zip-malformed"
	ReasonTooLarge    = "too-large"
	ReasonName        = "name-refused"
	ReasonDuplicate   = "duplicate-file"
	ReasonMissing     = "missing-file"
	ReasonExtra       = "extra-file"
	ReasonHash        = "hash-differs"
	ReasonManifest    = "manifest-malformed"
	ReasonSeal        = "manifest-signature-invalid"
	ReasonWindow      = "not-the-window"
	ReasonMessage     = "message-refused"
	ReasonText        = "text-differs"
	ReasonDecision    = "decision-malformed"
	ReasonCSR         = "request-malformed"
	ReasonCertificate = "certificate-differs"
	ReasonConsent     = "consent-differs"
	ReasonKey         = "key-not-proved"
)

// What a zip begins and ends with. The library's reader looks for the end itself and takes what is before, after
// and in a comment, which no seal covers.
var (
	zipBegin = []byte("PK\x03\x04")
	zipEnd   = []byte("PK\x05\x06")
)

// zipEndSize is the length of the last record of a zip that has no comment.
const zipEndSize = 22

// unpack reads a zip into memory: files with good names alone, each once, within the limits, whatever the
// headers promise.
func unpack(b []byte, l Limits) (map[string][]byte, error) {
	if int64(len(b)) > l.Zip {
		return nil, refuse(ReasonTooLarge, nil, "the zip has more than %d bytes", l.Zip)
	}
	if !bytes.HasPrefix(b, zipBegin) || len(b) < zipEndSize || !bytes.HasPrefix(b[len(b)-zipEndSize:], zipEnd) {
		return nil, refuse(ReasonZip, nil, "it does not begin with a file, or something is after its end")
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, refuse(ReasonZip, err, "cannot be read")
	}
	if len(z.File) > l.Files {
		return nil, refuse(ReasonTooLarge, nil, "more than %d files", l.Files)
	}
	files := make(map[string][]byte, len(z.File))
	left := l.Total
	for _, f := range z.File {
		if !nameRule.MatchString(f.Name) || !f.Mode().IsRegular() {
			return nil, refuse(ReasonName, nil, "%q", f.Name)
		}
		if _, there := files[f.Name]; there {
			return nil, refuse(ReasonDuplicate, nil, "%s", f.Name)
		}
		data, err := unpackOne(f, left)
		if err != nil {
			return nil, err
		}
		left -= int64(len(data))
		files[f.Name] = data
	}
	return files, nil
}

// unpackOne reads one file of at most limit bytes.
func unpackOne(f *zip.File, limit int64) ([]byte, error) {
	if f.UncompressedSize64 > uint64(limit) {
		return nil, refuse(ReasonTooLarge, nil, "%s and the files before it unpack to too much", f.Name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, refuse(ReasonZip, err, "%s", f.Name)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, refuse(ReasonZip, err, "%s", f.Name)
	case int64(len(data)) > limit:
		return nil, refuse(ReasonTooLarge, nil, "%s and the files before it unpack to too much", f.Name)
	case uint64(len(data)) != f.UncompressedSize64 || crc32.ChecksumIEEE(data) != f.CRC32:
		return nil, refuse(ReasonZip, nil, "%s is not what its header says", f.Name)
	}
	return data, nil
}
