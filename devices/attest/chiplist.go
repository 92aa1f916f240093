package attest

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strconv"
	"strings"
	"time"

	"certwindow/policy"
)

// Forms in which a chip can vouch for a key.
const (
	// FormStatement: the chip's certified attestation key signs ChipStatement, which holds the challenge.
	FormStatement = "statement"
	// FormLeaf: the maker's chain certifies the key itself, and only keys made in the chip. It holds no challenge.
	FormLeaf = "leaf"
)

// Chip is a model on the list, with its certification (HCA-6.2). The operator answers for the list: that the
// model makes keys inside, that it has no way to export them, and that root and mark stand for it alone.
type Chip struct {
	Model         string
	Maker         string
	Form          string // FormStatement or FormLeaf
	Certification policy.ChipCertification

	root *x509.Certificate
	mark asn1.ObjectIdentifier // a certificate policy in every certificate of this model; nil when root is its own
}

// ChipList is the list of certified chip models, by model name.
type ChipList struct {
	byModel map[string]Chip
}

// chipEntry is a Chip as the file writes it.
type chipEntry struct {
	Model   string `json:"model"`
	Maker   string `json:"maker"`
	Scheme  string `json:"scheme"`
	Level   int    `json:"level"`
	Number  string `json:"number"`
	Expires string `json:"expires"` // YYYY-MM-DD, the last day, UTC
	Form    string `json:"form"`
	Root    string `json:"root"` // PEM
	Mark    string `json:"mark"` // dotted OID, optional
}

// ParseChipList reads the list: {"version":1,"chips":[…]}, as docs/attestation.md describes it. It is strict,
// since a slip of the pen here would pass for a certification.
func ParseChipList(data []byte) (*ChipList, error) {
	if len(data) > MaxRootsFile {
		return nil, refuse(CodeMalformed, "the list of chips has %d bytes, more than %d", len(data), MaxRootsFile)
	}
	var file struct {
		Version int         `json:"version"`
		Chips   []chipEntry `json:"chips"`
	}
	if err := strictJSON(data, &file); err != nil || file.Version != 1 {
		return nil, refuse(CodeMalformed, "the list of chips is not a version 1 list: %v", err)
	}
	list := &ChipList{byModel: map[string]Chip{}}
	for i, entry := range file.Chips {
		chip, err := entry.parse()
		if err != nil {
			return nil, refuse(CodeMalformed, "chip %d of the list: %v", i+1, err)
		}
		for _, other := range list.byModel {
			switch {
			case other.Model == chip.Model:
				return nil, refuse(CodeMalformed, "chip %d of the list: %q is listed twice", i+1, chip.Model)
			case sameKey(other.root, chip.root) && (len(other.mark) == 0 || len(chip.mark) == 0 || other.mark.Equal(chip.mark)):
				return nil, refuse(CodeMalformed, "chip %d of the list: %q and %q share a root and have no marks to tell them apart", i+1, chip.Model, other.Model)
			}
		}
		list.byModel[chip.Model] = chip
	}
	return list, nil
}

func (e chipEntry) parse() (Chip, error) {
	chip := Chip{Model: e.Model, Maker: e.Maker, Form: e.Form,
		Certification: policy.ChipCertification{Scheme: e.Scheme, Level: e.Level, Number: e.Number}}
	if !plainName(e.Model) || !plainName(e.Maker) || !plainName(e.Number) {
		return chip, refuse(CodeMalformed, "model, maker and number must be there, in printable ASCII")
	}
	if !slices.Contains(policy.ChipSchemes(), e.Scheme) || e.Level < 1 || e.Level > 4 {
		return chip, refuse(CodeMalformed, "scheme %q level %d is none that is known", e.Scheme, e.Level)
	}
	if e.Form != FormStatement && e.Form != FormLeaf {
		return chip, refuse(CodeMalformed, "form %q is neither %q nor %q", e.Form, FormStatement, FormLeaf)
	}
	last, err := time.Parse(time.DateOnly, e.Expires)
	if err != nil {
		return chip, refuse(CodeMalformed, "expires is not a date of the form YYYY-MM-DD")
	}
	chip.Certification.Expires = last.AddDate(0, 0, 1)
	block, rest := pem.Decode([]byte(e.Root))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return chip, refuse(CodeMalformed, "root is not one PEM certificate")
	}
	if chip.root, err = x509.ParseCertificate(block.Bytes); err != nil {
		return chip, refuse(CodeMalformed, "root cannot be parsed: %v", err)
	}
	if e.Mark != "" {
		if chip.mark, err = parseOID(e.Mark); err != nil {
			return chip, err
		}
	}
	return chip, nil
}

func sameKey(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}

// plainName is a name that cannot forge a line of a ChipStatement.
func plainName(s string) bool {
	odd := func(r rune) bool { return r < ' ' || r > '~' }
	return s != "" && len(s) <= 128 && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, odd)
}

func parseOID(text string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || strconv.Itoa(n) != part {
			return nil, refuse(CodeMalformed, "mark %q is no object identifier", text)
		}
		oid = append(oid, n)
	}
	if len(oid) < 2 {
		return nil, refuse(CodeMalformed, "mark %q is no object identifier", text)
	}
	return oid, nil
}

// strictJSON decodes one JSON value with no unknown member and nothing after it.
func strictJSON(data []byte, out any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(out); err != nil {
		return err
	}
	if decoder.More() || decoder.InputOffset() != int64(len(bytes.TrimRight(data, " \t\r\n"))) {
		return refuse(CodeMalformed, "there is something after the JSON value")
	}
	return nil
}
