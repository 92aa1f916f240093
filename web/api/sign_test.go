package api_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"certwindow/cmd/phone/phonetest"
	"certwindow/hsm"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/remotesign"
)

// signatureBody is a request for a signature in form, and in nothing else.
var signatureBody = `{"activation":"A.A.A","secret":"AAAA","factors":[],"scope":"EMR-SIGN","hash_algorithm":"SHA-256","challenge":"` +
	strings.Repeat("A", 43) + `","hashes":[{"hash":"` + strings.Repeat("A", 43) + `=","title":"record","patients":1,"source":"HIS"}]}`

// phoneSecret is what this phone keeps for every key in the HSM.
var phoneSecret = bytes.Repeat([]byte{3}, hsm.SecretSize)

// activationKey reads the window's signed word on its key.
func (p *phone) activationKey() []byte {
	var keys struct {
		jose.JSONWebKeySet
		Activation string
	}
	p.do(p.request(http.MethodGet, "/keys", "")).into(p.t, &keys)
	jws, err := jose.ParseSignedCompact(keys.Activation, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		p.t.Fatal(err)
	}
	payload, err := jws.Verify(keys.Keys[0])
	if err != nil {
		p.t.Fatal(err)
	}
	var s remotesign.ActivationKeyStatement
	if err := json.Unmarshal(payload, &s); err != nil {
		p.t.Fatal(err)
	}
	return s.Key
}

func (p *phone) sealed(info []byte) []byte {
	out, err := hsm.SealActivation(p.activationKey(), info, phoneSecret)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// secretFor is the body of POST …/activation-secret.
func (p *phone) secretFor(a ra.Application) string {
	sealed := p.sealed(enrol.SecretInfo(a.ID, a.Challenge))
	return text(p.t, map[string][]byte{"secret": sealed, "signature": p.countersign(a.Consent, sealed)})
}

// inHSM enrols a key in the HSM.
func inHSM(t *testing.T, w *phonetest.Window, p *phone, person ra.PersonID, device ra.DeviceID) ra.Certificate {
	t.Helper()
	a := w.Apply(t, person, device, ra.KeyHSM, "P-256")
	path, key := "/applications/"+string(a.ID)+"/activation-secret", nonce()
	body := p.secretFor(a)
	first := p.post(path, body, key)
	if first.status != http.StatusAccepted {
		t.Fatalf("%d %s", first.status, first.body)
	}
	if again := p.post(path, body, key); !bytes.Equal(again.body, first.body) {
		t.Errorf("a lost answer is another the second time: %s", again.body)
	}
	return w.Issue(t, a.ID)
}

// activation signs activation data over hashes.
func (p *phone) activation(a remotesign.Activation, sealed []byte, items []remotesign.Item) string {
	sum, now := sha256.Sum256(sealed), p.w.Now().Unix()
	a.ID, a.Scope, a.HashAlgorithm, a.Factor, a.IssuedAt, a.Expires = nonce(), "EMR-SIGN", "SHA-256", "password", now, now+60
	a.Count, a.Hashes, a.Secret = len(items), hex.EncodeToString(remotesign.ItemsDigest("SHA-256", items)), hex.EncodeToString(sum[:])
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.key}, (&jose.SignerOptions{}).WithType(remotesign.ActivationType))
	if err != nil {
		p.t.Fatal(err)
	}
	jws, err := signer.Sign([]byte(text(p.t, a)))
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := jws.CompactSerialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func records(n int) (out []remotesign.Item) {
	for i := range n {
		sum := sha256.Sum256(fmt.Appendf(nil, "record %d", i))
		out = append(out, remotesign.Item{Hash: sum[:], Title: fmt.Sprintf("病歷 %d", i), Patients: 1, Source: "HIS"})
	}
	return out
}

