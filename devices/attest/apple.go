package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	_ "embed"
	"encoding/asn1"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// appleRootPEM is the Apple App Attestation Root CA as Apple publishes it, SHA-256
// 1cb9823ba28ba6ad2d33a006941de2ae4f513ef1d4e831b9f7e0fa7b6242c932, valid to 2045-03-15.
//
//go:embed apple_root.pem
var appleRootPEM []byte

// AppleRoots are the published roots of App Attest.
func AppleRoots() ([]*x509.Certificate, error) { return ParseChain(appleRootPEM) }

var oidAppleNonce = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 8, 2}

// AppleEnvironment is where an app's attestations count.
type AppleEnvironment string

// The two environments of App Attest. Apps from the store are always in production.
const (
	AppleProduction  AppleEnvironment = "production"
	AppleDevelopment AppleEnvironment = "development"
)

// aaguid is what the authenticator data of an environment holds; nil for a word that is neither.
func (e AppleEnvironment) aaguid() []byte {
	switch e {
	case AppleProduction:
		return []byte("appattest\x00\x00\x00\x00\x00\x00\x00")
	case AppleDevelopment:
		return []byte("appattestdevelop")
	}
	return nil
}

// AppleWant is what an App Attest object has to show. All fields are needed.
type AppleWant struct {
	Roots          []*x509.Certificate // AppleRoots, or a test's own
	AppID          string              // TEAM.BUNDLE
	KeyID          []byte              // what the app names as its key: SHA-256 of the public point
	ClientDataHash [32]byte            // SHA-256 of what the app was asked to attest, the challenge within
	Environment    AppleEnvironment
	At             time.Time // the moment of judging; leaf certificates live three days
}

// AppleKey is what a verified App Attest object proves: an unchanged copy of the app, on a real device, holds
// this key in the Secure Enclave. Keep SPKI, AppID and Counter for the assertions, and Receipt for Apple's
// later judgement of the device's risk.
type AppleKey struct {
	KeyID       []byte           `json:"keyId"`
	SPKI        []byte           `json:"publicKey"` // SubjectPublicKeyInfo, DER
	AppID       string           `json:"appId"`
	Environment AppleEnvironment `json:"environment"`
	Counter     uint32           `json:"counter"`
	Receipt     []byte           `json:"receipt"`
	NotAfter    time.Time        `json:"certificateNotAfter"`
	// What the system says of how the app was signed and which version it is, from iOS 27 on.
	Category      AppleCategory `json:"validationCategory,omitempty"`
	BundleVersion string        `json:"bundleVersion,omitempty"`
}

// VerifyApple judges an attestation object as Apple's guide "Validating apps that connect to your server"
// demands. The error is of type Refusals. HCA-6.0, HCA-6.1.
func VerifyApple(object []byte, want AppleWant) (*AppleKey, error) {
	if want.Environment.aaguid() == nil || len(want.KeyID) == 0 || want.AppID == "" ||
		len(want.Roots) == 0 || want.At.IsZero() {
		return nil, refuse(CodeMalformed, "roots, app id, key id, environment and time are needed to judge an attestation")
	}
	parsed, err := parseAppleObject(object)
	if err != nil {
		return nil, err
	}
	var refusals Refusals
	if err := appleChain(parsed.chain, want.Roots, want.At); err != nil {
		refusals = append(refusals, asRefusals(err)...)
	}
	leaf := parsed.chain[0]
	// The nonce covers the authenticator data and the challenge, so it has to be equal before any of it counts.
	nonce := appleNonce(parsed.authData, want.ClientDataHash)
	if held, ok := readAppleNonce(extension(leaf, oidAppleNonce)); !ok || subtle.ConstantTimeCompare(held, nonce[:]) != 1 {
		refusals.add(CodeChallenge, "the certificate's nonce is not that of this challenge and this authenticator data")
	}
	public, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		refusals.add(CodeUnsupported, "the attested key is of an unsupported algorithm")
		return nil, refusals
	}
	refusals = append(refusals, parsed.auth.judge(public, want)...)
	if err := refusals.err(); err != nil {
		return nil, err
	}
	return &AppleKey{KeyID: bytes.Clone(want.KeyID), SPKI: leaf.RawSubjectPublicKeyInfo, AppID: want.AppID,
		Environment: want.Environment, Counter: parsed.auth.counter, Receipt: parsed.receipt,
		NotAfter: leaf.NotAfter, Category: parsed.auth.launch.category, BundleVersion: parsed.auth.launch.version}, nil
}

