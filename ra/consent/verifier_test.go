package consent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/certpath"
	"certwindow/ra/certpath/fetch"
	"certwindow/ra/cms"
	"certwindow/ra/consent"
	"certwindow/ra/hca/hcasim"
	"certwindow/ra/hca/hcatest"
)

// counter is a window's judge of cards, that asks the simulated HCA's own status services over HTTP.
type counter struct {
	sim    *hcasim.Server
	card   *hcasim.Card
	cfg    consent.Config
	mobile map[string]bool
	broken error // of the register
	want   consent.Expected
}

func parse(t testing.TB, x *x509.Certificate) *certpath.Certificate {
	t.Helper()
	c, err := certpath.ParseCertificate(x.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newCounter(t testing.TB) *counter {
	t.Helper()
	w := hcatest.NewWindow(t)
	client, err := fetch.New(fetch.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{sim: w.Server, card: w.Card, mobile: map[string]bool{}}
	c.cfg = consent.Config{Anchors: certpath.NewPool(parse(t, w.Server.Root())), Intermediates: []*certpath.Certificate{parse(t, w.Server.CA())},
		Fetcher: client, Skew: time.Minute,
		Marks: cardmsg.Marks{Attributes: []cardmsg.AttributeMark{{OID: hcasim.OIDCardRank, Values: []string{"primary"}}}}}
	c.want = expected(t, w.Card)
	return c
}

// expected is what the window issued to a card's holder just now.
func expected(t testing.TB, card *hcasim.Card) consent.Expected {
	t.Helper()
	id, err := ra.NewID(time.Now(), bytes.NewReader(make([]byte, 16)))
	if err != nil {
		t.Fatal(err)
	}
	issued := time.Now().UTC().Truncate(time.Second)
	nonce := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32))
	holder, name := card.Certificate.Subject.SerialNumber, card.Certificate.Subject.CommonName
	text, err := cardmsg.Enrolment{Application: ra.ApplicationID(id), Nonce: nonce, Issued: issued, Expires: issued.Add(5 * time.Minute),
		Window: hcatest.Institution, Institution: hcatest.Institution, Holder: holder, Name: name, Device: "D-1", DeviceKey: sha256.Sum256(nil),
		Carrier: ra.CarrierDevice, Scope: []string{"EMR-SIGN"}, Key: ra.KeyApp}.Text()
	if err != nil {
		t.Fatal(err)
	}
	return consent.Expected{Text: text, Nonce: nonce, Holder: holder, Name: name, Issued: issued, Expires: issued.Add(5 * time.Minute), Clause: "HCA-5.1.1"}
}

func (c *counter) verifier(now func() time.Time) *consent.Verifier {
	return consent.New(c.cfg, func(_ context.Context, issuerKey, serial string) (bool, error) {
		return c.mobile[issuerKey+" "+serial], c.broken
	}, now)
}

func (c *counter) verify(der []byte) (consent.Verified, error) {
	return c.verifier(time.Now).Verify(context.Background(), c.want, der)
}

func sign(t testing.TB, card *hcasim.Card, text []byte, at time.Time) []byte {
	t.Helper()
	der, err := cms.Sign(text, card.Key, card.Certificate.Raw, cms.SignOptions{SigningTime: at})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// HCA-5.1.1, HCA-3.3: a good message is taken, with the path and the answers by which it was judged, to judge it again by.
func TestGoodMessage(t *testing.T) {
	c := newCounter(t)
	der := sign(t, c.card, c.want.Text, time.Now())
	v, err := c.verify(der)
	if err != nil {
		t.Fatal(err)
	}
	signer, message := sha256.Sum256(c.card.Certificate.Raw), sha256.Sum256(der)
	if v.Bare || v.SignerFingerprint != hex.EncodeToString(signer[:]) || v.MessageSHA256 != hex.EncodeToString(message[:]) {
		t.Errorf("%+v", v)
	}
	var p consent.Proof
	if err := json.Unmarshal(v.Proof, &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Path) != 3 || !bytes.Equal(p.Path[0], c.card.Certificate.Raw) || !bytes.Equal(p.Path[2], c.sim.Root().Raw) || time.Since(p.JudgedAt) > time.Minute {
		t.Errorf("a path of %d certificates, judged at %s", len(p.Path), p.JudgedAt)
	}
	if len(p.Revocation) < 2 {
		t.Errorf("%d status answers for two certificates", len(p.Revocation))
	}
	for _, r := range p.Revocation {
		if (r.Kind != "ocsp" && r.Kind != "crl") || len(r.DER) == 0 {
			t.Errorf("an answer of kind %q, %d bytes", r.Kind, len(r.DER))
		}
	}
}

// HCA-5.1.1, HCA-8.1.3, HCA-8.1.4: what is not this holder's card's signature over exactly this text, now, is refused
// under its clause.
func TestRefusedMessages(t *testing.T) {
	c := newCounter(t)
	institution, err := c.sim.IssueCard("測試醫院", "0101090517", hcasim.Institution)
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.sim.IssueCard("王美麗", "1111222233334444", hcasim.Person)
	if err != nil {
		t.Fatal(err)
	}
	attached := *c.card // a card of another rank, as a mobile certificate has none
	dedicated, err := c.sim.IssueDedicatedFor(c.card.Key.Public(), "0101090517", "測試醫院")
	if err != nil {
		t.Fatal(err)
	}
	attached.Certificate = dedicated
	now := time.Now()
	for name, der := range map[string][]byte{
		"no CMS":             []byte("yes"),
		"nothing":            nil,
		"another text":       sign(t, c.card, append(bytes.Clone(c.want.Text), '\n'), now),
		"another person":     sign(t, other, c.want.Text, now),
		"an institution":     sign(t, institution, c.want.Text, now),
		"not an IC card":     sign(t, &attached, c.want.Text, now),
		"signed before":      sign(t, c.card, c.want.Text, now.Add(-time.Hour)),
		"signed in a while":  sign(t, c.card, c.want.Text, now.Add(time.Hour)),
		"bytes after it":     append(sign(t, c.card, c.want.Text, now), 0),
		"signature tampered": tampered(sign(t, c.card, c.want.Text, now)),
	} {
		v, err := c.verify(der)
		e := ra.AsError(err)
		if err == nil || e.Kind != ra.KindRefused || e.Clause == "" || v.Proof != nil {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	good := sign(t, c.card, c.want.Text, now)
	if _, err := c.verifier(func() time.Time { return now.Add(10 * time.Minute) }).Verify(context.Background(), c.want, good); ra.KindOf(err) != ra.KindRefused {
		t.Errorf("after its end: %v", err)
	}
	c.want.Clause = "HCA-5.2.1"
	if _, err := c.verify(sign(t, other, c.want.Text, now)); ra.AsError(err).Clause != "HCA-5.2.1" {
		t.Errorf("a revocation is refused under %q", ra.AsError(err).Clause)
	}
}

func tampered(der []byte) []byte {
	der[len(der)-1] ^= 1
	return der
}

// HCA-5.1.1: a certificate of this window's own register is no card, and where the register cannot be asked nothing is taken.
func TestRegister(t *testing.T) {
	c := newCounter(t)
	good := sign(t, c.card, c.want.Text, time.Now())
	x := c.card.Certificate
	c.mobile[hex.EncodeToString(x.AuthorityKeyId)+" "+x.SerialNumber.Text(16)] = true
	if _, err := c.verify(good); ra.KindOf(err) != ra.KindRefused || ra.AsError(err).Clause != "HCA-5.1.1" {
		t.Errorf("a mobile certificate: %v", err)
	}
	c.mobile, c.broken = nil, errors.New("database is gone")
	if _, err := c.verify(good); ra.KindOf(err) != ra.KindUnavailable {
		t.Errorf("without the register: %v", err)
	}
}

// HCA-5.1.1: a revoked card is refused, and so is every card while the HCA's status services do not answer.
func TestRevocation(t *testing.T) {
	c := newCounter(t)
	good := sign(t, c.card, c.want.Text, time.Now())
	if err := c.sim.Revoke(c.card.Certificate.SerialNumber, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.verify(good); ra.KindOf(err) != ra.KindRefused || ra.AsError(err).Clause != "HCA-5.1.1" {
		t.Errorf("a revoked card: %v", err)
	}
	fresh, err := c.sim.IssueCard("陳小華", "1234567890123456", hcasim.Person)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.sim.Close(); err != nil {
		t.Fatal(err)
	}
	if client, err := fetch.New(fetch.Config{Now: time.Now}); err != nil {
		t.Fatal(err)
	} else {
		c.cfg.Fetcher = client // one that remembers nothing
	}
	if _, err := c.verify(sign(t, fresh, c.want.Text, time.Now())); err == nil {
		t.Error("taken while nobody knows whether the card is revoked")
	}
}