// signing is the body of POST …/signatures for n records.
func (p *phone) signing(c ra.CertificateID, n int) string {
	var ch struct{ Challenge string }
	p.get("/certificates/"+string(c)+"/challenge").into(p.t, &ch)
	a := remotesign.Activation{Challenge: ch.Challenge, Certificate: string(c), Client: "device"}
	sealed := p.sealed(a.SecretInfo())
	var hashes []map[string]any
	for _, i := range records(n) {
		hashes = append(hashes, map[string]any{"hash": i.Hash, "title": i.Title, "patients": i.Patients, "source": i.Source})
	}
	return text(p.t, map[string]any{"activation": p.activation(a, sealed, records(n)), "secret": sealed, "factors": []map[string]string{{"kind": "password", "value": phonetest.Password.Reveal()}},
		"scope": "EMR-SIGN", "hash_algorithm": "SHA-256", "challenge": ch.Challenge, "hashes": hashes})
}

// HCA-6.3.7: keys in the HSM are used from inside the institution's network only, whatever a header says.
func TestClosedNetwork(t *testing.T) {
	for name, closed := range map[string][]netip.Prefix{"another network": {netip.MustParsePrefix("10.0.0.0/8")}, "no network": {}} {
		_, p, _, _ := bound(t, phonetest.Options{ClosedNetwork: closed})
		want(t, name+", from 127.0.0.1", p.post("/certificates/"+anID+"/signatures", signatureBody, nonce()), 422, "outside-network", "HCA-6.3.7")
		r := p.sign(p.request(http.MethodPost, "/certificates/"+anID+"/signatures", signatureBody), signatureBody)
		for _, h := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded"} {
			r.Header.Set(h, "10.1.2.3")
		}
		r.Header.Set("Idempotency-Key", nonce())
		want(t, name+", with headers", p.do(r), 422, "outside-network", "HCA-6.3.7")
		want(t, name+", released", p.post("/authorisations/"+anID+"/release", `{"activation":"A.A.A","secret":"AAAA","factors":[]}`, nonce()), 422,
			"outside-network", "HCA-6.3.7")
	}
}

// HCA-6.3.5: a signature that was lost on its way is not made twice: the same key gives the same one, and activation
// data that was used makes no other.
func TestSignOnce(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{HSM: true})
	c := inHSM(t, w, p, person, device)
	path, key := "/certificates/"+string(c.ID)+"/signatures", nonce()
	body := p.signing(c.ID, 3)
	first := p.post(path, body, key)
	var out struct{ Signatures [][]byte }
	first.into(t, &out)
	if first.status != 200 || len(out.Signatures) != 3 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	cert, err := x509.ParseCertificate(c.DER)
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range records(3) {
		if !ecdsa.VerifyASN1(cert.PublicKey.(*ecdsa.PublicKey), item.Hash, out.Signatures[i]) {
			t.Errorf("signature %d does not verify", i)
		}
	}
	if again := p.post(path, body, key); string(again.body) != string(first.body) {
		t.Error("ECDSA signatures differ each time; these were made anew")
	}
	want(t, "the same activation again", p.post(path, body, nonce()), 422, "activation-used", "HCA-6.3.5")
	if other := p.post(path, p.signing(c.ID, 3), nonce()); other.status != 200 || string(other.body) == string(first.body) {
		t.Errorf("another request got the kept answer: %d %s", other.status, other.body)
	}
}

// HCA-7.4: on a shared tablet who repeats another holder's request, to the letter and under its key, is not given its answer.
// The holder himself still is.
func TestAnotherHoldersAnswer(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{HSM: true})
	chen, lin := w.Person(t, 1), w.Person(t, 2)
	device := w.Device(t, "ICU-01", chen, lin)
	p := newPhone(t, w)
	p.bind(device)
	w.Account(t, chen, "chen")
	w.Account(t, lin, "lin")
	p.signIn("chen")
	c := inHSM(t, w, p, chen, device)
	path, body, key := "/certificates/"+string(c.ID)+"/signatures", p.signing(c.ID, 1), nonce()
	first := p.post(path, body, key)
	if first.status != 200 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	p.signIn("lin")
	want(t, "another holder repeats it", p.post(path, body, key), 409, "idempotency-key-reused", "")
	p.signIn("chen")
	if again := p.post(path, body, key); string(again.body) != string(first.body) {
		t.Errorf("the holder himself: %d %s", again.status, again.body)
	}
}

