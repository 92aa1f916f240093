package remotesign_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/remotesign"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// ward is a hospital whose doctors' keys are in an HSM.
type ward struct {
	*storetest.World
	*remotesign.Service
	token     remotesign.Keys
	module    *p11.Token
	statement *ecdsa.PrivateKey
	doctor    ra.PersonID
	phone     *storetest.Phone
	secret    []byte // that the doctor's phone keeps
	cert      ra.Certificate
	public    *ecdsa.PublicKey
	systems   systems
}

// The two record systems that may ask for signatures.
const (
	records   remotesign.ClientID = "records"
	elsewhere remotesign.ClientID = "elsewhere"
)

type systems map[remotesign.ClientID]remotesign.Client

func (s systems) Client(_ context.Context, id remotesign.ClientID) (remotesign.Client, error) {
	if c, ok := s[id]; ok {
		return c, nil
	}
	return remotesign.Client{}, ra.Errorf(ra.KindNotFound, "client-unknown", nil, "There is no such system.")
}

// password is a judge of holders who knows one password.
type password string

func (p password) Prove(_ context.Context, _ ra.Actor, _ ra.PersonID, _ ra.DeviceFacts, factors []remotesign.Factor, purpose string) error {
	if len(factors) == 1 && factors[0].Kind == "password" && string(factors[0].Value.Bytes()) == string(p) && purpose != "" {
		return nil
	}
	return ra.Refuse("HCA-7.4", "holder-unknown", "The holder did not prove who they are. Nothing was signed.", nil)
}

// inside is the address of a phone in the hospital's own network.
const inside = "10.1.2.3"

// system is the record system in the same network.
var system = ra.Actor{Kind: ra.ActorClient, ID: string(records), Address: inside}

// newWard makes a doctor with a phone, and a certificate for a key in the HSM.
func newWard(t *testing.T, token *p11.Token) *ward { return newWardOn(t, token, storetest.SQLite(t)) }

func newWardOn(t *testing.T, token *p11.Token, db *store.DB) *ward {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{World: storetest.NewWorld(t, db), token: token, module: token, statement: key, secret: bytes.Repeat([]byte{5}, hsm.SecretSize)}
	w.systems = systems{records: {ID: records, Institution: storetest.Window, Scopes: []string{"EMR-SIGN"}},
		elsewhere: {ID: elsewhere, Institution: storetest.Clinic, Scopes: []string{"EMR-SIGN"}}}
	w.serve(t, nil)
	w.doctor = w.Doctor(t, "陳小華", "1001")
	w.phone = w.Phone(t, storetest.Window, w.doctor)
	w.cert, w.public = w.hsmCertificate(t, w.doctor, w.phone)
	return w
}

