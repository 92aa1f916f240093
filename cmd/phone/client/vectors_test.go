package client

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"

	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/hsm"
	"certwindow/ra"
	"certwindow/ra/csr"
	"certwindow/ra/enrol"
	"certwindow/ra/remotesign"
	"certwindow/web/api/httpsig"
)

var update = flag.Bool("update", false, "write docs/vectors.json anew")

const vectorFile = "../../../docs/vectors.json"

// What the vectors are about: one phone, one binding, one application, one batch of two hashes.
const (
	vectorServer      = "https://window.hospital.example"
	vectorCode        = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	vectorPin         = "6a0d7e1d0f2c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2"
	vectorStatus      = "0f1e2d3c4b5a69788796a5b4c3d2e1f06a0d7e1d0f2c4b5a69788796a5b4c3d2"
	vectorApplication = "01JD8Z0000000000000000000A"
	vectorCertificate = "01JD8Z0000000000000000000C"
	vectorNonce       = "bm9uY2Utb2YtdmVjdG9ycw"
	vectorCreated     = 1795320000
)

// vectorKey is a key that anybody can make again: its private value is the SHA-256 of its name.
func vectorKey(t *testing.T, name string) deterministic {
	t.Helper()
	scalar := sha256.Sum256([]byte("certwindow test vector: " + name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	must(t, err)
	return deterministic{key}
}

// deterministic signs as RFC 6979 says, so that the file comes out the same every time.
type deterministic struct{ *ecdsa.PrivateKey }

func (d deterministic) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return d.PrivateKey.Sign(nil, digest, opts)
}

func (d deterministic) spki(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(d.Public())
	must(t, err)
	return der
}

func (d deterministic) document(t *testing.T) map[string]any {
	t.Helper()
	raw, err := d.Bytes()
	must(t, err)
	spki := d.spki(t)
	return map[string]any{"private_hex": hex.EncodeToString(raw), "spki": spki, "keyid": ra.KeyHash(spki)}
}

func (d deterministic) signed(t *testing.T, message []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(message)
	signature, err := d.Sign(nil, sum[:], crypto.SHA256)
	must(t, err)
	return signature
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bindingVectors: the QR, what both screens show, and what the platforms attest.
func bindingVectors(t *testing.T, device deterministic) map[string]any {
	qr := devices.BindText{Server: vectorServer, Code: vectorCode, WindowKeys: devices.WindowKeys{Pin: vectorPin, Status: vectorStatus}}
	parsed, err := devices.ParseBindText(qr.String())
	must(t, err)
	challenge, clientData := devices.BindingChallenge(parsed.Code), ra.ClientData(devices.BindingChallenge(parsed.Code), device.spki(t))
	return map[string]any{"qr": qr.String(), "server": parsed.Server, "code": parsed.Code, "roots": parsed.Pin, "status": parsed.Status,
		"short_code": devices.ShortCode(parsed.Code, parsed.WindowKeys, device.spki(t)), "attestation_challenge_hex": hex.EncodeToString(challenge),
		"app_attest_client_data_hash_hex": hex.EncodeToString(clientData[:])}
}

// requestVectors: signed requests with and without a body.
func requestVectors(t *testing.T, device deterministic) (out []any) {
	for _, c := range [][3]string{{"GET", "/api/v1/applications", ""}, {"POST", "/api/v1/device/certificate", "{}"},
		{"POST", "/api/v1/holder/login", `{"account":"wang","proofs":[{"kind":"password","value":"correct horse 7"}]}`}} {
		r, err := http.NewRequestWithContext(t.Context(), c[0], vectorServer+c[1], nil)
		must(t, err)
		body := []byte(c[2])
		must(t, httpsig.Sign(r, body, device, httpsig.Params{Created: time.Unix(vectorCreated, 0), Nonce: vectorNonce, KeyID: ra.KeyHash(device.spki(t))}))
		read, err := httpsig.Read(r, body)
		must(t, err)
		out = append(out, map[string]any{"method": c[0], "path": c[1], "body": c[2], "created": vectorCreated, "nonce": vectorNonce, "signature_base": string(read.Base()),

			"content_digest": r.Header.Get(httpsig.HeaderDigest), "signature_input": r.Header.Get(httpsig.HeaderInput), "signature": r.Header.Get(httpsig.HeaderSignature)})
	}
	return out
}

// keyVectors: a holder's key on the phone, for one application.
func keyVectors(t *testing.T, device deterministic) map[string]any {
	holder, challenge, consent := vectorKey(t, "holder key"), sha256.Sum256([]byte("challenge")), []byte("the card-signed message")
	request, err := csr.Make(holder, pkix.Name{Country: []string{"TW"}, CommonName: "王小明", SerialNumber: "0000000112345678"}, challenge[:])
	must(t, err)
	consentSum, requestSum := sha256.Sum256(consent), sha256.Sum256(request)
	message := enrol.ChainMessage(consent, request)
	clientData := ra.ClientData(challenge[:], holder.spki(t))
	return map[string]any{"holder_key": holder.document(t), "challenge": csr.Challenge(challenge[:]), "consent_sha256": hex.EncodeToString(consentSum[:]), "csr": request,
		"csr_sha256": hex.EncodeToString(requestSum[:]), "signed_message_hex": hex.EncodeToString(message), "signature": device.signed(t, message),
		"attestation_challenge_hex": hex.EncodeToString(challenge[:]), "app_attest_client_data_hash_hex": hex.EncodeToString(clientData[:])}
}

// sealedBefore is the encrypted secret that the file has, while it still opens: encryption is never twice the same.
func sealedBefore(t *testing.T, key *ecdh.PrivateKey, info, secret []byte, part string) []byte {
	t.Helper()
	raw, err := os.ReadFile(vectorFile)
	if err == nil {
		var whole map[string]json.RawMessage
		if json.Unmarshal(raw, &whole) == nil {
			var old struct{ Sealed []byte }
			if json.Unmarshal(whole[part], &old) == nil {
				if opened, err := hsm.OpenActivation(key, info, old.Sealed); err == nil && bytes.Equal(opened.Bytes(), secret) {
					return old.Sealed
				}
			}
		}
	}
	if !*update {
		t.Fatalf("docs/vectors.json: the encrypted secret of %s does not open; write the file anew with -update", part)
	}
	sealed, err := hsm.SealActivation(key.PublicKey().Bytes(), info, secret)
	must(t, err)
	return sealed
}

// secretVectors: the phone's secret on its way to the HSM, when a key is made.
func secretVectors(t *testing.T, device deterministic) map[string]any {
	key, err := vectorKey(t, "activation key").ECDH()
	must(t, err)
	challenge, secret := sha256.Sum256([]byte("challenge")), sha256.Sum256([]byte("phone secret"))
	info := hsm.ActivationInfo(enrol.SecretPurpose, vectorApplication, challenge[:])
	sealed := sealedBefore(t, key, info, secret[:], "activation_secret")
	consent := []byte("the card-signed message")
	return map[string]any{"window_private_hex": hex.EncodeToString(key.Bytes()), "window_public": key.PublicKey().Bytes(), "application": vectorApplication,
		"challenge": csr.Challenge(challenge[:]), "info_hex": hex.EncodeToString(info), "secret_hex": hex.EncodeToString(secret[:]), "sealed": sealed,
		"signature": device.signed(t, enrol.ChainMessage(consent, sealed))}
}

// releaseVectors: activation data for two hashes, the secret that goes with it, and a biometric proof of it.
func releaseVectors(t *testing.T, device deterministic) map[string]any {
	key, err := vectorKey(t, "activation key").ECDH()
	must(t, err)
	challenge, secret := sha256.Sum256([]byte("signing challenge")), sha256.Sum256([]byte("phone secret"))
	items := make([]remotesign.Item, 2)
	hashes := make([]Hash, 2)
	for i, title := range []string{"出院病歷摘要", "Prescription 7"} {
		sum := sha256.Sum256([]byte(title))
		items[i] = remotesign.Item{Hash: sum[:], Title: title, Patients: i + 1, Source: "HIS"}
		hashes[i] = Hash{Hash: sum[:], Title: title, Patients: i + 1, Source: "HIS"}
	}
	a := remotesign.Activation{ID: "vectors-0123456789", Challenge: csr.Challenge(challenge[:]), Certificate: vectorCertificate, Client: string(remotesign.DeviceClient),
		Scope: "EMR-SIGN", HashAlgorithm: "SHA-256", Count: len(items), Hashes: hex.EncodeToString(remotesign.ItemsDigest("SHA-256", items)), Factor: "biometric",
		IssuedAt: vectorCreated, Expires: vectorCreated + activationLife}
	sealed := sealedBefore(t, key, a.SecretInfo(), secret[:], "release")
	sum := sha256.Sum256(sealed)
	a.Secret = hex.EncodeToString(sum[:])
	payload, err := json.Marshal(a)
	must(t, err)
	jws := activationJWS(t, device, payload)
	finger, statement := vectorKey(t, "biometric key"), appcred.Statement(appcred.ForSignature, remotesign.ActivationName(jws))
	return map[string]any{"hashes": hashes, "hash_algorithm": "SHA-256", "hashes_sha256": a.Hashes, "info_hex": hex.EncodeToString(a.SecretInfo()), "sealed": sealed,
		"payload": string(payload), "activation": jws, "activation_name": remotesign.ActivationName(jws),
		"biometric_key": finger.document(t), "biometric_message_hex": hex.EncodeToString(statement), "biometric_signature": finger.signed(t, statement)}
}

// activationJWS is activation data as the device key signs it, and as the window's library reads it.
func activationJWS(t *testing.T, key deterministic, payload []byte) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: cryptosigner.Opaque(key)}, (&jose.SignerOptions{}).WithType(remotesign.ActivationType))
	must(t, err)
	signed, err := signer.Sign(payload)
	must(t, err)
	jws, err := signed.CompactSerialize()
	must(t, err)
	parsed, err := jose.ParseSignedCompact(jws, []jose.SignatureAlgorithm{jose.ES256})
	must(t, err)
	if got, err := parsed.Verify(key.Public()); err != nil || !bytes.Equal(got, payload) {
		t.Fatalf("%s: %v", got, err)
	}
	return jws
}

// The vectors by which other people's clients test themselves say what this client and the window do (docs/vectors.md).
func TestVectors(t *testing.T) {
	device := vectorKey(t, "device key")
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	must(t, e.Encode(map[string]any{"device_key": device.document(t), "binding": bindingVectors(t, device), "requests": requestVectors(t, device),
		"key": keyVectors(t, device), "activation_secret": secretVectors(t, device), "release": releaseVectors(t, device)}))
	got := out.Bytes()
	if *update {
		must(t, os.WriteFile(vectorFile, got, 0o644))
	}
	have, err := os.ReadFile(vectorFile)
	must(t, err)
	if !bytes.Equal(got, have) {
		t.Errorf("docs/vectors.json is not what the code does; write it anew with -update and tell the app's developers:\n%s", firstDifference(got, have))
	}
}

func firstDifference(got, have []byte) string {
	a, b := strings.Split(string(got), "\n"), strings.Split(string(have), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "is   " + a[i] + "\nfile " + b[i]
		}
	}
	return "one of them is longer"
}
