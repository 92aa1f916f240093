package cmc

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"certwindow/ra/cms"
)

// errMalformed is the cause of every refusal by the parsers that is not one of package cms.
var errMalformed = errors.New("cmc: malformed message")

func malformed(what string) error { return fmt.Errorf("%w: %s", errMalformed, what) }

// Control is a TaggedAttribute. Every control of this profile has exactly one value.
type Control struct {
	ID    uint32
	Type  asn1.ObjectIdentifier
	Value []byte // DER
}

// Part is a DER element of a message under its body part identifier.
type Part struct {
	ID  uint32
	DER []byte
}

// PKIData is the body of a full PKI request (RFC 5272 section 3.2.1), without otherMsgSequence.
type PKIData struct {
	Controls []Control
	CSRs     []Part // reqSequence: PKCS#10 requests; no other kind is taken
	Messages []Part // cmsSequence: ContentInfos
}

// PKIResponse is the body of a full PKI response (RFC 5272 section 3.2.2), without otherMsgSequence.
type PKIResponse struct {
	Controls []Control
	Messages []Part
}

// Marshal encodes the request body.
func (d *PKIData) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addControls(b, d.Controls)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, p := range d.CSRs {
				addPart(b, cbasn1.Tag(0).ContextSpecific().Constructed(), p)
			}
		})
		addParts(b, d.Messages)
		b.AddASN1(cbasn1.SEQUENCE, func(*cryptobyte.Builder) {})
	})
	return b.Bytes()
}

// Marshal encodes the response body.
func (r *PKIResponse) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addControls(b, r.Controls)
		addParts(b, r.Messages)
		b.AddASN1(cbasn1.SEQUENCE, func(*cryptobyte.Builder) {})
	})
	return b.Bytes()
}

func addControls(b *cryptobyte.Builder, controls []Control) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, c := range controls {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Uint64(uint64(c.ID))
				b.AddASN1ObjectIdentifier(c.Type)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(c.Value) })
			})
		}
	})
}

func addParts(b *cryptobyte.Builder, parts []Part) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, p := range parts {
			addPart(b, cbasn1.SEQUENCE, p)
		}
	})
}

func addPart(b *cryptobyte.Builder, tag cbasn1.Tag, p Part) {
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		b.AddASN1Uint64(uint64(p.ID))
		b.AddBytes(p.DER)
	})
}

// ParsePKIData reads a request body. It refuses anything outside the profile: other kinds of request, other messages,
// controls without exactly one value, and body part identifiers that are zero or used twice.
func ParsePKIData(der []byte) (*PKIData, error) {
	body, err := open(der, MaxRequest)
	if err != nil {
		return nil, err
	}
	var d PKIData
	ids := make(idSet)
	if d.Controls, err = readControls(&body, ids); err != nil {
		return nil, err
	}
	if d.CSRs, err = readParts(&body, cbasn1.Tag(0).ContextSpecific().Constructed(), ids); err != nil {
		return nil, err
	}
	if d.Messages, err = readParts(&body, cbasn1.SEQUENCE, ids); err != nil {
		return nil, err
	}
	return &d, readEnd(&body)
}

// ParsePKIResponse reads a response body, as strictly as ParsePKIData.
func ParsePKIResponse(der []byte) (*PKIResponse, error) {
	body, err := open(der, MaxResponse)
	if err != nil {
		return nil, err
	}
	var r PKIResponse
	ids := make(idSet)
	if r.Controls, err = readControls(&body, ids); err != nil {
		return nil, err
	}
	if r.Messages, err = readParts(&body, cbasn1.SEQUENCE, ids); err != nil {
		return nil, err
	}
	return &r, readEnd(&body)
}

// open looks at size, depth and lengths of the whole before anything in it is read.
func open(der []byte, limit int) (cryptobyte.String, error) {
	if err := cms.Check(der, limit); err != nil {
		return nil, err
	}
	in := cryptobyte.String(der)
	var body cryptobyte.String
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, malformed("not one SEQUENCE")
	}
	return body, nil
}

type idSet map[uint32]bool

// read takes a body part identifier: 1 to 2^32-1, used once (RFC 5272 section 3.2.2; 0 is the message itself).
func (s idSet) read(in *cryptobyte.String) (uint32, error) {
	var id uint64
	if !in.ReadASN1Integer(&id) || id == 0 || id > 1<<32-1 {
		return 0, malformed("body part identifier")
	}
	if s[uint32(id)] {
		return 0, malformed("body part identifier used twice")
	}
	s[uint32(id)] = true
	return uint32(id), nil
}

func readControls(body *cryptobyte.String, ids idSet) ([]Control, error) {
	var list cryptobyte.String
	if !body.ReadASN1(&list, cbasn1.SEQUENCE) {
		return nil, malformed("controlSequence")
	}
	var out []Control
	for !list.Empty() {
		var entry, values, value cryptobyte.String
		var c Control
		if len(out) == maxParts || !list.ReadASN1(&entry, cbasn1.SEQUENCE) {
			return nil, malformed("control")
		}
		var err error
		if c.ID, err = ids.read(&entry); err != nil {
			return nil, err
		}
		if !entry.ReadASN1ObjectIdentifier(&c.Type) || !entry.ReadASN1(&values, cbasn1.SET) || !entry.Empty() {
			return nil, malformed("control")
		}
		if !values.ReadAnyASN1Element(&value, nil) || !values.Empty() {
			return nil, malformed("control without exactly one value")
		}
		c.Value = value
		out = append(out, c)
	}
	return out, nil
}

func readParts(body *cryptobyte.String, tag cbasn1.Tag, ids idSet) ([]Part, error) {
	var list cryptobyte.String
	if !body.ReadASN1(&list, cbasn1.SEQUENCE) {
		return nil, malformed("sequence of parts")
	}
	var out []Part
	for !list.Empty() {
		var entry, der cryptobyte.String
		if len(out) == maxParts || !list.ReadASN1(&entry, tag) {
			return nil, malformed("part")
		}
		id, err := ids.read(&entry)
		if err != nil {
			return nil, err
		}
		if !entry.ReadASN1Element(&der, cbasn1.SEQUENCE) || !entry.Empty() {
			return nil, malformed("part")
		}
		out = append(out, Part{ID: id, DER: der})
	}
	return out, nil
}

// readEnd takes the empty otherMsgSequence, after which nothing may come.
func readEnd(body *cryptobyte.String) error {
	var other cryptobyte.String
	if !body.ReadASN1(&other, cbasn1.SEQUENCE) || !other.Empty() || !body.Empty() {
		return malformed("otherMsgSequence")
	}
	return nil
}

// Find returns the one control of a type, or false when there is none; two of them are an error.
func Find(controls []Control, oid asn1.ObjectIdentifier) (Control, bool, error) {
	var found Control
	n := 0
	for _, c := range controls {
		if c.Type.Equal(oid) {
			found = c
			n++
		}
	}
	if n > 1 {
		return Control{}, false, malformed("a control is there twice")
	}
	return found, n == 1, nil
}
