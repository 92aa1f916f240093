package attest

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
)

// VerifyAppleAssertion judges an assertion by the key of an earlier attestation: that this very app, on that
// device, sent what clientDataHash is the SHA-256 of. key.Counter is the counter of the last assertion that
// was accepted; store the counter returned, under a guard, before acting on the assertion.
// The error is of type Refusals.
func VerifyAppleAssertion(assertion []byte, key AppleKey, clientDataHash [32]byte) (counter uint32, err error) {
	parsed, err := parseAppleAssertion(assertion)
	if err != nil {
		return 0, err
	}
	parsedKey, err := x509.ParsePKIXPublicKey(key.SPKI)
	public, ok := parsedKey.(*ecdsa.PublicKey)
	if err != nil || !ok {
		return 0, refuse(CodeUnsupported, "the stored key is of an unsupported algorithm")
	}
	var refusals Refusals
	nonce := appleNonce(parsed.authData, clientDataHash)
	digest := sha256.Sum256(nonce[:])
	if !ecdsa.VerifyASN1(public, digest[:], parsed.signature) {
		refusals.add(CodeSignature, "the assertion's signature does not verify")
	}
	if app := sha256.Sum256([]byte(key.AppID)); parsed.head.rpIDHash != app {
		refusals.add(CodeApp, "the assertion is of another app")
	}
	if !parsed.launch.category.fits(key.Environment) {
		refusals.add(CodeEnvironment, "the app was signed in a way (category %d) that is none of the %s environment", parsed.launch.category, key.Environment)
	}
	if parsed.head.counter <= key.Counter {
		refusals.add(CodeCounter, "the assertion's counter %d did not rise above %d", parsed.head.counter, key.Counter)
	}
	if err := refusals.err(); err != nil {
		return 0, err
	}
	return parsed.head.counter, nil
}

// appleAssertion is a parsed assertion, not yet judged.
type appleAssertion struct {
	signature []byte
	authData  []byte
	head      authHead
	launch    launch
}

func parseAppleAssertion(assertion []byte) (*appleAssertion, error) {
	if len(assertion) == 0 || len(assertion) > MaxObject {
		return nil, refuse(CodeMalformed, "the assertion has %d bytes, not 1 to %d", len(assertion), MaxObject)
	}
	var fields struct {
		Signature []byte `cbor:"signature"`
		AuthData  []byte `cbor:"authenticatorData"`
	}
	if err := strictCBOR().Unmarshal(assertion, &fields); err != nil {
		return nil, refuse(CodeMalformed, "the assertion cannot be parsed: %v", err)
	}
	malformed := refuse(CodeMalformed, "the assertion's authenticator data cannot be parsed")
	head, ok := parseAuthHead(fields.AuthData)
	if !ok {
		return nil, malformed
	}
	launch, ok := parseLaunch(head.flags, fields.AuthData[authHeadSize:])
	if !ok {
		return nil, malformed
	}
	return &appleAssertion{fields.Signature, fields.AuthData, head, launch}, nil
}
