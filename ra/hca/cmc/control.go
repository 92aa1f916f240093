package cmc

import (
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/oklog/ulid/v2"
)

// TransactionControl carries a ULID as the INTEGER that RFC 5272 section 6.6 wants, its 128 bits read as a number.
func TransactionControl(id uint32, transaction string) (Control, error) {
	u, err := ulid.ParseStrict(transaction)
	if err != nil {
		return Control{}, malformed("transaction id is not a ULID")
	}
	var b cryptobyte.Builder
	b.AddASN1BigInt(new(big.Int).SetBytes(u[:]))
	return control(id, OIDTransactionID, &b)
}

// Transaction returns the ULID in the transactionId control. A missing or other transaction id is an error.
func Transaction(controls []Control) (string, error) {
	c, ok, err := Find(controls, OIDTransactionID)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", malformed("no transaction id")
	}
	n := new(big.Int)
	in := cryptobyte.String(c.Value)
	if !in.ReadASN1Integer(n) || !in.Empty() || n.Sign() < 0 || n.BitLen() > 128 {
		return "", malformed("transaction id")
	}
	var u ulid.ULID
	n.FillBytes(u[:])
	return u.String(), nil
}

// OctetControl makes a control whose value is an OCTET STRING: the two nonces and queryPending.
func OctetControl(id uint32, oid asn1.ObjectIdentifier, value []byte) (Control, error) {
	var b cryptobyte.Builder
	b.AddASN1OctetString(value)
	return control(id, oid, &b)
}

// Octets returns the OCTET STRING in the control of the given type: 1 to 64 bytes. nil means that there is no such
// control.
func Octets(controls []Control, oid asn1.ObjectIdentifier) ([]byte, error) {
	c, ok, err := Find(controls, oid)
	if err != nil || !ok {
		return nil, err
	}
	var v cryptobyte.String
	in := cryptobyte.String(c.Value)
	if !in.ReadASN1(&v, cbasn1.OCTET_STRING) || !in.Empty() || len(v) == 0 || len(v) > maxNonce {
		return nil, malformed("octet string control")
	}
	return v, nil
}

func control(id uint32, oid asn1.ObjectIdentifier, b *cryptobyte.Builder) (Control, error) {
	value, err := b.Bytes()
	if err != nil {
		return Control{}, err
	}
	return Control{ID: id, Type: oid, Value: value}, nil
}

// RevokeRequest is the revokeRequest control (RFC 5272 section 6.11) without its shared secret: the request is signed.
type RevokeRequest struct {
	Issuer []byte // Name, DER
	Serial *big.Int
	Reason int // CRLReason
}

// Control encodes the revocation request.
func (r *RevokeRequest) Control(id uint32) (Control, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(r.Issuer)
		b.AddASN1BigInt(r.Serial)
		b.AddASN1Enum(int64(r.Reason))
	})
	return control(id, OIDRevokeRequest, &b)
}

// ParseRevokeRequest reads the value of a revokeRequest control. invalidityDate, shared secret and comment are not
// part of the profile and are refused.
func ParseRevokeRequest(der []byte) (*RevokeRequest, error) {
	r := RevokeRequest{Serial: new(big.Int)}
	var body, issuer cryptobyte.String
	in := cryptobyte.String(der)
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !in.Empty() ||
		!body.ReadASN1Element(&issuer, cbasn1.SEQUENCE) ||
		!body.ReadASN1Integer(r.Serial) || !body.ReadASN1Enum(&r.Reason) || !body.Empty() {
		return nil, malformed("revokeRequest")
	}
	r.Issuer = issuer
	return &r, nil
}

// generalizedTime reads a GeneralizedTime in UTC and refuses years that no clock of ours will see.
func generalizedTime(in *cryptobyte.String) (time.Time, bool) {
	var t time.Time
	if !in.ReadASN1GeneralizedTime(&t) || t.Year() < 2000 || t.Year() > 9999 {
		return time.Time{}, false
	}
	return t.UTC(), true
}
