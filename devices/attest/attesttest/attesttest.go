// Package attesttest plays, for tests, the vendors that vouch for keys: makers of Android phones, of iPhones and of secure
// chips, under roots of its own.
package attesttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"certwindow/devices/attest"
	"certwindow/ra"
)

// Vendor makes phones and chips.
type Vendor struct {
	Root  *x509.Certificate
	batch *x509.Certificate // of the attestation key
	inter *x509.Certificate
	key   *ecdsa.PrivateKey
	at    time.Time

	rootKey, interKey *ecdsa.PrivateKey
	revoked           bool
}

// New is a vendor whose certificates are good around a moment.
func New(t testing.TB, at time.Time) *Vendor {
	t.Helper()
	v := &Vendor{at: at}
	v.Root, v.rootKey = v.certify(t, nil, nil, "root", nil, true, nil)
	v.inter, v.interKey = v.certify(t, v.Root, v.rootKey, "intermediate", nil, true, nil)
	v.batch, v.key = v.certify(t, v.inter, v.interKey, "batch", nil, false, nil)
	return v
}

func (v *Vendor) certify(t testing.TB, issuer *x509.Certificate, signer crypto.Signer, name string, public crypto.PublicKey, ca bool, more []pkix.Extension) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	var key *ecdsa.PrivateKey
	if public == nil {
		var err error
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		public = key.Public()
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 62))
	must(t, err)
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: v.at.Add(-time.Hour), NotAfter: v.at.Add(24 * time.Hour),
		BasicConstraintsValid: true, IsCA: ca, ExtraExtensions: more}
	if issuer == nil {
		issuer, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, signer)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return c, key
}

func (v *Vendor) rootPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.Root.Raw}))
}

// Renew makes another certificate for the root's key, as a vendor does: the phones hold the old one.
func (v *Vendor) Renew(t testing.TB) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "root"}, NotBefore: v.at, NotAfter: v.at.Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, v.rootKey.Public(), v.rootKey)
	must(t, err)
	v.Root, err = x509.ParseCertificate(der)
	must(t, err)
}

// Revoke has the vendor's list name the attestation key of its phones.
func (v *Vendor) Revoke() { v.revoked = true }

func (v *Vendor) statusJSON() []byte {
	if v.revoked {
		return []byte(`{"entries":{"` + v.batch.SerialNumber.Text(16) + `":{"status":"REVOKED","reason":"KEY_COMPROMISE"}}}`)
	}
	return []byte(`{"entries":{}}`)
}

// Files are what an operator judges this vendor's phones and chips by: roots.json, status.json and the list of chips.
func (v *Vendor) Files(t testing.TB) (roots, status, chips []byte) {
	t.Helper()
	roots, err := json.Marshal([]string{v.rootPEM()})
	must(t, err)
	chips, err = json.Marshal(map[string]any{"version": 1, "chips": []map[string]any{{"model": "Chip 7", "maker": "Maker", "scheme": "FIPS 140-2", "level": 3,
		"number": "4711", "expires": v.at.AddDate(1, 0, 0).Format(time.DateOnly), "form": "statement", "root": v.rootPEM()}}})
	must(t, err)
	return roots, v.statusJSON(), chips
}

// Trust is a window's that knows this vendor's phones and chips.
func (v *Vendor) Trust(t testing.TB) *attest.Trust {
	t.Helper()
	roots, status, chips := v.Files(t)
	out := &attest.Trust{Apple: []*x509.Certificate{v.Root}}
	var err error
	out.Android, err = attest.ParseAndroidRoots(roots)
	must(t, err)
	out.Status, err = attest.ParseAndroidStatus(status)
	must(t, err)
	out.Chips, err = attest.ParseChipList(chips)
	must(t, err)
	return out
}

// Key is what the secure environment says of a key beside the challenge.
type Key struct {
	Package  string
	Digest   []byte // SHA-256 of the certificate that signs the app
	Software bool   // kept by software alone
	Imported bool   // made elsewhere, so that there may be copies
	Unlocked bool   // the boot loader lets any system start
	Altered  bool   // the system is not its maker's
	Everyone bool   // all apps of the phone may use it
	Longer   bool   // the chain has one certificate more than such a chain has
}

func tagged(t testing.TB, tag int, value any) asn1.RawValue {
	inner, err := asn1.Marshal(value)
	must(t, err)
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: inner}
}

var oidKeyDescription = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 17}

// Android attests a key of a phone with the patches of November 2026.
func (v *Vendor) Android(t testing.TB, public crypto.PublicKey, challenge []byte, k Key) *ra.Attestation {
	t.Helper()
	type info struct {
		Name    []byte
		Version int
	}
	app, err := asn1.Marshal(struct {
		Packages []info   `asn1:"set"`
		Digests  [][]byte `asn1:"set"`
	}{[]info{{[]byte(k.Package), 7}}, [][]byte{k.Digest}})
	must(t, err)
	origin, level := 0, asn1.Enumerated(1)
	if k.Imported {
		origin = 2
	}
	if k.Software {
		level = 0
	}
	software := []asn1.RawValue{tagged(t, 709, app)}
	if k.Everyone {
		software = append(software, tagged(t, 600, asn1.NullRawValue))
	}
	purposes := asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSet, IsCompound: true, Bytes: []byte{2, 1, 2}}
	description, err := asn1.Marshal(struct {
		Version            int
		Level              asn1.Enumerated
		KeyMint            int
		KeyMintLevel       asn1.Enumerated
		Challenge, ID      []byte
		Software, Hardware []asn1.RawValue
	}{400, level, 400, level, challenge, nil, software,
		[]asn1.RawValue{tagged(t, 1, purposes), tagged(t, 702, origin), bootOf(t, k), tagged(t, 706, 202611)}})
	must(t, err)
	chain := [][]byte{v.batch.Raw, v.inter.Raw, v.Root.Raw}
	batch, signer := v.batch, v.key
	if k.Longer {
		batch, signer = v.certify(t, v.batch, v.key, "one more", nil, false, nil)
		chain = append([][]byte{batch.Raw}, chain...)
	}
	leaf, _ := v.certify(t, batch, signer, "Android Keystore Key", public, false, []pkix.Extension{{Id: oidKeyDescription, Value: description}})
	return &ra.Attestation{Format: ra.AttestAndroid, Chain: append([][]byte{leaf.Raw}, chain...)}
}

// bootOf is what the boot loader told the secure environment.
func bootOf(t testing.TB, k Key) asn1.RawValue {
	state := asn1.Enumerated(0)
	if k.Altered {
		state = 1
	}
	return tagged(t, 704, struct {
		Key    []byte
		Locked bool
		State  asn1.Enumerated
		Hash   []byte
	}{make([]byte, 32), !k.Unlocked, state, make([]byte, 32)})
}

// Chip has the chip of the model "Chip 7" vouch for a key.
func (v *Vendor) Chip(t testing.TB, public crypto.PublicKey, challenge []byte) *ra.Attestation {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	digest := sha256.Sum256(attest.ChipStatement("Chip 7", challenge, spki))
	signature, err := ecdsa.SignASN1(rand.Reader, v.key, digest[:])
	must(t, err)
	object, err := json.Marshal(map[string]any{"model": "Chip 7", "chain": [][]byte{v.batch.Raw, v.inter.Raw}, "signature": signature})
	must(t, err)
	return &ra.Attestation{Format: ra.AttestChip, Object: object}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
