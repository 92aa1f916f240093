package hsm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// maxSecretFile is far above any PIN or passphrase; a larger file is the wrong file.
const maxSecretFile = 4096

const redacted = "[redacted]"

// Secret is a PIN, passphrase or key component. It prints, logs and marshals as "[redacted]". Copies share the
// same bytes, so that Destroy on one empties all. The zero value is an empty secret.
type Secret struct{ p *[]byte }

// NewSecret copies b into a Secret; the caller may wipe b afterwards.
func NewSecret(b []byte) Secret {
	c := bytes.Clone(b)
	return Secret{&c}
}

// ReadSecretFile reads a secret from a file, without the line end that editors add. An empty or oversized file is
// an error; the error names the path and never the content.
func ReadSecretFile(path string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	defer clear(b)
	if err != nil {
		return Secret{}, fmt.Errorf("hsm: reading secret file %s: %w", path, err)
	}
	if len(b) > maxSecretFile {
		return Secret{}, fmt.Errorf("hsm: secret file %s is larger than %d bytes", path, maxSecretFile)
	}
	t := bytes.TrimRight(b, "\r\n")
	if len(t) == 0 {
		return Secret{}, fmt.Errorf("hsm: secret file %s is empty", path)
	}
	return NewSecret(t), nil
}

// Bytes returns the secret itself, not a copy; it is nil after Destroy.
func (s Secret) Bytes() []byte {
	if s.p == nil {
		return nil
	}
	return *s.p
}

// Len is the number of bytes.
func (s Secret) Len() int { return len(s.Bytes()) }

// Destroy wipes the bytes and empties every copy of s.
func (s Secret) Destroy() {
	if s.p == nil {
		return
	}
	clear(*s.p)
	*s.p = nil
}

// String redacts.
func (s Secret) String() string { return redacted }

// GoString redacts.
func (s Secret) GoString() string { return redacted }

// Format redacts under every verb, also those that would print the bytes.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalJSON redacts.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText redacts.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// GobEncode refuses: a secret has no business in a stream.
func (s Secret) GobEncode() ([]byte, error) { return nil, errors.New("hsm: a secret is not encoded") }

// LogValue redacts.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
