package bench

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ocsp"

	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
)

const nonce = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

// MaxRatio is what verifying a message with its chain and a fresh OCSP response may cost, in sums of the raw
// operations; MinGain what two cores may do at least of what one does.
const (
	MaxRatio = 1.5
	MinGain  = 1.6
)

// signature is one signature and what it is over.
type signature struct {
	key         crypto.PublicKey
	signed, sig []byte
}

var errRaw = errors.New("a signature made here does not verify")

func (s signature) check() error {
	digest := sha256.Sum256(s.signed)
	switch k := s.key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], s.sig)
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(k, digest[:], s.sig) {
			return nil
		}
	}
	return errRaw
}

// message is a card's message with everything that is needed to judge it.
type message struct {
	text, der, ocsp []byte
	leaf            []byte
	path            certpath.Options
	raw             []signature // the message's, the card's, the CA's, the responder's, the OCSP response's
}

// newMessage makes a message whose keys are all RSA-2048 or all P-256.
func newMessage(useRSA bool) (*message, error) {
	a, err := newAuthority(useRSA)
	if err != nil {
		return nil, err
	}
	m := &message{leaf: a.card.cert.Raw}
	m.text, err = cardmsg.Enrolment{
		Application: "01JD8Z0000000000000000000A", Nonce: nonce, Issued: moment.Add(-2 * time.Minute), Expires: moment.Add(3 * time.Minute),
		Window: "0101090517", Institution: "0101090517", Holder: holder, Name: "王小明", Device: "TABLET-7", DeviceKey: sha256.Sum256(nil),
		Carrier: ra.CarrierDevice, Scope: []string{"EMR-SIGN", "E-PRESCRIPTION"}, Key: ra.KeyApp,
	}.Text()
	if err != nil {
		return nil, err
	}
	m.der, err = cms.Sign(m.text, a.card.key, a.card.cert.Raw, cms.SignOptions{SigningTime: moment, Attributes: []cms.Attribute{
		{OID: cms.OIDCardNumber, Value: cms.UTF8String("HC00000000000001")}, {OID: cms.OIDRandomNonce, Value: cms.UTF8String(nonce)},
	}})
	if err != nil {
		return nil, err
	}
	if m.ocsp, err = a.status(); err != nil {
		return nil, err
	}
	if err := m.trust(a); err != nil {
		return nil, err
	}
	return m, m.collect(a)
}

// trust sets what a window is configured with: root, issuing CA, and the root's CRL as the store holds it.
func (m *message) trust(a *authority) error {
	root, err := certpath.ParseCertificate(a.root.cert.Raw)
	if err != nil {
		return err
	}
	ca, err := certpath.ParseCertificate(a.ca.cert.Raw)
	if err != nil {
		return err
	}
	list, err := a.rootCRL()
	if err != nil {
		return err
	}
	crl, err := certpath.ParseCRL(list)
	if err != nil {
		return err
	}
	m.path = certpath.Options{AnchorPool: certpath.NewPool(root), Intermediates: []*certpath.Certificate{ca},
		CRLs: []*certpath.CRL{crl}, At: moment, RequireRevocation: true}
	return nil
}

// collect takes the signatures out that nobody can avoid to verify. In place of the message's own, whose signed
// attributes only package cms reads, stands one by the same key over as many bytes.
func (m *message) collect(a *authority) error {
	sd, err := cms.Open(m.der, cms.OpenOptions{})
	if err != nil {
		return err
	}
	attributes := make([]byte, 0, 256)
	for _, one := range sd.Attributes {
		attributes = append(append(attributes, one.Value...), make([]byte, 17)...) // type, SET and SEQUENCE around it
	}
	digest := sha256.Sum256(attributes)
	sig, err := a.card.key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	answer, err := ocsp.ParseResponse(m.ocsp, nil)
	if err != nil {
		return err
	}
	m.raw = []signature{
		{a.card.key.Public(), attributes, sig},
		{a.ca.key.Public(), a.card.cert.RawTBSCertificate, a.card.cert.Signature},
		{a.root.key.Public(), a.ca.cert.RawTBSCertificate, a.ca.cert.Signature},
		{a.ca.key.Public(), a.responder.cert.RawTBSCertificate, a.responder.cert.Signature},
		{a.responder.key.Public(), answer.TBSResponseData, answer.Signature},
	}
	return nil
}

