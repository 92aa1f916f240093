package attest

import (
	"crypto/x509"
	"encoding/binary"
	"slices"
)

// appleObject is a parsed attestation object, not yet judged.
type appleObject struct {
	chain    []*x509.Certificate // leaf first, not empty
	receipt  []byte
	authData []byte // as sent, since the nonce covers these bytes
	auth     *attestedData
}

func parseAppleObject(object []byte) (*appleObject, error) {
	if len(object) == 0 || len(object) > MaxObject {
		return nil, refuse(CodeMalformed, "the attestation object has %d bytes, not 1 to %d", len(object), MaxObject)
	}
	var fields struct {
		Format    string `cbor:"fmt"`
		Statement struct {
			X5C     [][]byte `cbor:"x5c"`
			Receipt []byte   `cbor:"receipt"`
		} `cbor:"attStmt"`
		AuthData []byte `cbor:"authData"`
	}
	if err := strictCBOR().Unmarshal(object, &fields); err != nil {
		return nil, refuse(CodeMalformed, "the attestation object cannot be parsed: %v", err)
	}
	if fields.Format != "apple-appattest" {
		return nil, refuse(CodeUnsupported, "the attestation is of an unsupported format")
	}
	if len(fields.Statement.Receipt) == 0 {
		return nil, refuse(CodeMalformed, "the attestation object has no receipt")
	}
	chain, err := parseChainDER(fields.Statement.X5C, "the attestation object")
	if err != nil {
		return nil, err
	}
	auth, err := parseAttestedData(fields.AuthData)
	if err != nil {
		return nil, err
	}
	return &appleObject{chain, fields.Statement.Receipt, fields.AuthData, auth}, nil
}

// Flags of authenticator data (WebAuthn, section 6.1).
const (
	flagAttestedData = 0x40
	flagExtensions   = 0x80
)

// authHead is the part of authenticator data that assertions have too.
type authHead struct {
	rpIDHash [32]byte // SHA-256 of the app id
	flags    byte
	counter  uint32
}

const authHeadSize = 32 + 1 + 4

func parseAuthHead(data []byte) (authHead, bool) {
	if len(data) < authHeadSize {
		return authHead{}, false
	}
	return authHead{[32]byte(data[:32]), data[32], binary.BigEndian.Uint32(data[33:37])}, true
}

// attestedData is authenticator data with an attested credential (WebAuthn, sections 6.1 and 6.5.1).
type attestedData struct {
	authHead
	aaguid       []byte // 16 bytes
	credentialID []byte
	point        []byte // the public key as an uncompressed point
	launch       launch
}

func parseAttestedData(data []byte) (*attestedData, error) {
	malformed := refuse(CodeMalformed, "the authenticator data cannot be parsed")
	head, ok := parseAuthHead(data)
	if !ok || head.flags&flagAttestedData == 0 {
		return nil, malformed
	}
	rest := data[authHeadSize:]
	if len(rest) < 18 {
		return nil, malformed
	}
	a := &attestedData{authHead: head, aaguid: rest[:16]}
	size := int(binary.BigEndian.Uint16(rest[16:18]))
	rest = rest[18:]
	if len(rest) < size {
		return nil, malformed
	}
	a.credentialID = rest[:size]
	a.point, rest, ok = parseCOSEPoint(rest[size:])
	if !ok {
		return nil, malformed
	}
	if a.launch, ok = parseLaunch(head.flags, rest); !ok {
		return nil, malformed
	}
	return a, nil
}

// parseCOSEPoint reads a COSE_Key (RFC 9053, section 7.1) that must be one of P-256, and gives what follows it.
func parseCOSEPoint(data []byte) (point, rest []byte, ok bool) {
	var key struct {
		Type      int    `cbor:"1,keyasint"`
		Algorithm int    `cbor:"3,keyasint"`
		Curve     int    `cbor:"-1,keyasint"`
		X         []byte `cbor:"-2,keyasint"`
		Y         []byte `cbor:"-3,keyasint"`
	}
	const ec2, es256, p256 = 2, -7, 1
	rest, err := strictCBOR().UnmarshalFirst(data, &key)
	if err != nil {
		return nil, nil, false
	}
	if key.Type != ec2 || key.Algorithm != es256 || key.Curve != p256 || len(key.X) != 32 || len(key.Y) != 32 {
		return nil, nil, false
	}
	return slices.Concat([]byte{4}, key.X, key.Y), rest, true
}