// serve makes the use case, with something changed.
func (w *ward) serve(t testing.TB, change func(*remotesign.Config)) {
	t.Helper()
	activation, err := w.module.ActivationKey(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	c := remotesign.Config{Life: policy.Always(10 * time.Minute), Store: store.SignStore{Store: w.Store}, Keys: w.token, Statement: w.statement, KeyID: "status", Issuer: "https://window.example.org",
		ActivationKey: activation, ChallengeKey: hsm.NewSecret([]byte("challenge key")), Factors: password("right"), Clients: w.systems,
		Zones: policy.Zones{Closed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, HSM: []policy.Zone{policy.ZoneClosed}}, Now: w.Clock.Now, Rand: rand.Reader}
	if change != nil {
		change(&c)
	}
	if w.Service, err = remotesign.New(c); err != nil {
		t.Fatal(err)
	}
}

// hsmCertificate makes a key in the HSM as an enrolment does, and a certificate for it.
func (w *ward) hsmCertificate(t testing.TB, person ra.PersonID, phone *storetest.Phone) (ra.Certificate, *ecdsa.PublicKey) {
	t.Helper()
	return w.keyed(t, w.Issue(t, person, phone, 1, func(c *ra.Certificate) { c.KeyDesign = ra.KeyHSM }))
}

// hsmCertificateAt makes the doctor another one, in another of the five places.
func (w *ward) hsmCertificateAt(t testing.TB, slot int) (ra.Certificate, *ecdsa.PublicKey) {
	t.Helper()
	return w.keyed(t, w.Issue(t, w.doctor, w.phone, slot, func(c *ra.Certificate) { c.KeyDesign = ra.KeyHSM }))
}

// keyed makes a certificate's key.
func (w *ward) keyed(t testing.TB, c ra.Certificate) (ra.Certificate, *ecdsa.PublicKey) {
	t.Helper()
	k, err := w.module.GenerateSealed(context.Background(), hsm.P256, hsm.Binding{Person: string(c.PersonID), Device: string(c.DeviceID), Application: string(c.ApplicationID)},
		hsm.NewSecret(w.secret))
	if err != nil {
		t.Fatal(err)
	}
	w.Update(t, func(tx *store.Tx) error {
		a, err := tx.Application("", c.ApplicationID)
		if err != nil {
			return err
		}
		return tx.SaveHolderKey(a, k, w.Clock.Now())
	})
	pub, err := x509.ParsePKIXPublicKey(k.SPKI)
	if err != nil {
		t.Fatal(err)
	}
	return c, pub.(*ecdsa.PublicKey)
}

func device(p *storetest.Phone) ra.Actor {
	return ra.Actor{Kind: ra.ActorDevice, ID: string(p.ID), Institution: storetest.Window, Address: inside}
}

// items are n hashes with labels.
func items(n int) (out []remotesign.Item) {
	for i := range n {
		sum := sha256.Sum256(fmt.Appendf(nil, "record %d", i))
		out = append(out, remotesign.Item{Hash: sum[:], Title: fmt.Sprintf("出院病歷摘要 %d", i), Patients: 1, Source: "HIS"})
	}
	return out
}

// told is what a phone says and sends, for a test to change before it is signed and after.
type told struct {
	phone      *storetest.Phone
	items      []remotesign.Item
	activation remotesign.Activation
	info       []byte
	secret     []byte
	factor     remotesign.Factor
	send       func(*remotesign.Release)
}

// release is what a phone sends for an activation.
func (w *ward) release(t testing.TB, a remotesign.Activation, list []remotesign.Item, change func(*told)) remotesign.Release {
	t.Helper()
	now := w.Clock.Now().Unix()
	a.ID, a.HashAlgorithm, a.Factor, a.IssuedAt, a.Expires = rand.Text(), "SHA-256", "password", now, now+60
	x := &told{phone: w.phone, items: list, activation: a, info: a.SecretInfo(), secret: w.secret, factor: remotesign.NewFactor("password", []byte("right"))}
	x.activation.Count, x.activation.Hashes = len(list), hex.EncodeToString(remotesign.ItemsDigest("SHA-256", list))
	if change != nil {
		change(x)
	}
	key, err := w.module.ActivationKey(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := hsm.SealActivation(key, x.info, x.secret)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(sealed)
	if x.activation.Secret == "" {
		x.activation.Secret = hex.EncodeToString(sum[:])
	}
	r := remotesign.Release{Activation: jws(t, x.phone.Key, remotesign.ActivationType, x.activation), Secret: sealed, Factors: []remotesign.Factor{x.factor}}
	if x.send != nil {
		x.send(&r)
	}
	return r
}

func jws(t testing.TB, key *ecdsa.PrivateKey, typ string, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	out, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// own is what the app itself asks, on a fresh challenge.
func (w *ward) own(t testing.TB, c ra.Certificate, list []remotesign.Item) (remotesign.Own, remotesign.Activation) {
	t.Helper()
	challenge, _, err := w.Challenge(context.Background(), c.DeviceID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return remotesign.Own{Certificate: c.ID, Scope: "EMR-SIGN", HashAlgorithm: "SHA-256", Items: list, Challenge: challenge},
		remotesign.Activation{Challenge: challenge, Certificate: string(c.ID), Client: "device", Scope: "EMR-SIGN"}
}

// sign has one hash signed by the doctor's own app.
func (w *ward) sign(t testing.TB, change func(*told)) ([]byte, error) {
	t.Helper()
	own, a := w.own(t, w.cert, items(1))
	out, err := w.Sign(context.Background(), device(w.phone), w.phone.ID, own, w.release(t, a, own.Items, change))
	if err != nil {
		return nil, err
	}
	return out.Signatures[0], out.Stopped
}

// request has the record system ask for signatures.
func (w *ward) request(t testing.TB, n int) (remotesign.Authorisation, string) {
	t.Helper()
	a, handle, err := w.Request(context.Background(), system, w.ask(n))
	if err != nil {
		t.Fatal(err)
	}
	return a, handle
}

func (w *ward) ask(n int) remotesign.Ask {
	return remotesign.Ask{Client: records, Certificate: w.cert.ID, Scope: "EMR-SIGN", HashAlgorithm: "SHA-256", Items: items(n)}
}

// activationOf is what the phone signs to release an authorisation.
func activationOf(a remotesign.Authorisation) remotesign.Activation {
	return remotesign.Activation{Authorisation: string(a.ID), Challenge: base64.RawURLEncoding.EncodeToString(a.Challenge), Certificate: string(a.Certificate),
		Client: string(a.Client), Scope: a.Scope}
}

// accept has the doctor's phone release an authorisation.
func (w *ward) accept(t testing.TB, a remotesign.Authorisation, change func(*told)) (remotesign.Outcome, error) {
	t.Helper()
	return w.Release(context.Background(), device(w.phone), w.phone.ID, a.ID, w.release(t, activationOf(a), a.Items, change))
}

func digestOf(list []remotesign.Item) string {
	return hex.EncodeToString(remotesign.ItemsDigest("SHA-256", list))
}

func (w *ward) status(c ra.Certificate) (string, error) {
	got, err := w.Status(context.Background(), device(w.phone), w.phone.ID, c.ID, "")
	return got.Token, err
}

// refusal fails the test unless err is a refusal under the clause with the code.
func refusal(t testing.TB, what string, err error, clause, code string) {
	t.Helper()
	e := ra.AsError(err)
	if err == nil || string(e.Clause) != clause || e.Code != code {
		t.Errorf("%s: %v, want a refusal %s %s", what, err, clause, code)
	}
}