// judge is what a window does with a message (package consent), and an OCSP response that it has not seen.
func (m *message) judge() error {
	answer, err := certpath.ParseOCSP(m.ocsp)
	if err != nil {
		return err
	}
	u, err := cardmsg.Decode(m.der)
	if err != nil {
		return err
	}
	o := cardmsg.Options{Path: m.path, OneReading: true, Content: m.text, Nonce: nonce, Holder: holder, Name: "王小明",
		NotBefore: moment.Add(-2 * time.Minute), NotAfter: moment.Add(3 * time.Minute)}
	o.Path.OCSP = []*certpath.OCSPResponse{answer}
	_, err = u.Verify(context.Background(), o)
	return err
}

// chain judges the card's certificate alone.
func (m *message) chain() error {
	answer, err := certpath.ParseOCSP(m.ocsp)
	if err != nil {
		return err
	}
	leaf, err := certpath.ParseCertificate(m.leaf)
	if err != nil {
		return err
	}
	o := m.path
	o.OCSP = []*certpath.OCSPResponse{answer}
	_, err = certpath.Validate(context.Background(), leaf, o)
	return err
}

// rawMessage is the cryptography of judge: five signatures, the digest of the text, and the two hashes by which an
// OCSP response names the issuer. The root's CRL is verified once and then remembered.
func (m *message) rawMessage() error {
	sha256.Sum256(m.text)
	return m.rawOf(m.raw)
}

func (m *message) rawChain() error { return m.rawOf(m.raw[1:]) }

func (m *message) rawOf(all []signature) error {
	for _, s := range all {
		if err := s.check(); err != nil {
			return err
		}
	}
	sha1.Sum(m.leaf[:64])
	sha1.Sum(m.leaf[:64])
	return nil
}

// verify measures messages and chains.
func verify(ctx context.Context, o Options) ([]Figure, error) {
	var out []Figure
	for _, kind := range []struct {
		name   string
		useRSA bool
	}{{"RSA-2048", true}, {"P-256", false}} {
		m, err := newMessage(kind.useRSA)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(o.Log, "messages and chains, %s\n", kind.name)
		for _, f := range []struct {
			name      string
			ours, raw operation
			bound     float64
		}{{"message with chain and OCSP", m.judge, m.rawMessage, MaxRatio}, {"chain and OCSP", m.chain, m.rawChain, 0}} {
			c, err := compare(ctx, f.ours, f.raw, o.For)
			if err != nil {
				return nil, err
			}
			out = append(out, Figure{Name: kind.name + " " + f.name, Unit: "µs", Ours: c.ours / 1e3, Raw: c.raw / 1e3,
				Ratio: c.ratio, Bound: f.bound, OnRatio: f.bound > 0})
		}
		for _, cores := range o.Cores {
			if cores < 2 {
				continue
			}
			f, err := gain(ctx, m, kind.name, cores, 2*o.For) // the clock needs more turns than processor time does
			if err != nil {
				return nil, err
			}
			out = append(out, f)
		}
	}
	return out, nil
}

// gain compares throughput on several cores with one. Where not even bare signatures gain what an idle machine
// would give them, the bound is held against what they do gain.
func gain(ctx context.Context, m *message, kind string, cores int, span time.Duration) (Figure, error) {
	ours, raw, err := scale(ctx, m.judge, m.rawMessage, cores, span)
	if err != nil {
		return Figure{}, err
	}
	f := Figure{Name: fmt.Sprintf("%s message, %d cores over one", kind, cores), Unit: "times", Ours: ours, Raw: raw,
		Bound: MinGain / 2 * float64(cores), AtLeast: true}
	if idle := 0.9 * float64(cores); raw < idle {
		f.Bound, f.OnRatio = MinGain/2, true
		f.Note = fmt.Sprintf("the machine is busy or has fewer cores: bare signatures, which share nothing, gain %.2f only; the bound is held against that", raw)
	}
	return f, nil
}
