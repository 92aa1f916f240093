// Package factor is the arithmetic of what a person proves himself by: passwords as they are hashed, one-time codes
// as they are made (HCA-8.2.6, HCA-8.2.7). It keeps nothing.
package factor

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"certwindow/ra"
)

// Secret is a password, code, key or token. It prints as nothing; Reveal gives its text.
type Secret string

// Reveal is the secret's text.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string               { return "[secret]" }
func (Secret) Format(f fmt.State, _ rune)   { io.WriteString(f, "[secret]") }
func (Secret) GoString() string             { return "[secret]" }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"[secret]"`), nil }
func (Secret) LogValue() slog.Value         { return slog.StringValue("[secret]") }

func randomless(err error) error {
	return ra.Errorf(ra.KindInternal, "random", err, "The random source failed. Nothing was changed.")
}

// InitialPassword is 16 letters that nobody confuses when reading them aloud, none likelier than 9 in 256: more
// than 77 bits.
func InitialPassword(rand io.Reader) (Secret, error) {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789"
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", randomless(err)
	}
	var out strings.Builder
	for i, x := range b {
		if i > 0 && i%4 == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(letters[int(x)%len(letters)])
	}
	return Secret(out.String()), nil
}