// judge compares the authenticator data with what is wanted and with the certified key.
func (a *attestedData) judge(public *ecdsa.PublicKey, want AppleWant) Refusals {
	var r Refusals
	if app := sha256.Sum256([]byte(want.AppID)); a.rpIDHash != app {
		r.add(CodeApp, "the attestation is of another app")
	}
	if a.counter != 0 {
		r.add(CodeCounter, "the counter of a new key is %d, not 0", a.counter)
	}
	if !bytes.Equal(a.aaguid, want.Environment.aaguid()) {
		r.add(CodeEnvironment, "the attestation is not of the %s environment", want.Environment)
	}
	if !a.launch.category.fits(want.Environment) {
		r.add(CodeEnvironment, "the app was signed in a way (category %d) that is none of the %s environment", a.launch.category, want.Environment)
	}
	point, err := public.Bytes()
	if err != nil {
		r.add(CodeUnsupported, "the attested key is of an unsupported curve")
		return r
	}
	if id := sha256.Sum256(point); !bytes.Equal(id[:], want.KeyID) {
		r.add(CodeKey, "the key id is not that of the certified key")
	}
	if !bytes.Equal(a.credentialID, want.KeyID) {
		r.add(CodeKey, "the credential id is not the key id")
	}
	if !bytes.Equal(a.point, point) {
		r.add(CodeKey, "the authenticator data holds another key than the certificate")
	}
	return r
}

// appleChain judges the two certificates of an object: leaf, then Apple's intermediate, then a root that is
// given. RFC 5280 holds for these, dates included.
func appleChain(chain, roots []*x509.Certificate, at time.Time) error {
	if len(chain) != 2 {
		return refuse(CodeChain, "the attestation holds %d certificates, not 2", len(chain))
	}
	leaf, intermediate := chain[0], chain[1]
	for _, root := range roots {
		if !bytes.Equal(root.RawSubject, intermediate.RawIssuer) {
			continue
		}
		if err := issued(root, intermediate, 2); err != nil {
			return err
		}
		if err := issued(intermediate, leaf, 1); err != nil {
			return err
		}
		return pathOf(leaf, []*x509.Certificate{intermediate}, []*x509.Certificate{root}, at)
	}
	return refuse(CodeRoot, "the chain does not end at a known root")
}

// pathOf judges dates, extensions and constraints of a path whose shape is already known.
func pathOf(leaf *x509.Certificate, intermediates, roots []*x509.Certificate, at time.Time) error {
	for i, cert := range slices.Concat([]*x509.Certificate{leaf}, intermediates) {
		if at.Before(cert.NotBefore) || at.After(cert.NotAfter) {
			return refuse(CodeDates, "certificate %d is valid from %s to %s only", i+1,
				cert.NotBefore.Format(time.RFC3339), cert.NotAfter.Format(time.RFC3339))
		}
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(),
		CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	for _, cert := range roots {
		options.Roots.AddCert(cert)
	}
	for _, cert := range intermediates {
		options.Intermediates.AddCert(cert)
	}
	if _, err := leaf.Verify(options); err != nil {
		return refuse(CodeChain, "the certificate path is not valid: %v", err)
	}
	return nil
}

// appleNonce binds authenticator data to what the app was asked to attest or to assert.
func appleNonce(authData []byte, clientDataHash [32]byte) [32]byte {
	return sha256.Sum256(slices.Concat(authData, clientDataHash[:]))
}

// readAppleNonce reads the extension 1.2.840.113635.100.8.2: SEQUENCE { [1] EXPLICIT OCTET STRING }.
func readAppleNonce(der []byte) ([]byte, bool) {
	whole := cryptobyte.String(der)
	var body, tagged, nonce cryptobyte.String
	ok := whole.ReadASN1(&body, cbasn1.SEQUENCE) && whole.Empty() &&
		body.ReadASN1(&tagged, cbasn1.Tag(1).Constructed().ContextSpecific()) && body.Empty() &&
		tagged.ReadASN1(&nonce, cbasn1.OCTET_STRING) && tagged.Empty()
	return nonce, ok
}
