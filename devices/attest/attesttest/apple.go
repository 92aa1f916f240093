package attesttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"certwindow/ra"
)

// App is what an iPhone says of the app that asked for an attestation. The zero value of all but ID is an honest one, from
// the store, of a system before iOS 27.
type App struct {
	ID          string // TEAM.BUNDLE
	Development bool   // of the development environment
	Counter     uint32 // of a key that was used before
	Category    uint32 // how the app was signed, as systems from iOS 27 say it; 0: before
	NamedKey    []byte // the key id that the app gives; nil: the attested key's
}

var oidAppleNonce = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 8, 2}

// Apple attests a fresh App Attest key for client data, which stands for challenge and key (ra.ClientData).
func (v *Vendor) Apple(t testing.TB, clientData [32]byte, app App) *ra.Attestation {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	point, err := key.PublicKey.Bytes()
	must(t, err)
	id := sha256.Sum256(point)
	auth := app.authData(t, id[:], point)
	nonce := sha256.Sum256(slices.Concat(auth, clientData[:]))
	leaf, _ := v.certify(t, v.inter, v.interKey, "iPhone", key.Public(), false,
		[]pkix.Extension{{Id: oidAppleNonce, Value: append([]byte{0x30, 0x24, 0xa1, 0x22, 4, 0x20}, nonce[:]...)}})
	object, err := cbor.Marshal(map[string]any{"fmt": "apple-appattest", "authData": auth,
		"attStmt": map[string]any{"x5c": [][]byte{leaf.Raw, v.inter.Raw}, "receipt": []byte("receipt")}})
	must(t, err)
	named := id[:]
	if app.NamedKey != nil {
		named = app.NamedKey
	}
	return &ra.Attestation{Format: ra.AttestApple, KeyID: named, Object: object}
}

// authData is the authenticator data of a new key (WebAuthn, section 6.1).
func (app App) authData(t testing.TB, id, point []byte) []byte {
	t.Helper()
	rp := sha256.Sum256([]byte(app.ID))
	environment := "appattest\x00\x00\x00\x00\x00\x00\x00"
	if app.Development {
		environment = "appattestdevelop"
	}
	cose, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	must(t, err)
	auth := binary.BigEndian.AppendUint32(append(rp[:], 0x40), app.Counter)
	auth = slices.Concat(auth, []byte(environment), []byte{0, byte(len(id))}, id, cose)
	if app.Category == 0 {
		return auth
	}
	launched, err := cbor.Marshal(map[string]any{"apple_bundle_version_01": "1.0.0",
		"apple_validation_category_01": binary.LittleEndian.AppendUint32(nil, app.Category)})
	must(t, err)
	return append(auth, launched...)
}