// HCA-6.3.5: a record system asks, the phone sees everything that is asked and releases it, and the signatures are the
// system's alone. What was denied is not released any more.
func TestReleaseForASystem(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{HSM: true})
	releaseForASystem(t, w, p, person, device)
}

// HCA-7.4: on a device that several holders use it goes the same way for the one who is signed in.
func TestReleaseOnASharedDevice(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{HSM: true})
	person := w.Person(t, 1)
	device := w.Device(t, "ICU-01", person, w.Person(t, 2))
	p := newPhone(t, w)
	p.bind(device)
	w.Account(t, person, "doctor")
	p.signIn("doctor")
	releaseForASystem(t, w, p, person, device)
}

func releaseForASystem(t *testing.T, w *phonetest.Window, p *phone, person ra.PersonID, device ra.DeviceID) {
	t.Helper()
	c := inHSM(t, w, p, person, device)
	w.Clients["his"] = remotesign.Client{ID: "his", Institution: phonetest.Code, Scopes: []string{"EMR-SIGN"}}
	ask := func() (remotesign.Authorisation, string) {
		a, handle, err := w.Sign.Request(t.Context(), ra.Actor{Kind: ra.ActorClient, ID: "his", Address: "127.0.0.1"}, remotesign.Ask{Client: "his", Certificate: c.ID, Scope: "EMR-SIGN",
			HashAlgorithm: "SHA-256", Items: records(2)})
		if err != nil {
			t.Fatal(err)
		}
		return a, handle
	}
	a, handle := ask()
	var list struct {
		Authorisations []struct {
			Authorisation, Client, Challenge string
			Hashes                           []struct {
				Hash  []byte
				Title string
			}
		}
	}
	p.get("/certificates/"+string(c.ID)+"/authorisations").into(t, &list)
	if len(list.Authorisations) != 1 || list.Authorisations[0].Client != "his" || len(list.Authorisations[0].Hashes) != 2 ||
		list.Authorisations[0].Hashes[1].Title != "病歷 1" || list.Authorisations[0].Challenge != base64.RawURLEncoding.EncodeToString(a.Challenge) {
		t.Fatalf("%+v", list)
	}
	release := func(a remotesign.Authorisation) string {
		act := remotesign.Activation{Authorisation: string(a.ID), Challenge: base64.RawURLEncoding.EncodeToString(a.Challenge), Certificate: string(c.ID), Client: "his"}
		sealed := p.sealed(act.SecretInfo())
		return text(t, map[string]any{"activation": p.activation(act, sealed, records(2)), "secret": sealed, "factors": []map[string]string{{"kind": "password", "value": phonetest.Password.Reveal()}}})
	}
	if got := p.post("/authorisations/"+string(a.ID)+"/release", release(a), nonce()); got.status != 200 || strings.Contains(string(got.body), "stopped") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	s, err := w.Sign.Check(t.Context(), ra.Actor{}, "his", handle)
	if err != nil || s.State != remotesign.Released {
		t.Fatalf("%+v, %v", s, err)
	}
	if sigs, err := w.Sign.Collect(t.Context(), ra.Actor{Kind: ra.ActorClient, ID: "his", Address: "127.0.0.1"}, "his", s.SAD, [][]byte{records(2)[0].Hash, records(2)[1].Hash}); err != nil || len(sigs) != 2 {
		t.Fatalf("%d signatures, %v", len(sigs), err)
	}
	b, _ := ask()
	if got := p.post("/authorisations/"+string(b.ID)+"/denial", "{}", nonce()); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	want(t, "released after the denial", p.post("/authorisations/"+string(b.ID)+"/release", release(b), nonce()), 422, "authorisation-over", "HCA-6.3.5")
	want(t, "denied twice", p.post("/authorisations/"+string(b.ID)+"/denial", "{}", nonce()), 409, "moved-on", "")
}
