package remotesign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// signedActivation is activation data by a fresh device key.
func signedActivation(t testing.TB) (token string, spki []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if spki, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(Activation{ID: "0123456789abcdef", Challenge: strings.Repeat("A", 43), Certificate: "01JD8Z00000000000000000000", Client: "device",
		Scope: "EMR-SIGN", HashAlgorithm: "SHA-256", Count: 1, Hashes: strings.Repeat("0", 64), Secret: strings.Repeat("1", 64), Factor: "biometric", IssuedAt: 1, Expires: 2})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType(ActivationType))
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	if token, err = jws.CompactSerialize(); err != nil {
		t.Fatal(err)
	}
	return token, spki
}

// FuzzOpenActivation: of all texts only the one that the device's key signed is activation data, it says what was signed,
// and it has one name, by which it is taken once (HCA-6.3.5).
func FuzzOpenActivation(f *testing.F) {
	token, spki := signedActivation(f)
	parts := strings.Split(token, ".")
	text := base64.RawURLEncoding.EncodeToString
	for _, seed := range []string{token, "", "..", "a.b.c", token + ".", token + "A", strings.ToLower(token), parts[0] + "." + parts[1] + ".",
		text([]byte(`{"alg":"none","typ":"certwindow-activation+jwt"}`)) + "." + parts[1] + ".",
		text([]byte(`{"alg":"HS256","typ":"certwindow-activation+jwt"}`)) + "." + parts[1] + "." + parts[2],
		text([]byte(`{"alg":"ES256","alg":"ES256","typ":"certwindow-activation+jwt","b64":false,"crit":["b64"]}`)) + "." + parts[1] + "." + parts[2],
		parts[0] + "." + text([]byte(strings.Repeat(`[`, 3000))) + "." + parts[2], strings.Repeat("A", maxActivation+1)} {
		f.Add(seed)
	}
	want, name, err := openActivation(token, spki)
	if err != nil || hex.EncodeToString(name[:]) != ActivationName(token) {
		f.Fatalf("what the device signed: %v", err)
	}
	signed := parts[0] + "." + parts[1] + "."
	f.Fuzz(func(t *testing.T, other string) {
		a, n, err := openActivation(other, spki)
		if err != nil {
			return
		}
		if !strings.HasPrefix(other, signed) || a != want || n != name || ActivationName(other) != ActivationName(token) {
			t.Errorf("%q is taken for what the device signed", other)
		}
	})
}
