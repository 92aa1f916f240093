package card

import (
	"fmt"
	"io"
	"log/slog"
)

// PIN is a card's PIN. It cannot be printed, logged or marshalled; Wipe it as soon as it was used.
type PIN struct{ b []byte }

const redactedPIN = "[PIN]"

// NewPIN takes over b: the caller must not use it afterwards.
func NewPIN(b []byte) PIN { return PIN{b} }

// Bytes is the value itself, shared with the PIN: it changes when the PIN is wiped.
func (p PIN) Bytes() []byte { return p.b }

// Len is the length in bytes.
func (p PIN) Len() int { return len(p.b) }

// Wipe overwrites the value.
func (p PIN) Wipe() { clear(p.b) }

// String does not tell the value.
func (PIN) String() string { return redactedPIN }

// GoString does not tell the value.
func (PIN) GoString() string { return redactedPIN }

// Format does not tell the value, whatever the verb.
func (PIN) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedPIN) }

// MarshalJSON does not tell the value.
func (PIN) MarshalJSON() ([]byte, error) { return []byte(`"` + redactedPIN + `"`), nil }

// LogValue does not tell the value.
func (PIN) LogValue() slog.Value { return slog.StringValue(redactedPIN) }
