// Package ceremony makes, restores, rolls over and retires the master key of a token as a recorded act of several
// custodians (HCA-6.3.2, HCA-6.3.4), and sets a token up with the keys that a window needs.
package ceremony

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"certwindow/hsm"
	"certwindow/hsm/p11"
)

const (
	componentPrefix = "cwk1"
	checkSize       = 3
	// componentDigits is what is left of a printed component without blanks and dashes.
	componentDigits = len(componentPrefix) + 2*p11.ComponentSize + 2*checkSize
	// maxComponentText bounds what a custodian may type.
	maxComponentText = 512
)

var errComponent = errors.New("ceremony: that is not a component: expected cwk1, sixteen groups of four hexadecimal digits and a check value of six")

// NewComponent makes one custodian's component in its printed form: "cwk1", the 32 random bytes in groups of four
// hexadecimal digits, and the key check value, which shows a slip of the pen and is what the transcript shows too.
func NewComponent(rand io.Reader) (hsm.Secret, error) {
	raw := make([]byte, p11.ComponentSize)
	defer clear(raw)
	if _, err := io.ReadFull(rand, raw); err != nil {
		return hsm.Secret{}, fmt.Errorf("ceremony: random source: %w", err)
	}
	return printed(raw)
}

// printed is the printed form of a component's bytes.
func printed(raw []byte) (hsm.Secret, error) {
	check, err := checkValue(raw)
	if err != nil {
		return hsm.Secret{}, err
	}
	text := make([]byte, 0, maxComponentText)
	defer func() { clear(text) }()
	text = append(text, componentPrefix...)
	for i := 0; i < len(raw); i += 2 {
		text = append(text, '-')
		text = hex.AppendEncode(text, raw[i:i+2])
	}
	text = append(append(text, '-'), check...)
	return hsm.NewSecret(text), nil
}

// ParseComponent reads the printed form back: upper or lower case, blanks or dashes or none between the groups. A
// component whose check value does not fit was mistyped. The result is the component's 32 bytes.
func ParseComponent(text hsm.Secret) (hsm.Secret, error) {
	if text.Len() > maxComponentText {
		return hsm.Secret{}, errComponent
	}
	digits := make([]byte, 0, maxComponentText)
	defer func() { clear(digits) }()
	for _, c := range text.Bytes() {
		switch c {
		case ' ', '-', '\t', '\r', '\n':
		default:
			digits = append(digits, c)
		}
	}
	digits = lower(digits)
	if len(digits) != componentDigits || !bytes.HasPrefix(digits, []byte(componentPrefix)) {
		return hsm.Secret{}, errComponent
	}
	body := digits[len(componentPrefix):]
	raw := make([]byte, p11.ComponentSize)
	defer clear(raw)
	if _, err := hex.Decode(raw, body[:2*p11.ComponentSize]); err != nil {
		return hsm.Secret{}, errComponent // the decoder's own error would quote the text
	}
	check, err := checkValue(raw)
	if err != nil {
		return hsm.Secret{}, err
	}
	if check != string(body[2*p11.ComponentSize:]) {
		return hsm.Secret{}, errors.New("ceremony: the component was mistyped: its check value does not fit")
	}
	return hsm.NewSecret(raw), nil
}

// lower folds ASCII in place, so that no copy of a secret is left behind.
func lower(b []byte) []byte {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

// checkValue is the key check value of an AES key as PKCS#11 defines CKA_CHECK_VALUE: the first three bytes of a
// block of zeros encrypted under it, here in lower-case hexadecimal.
func checkValue(key []byte) (string, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return "", fmt.Errorf("ceremony: check value: %w", err)
	}
	var block [aes.BlockSize]byte
	b.Encrypt(block[:], block[:])
	return hex.EncodeToString(block[:checkSize]), nil
}
