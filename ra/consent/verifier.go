package consent

import (
	"context"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/certpath"
)

// Config is what this window trusts of cards.
type Config struct {
	Anchors       *certpath.Pool // pinned roots of the government PKI
	Intermediates []*certpath.Certificate
	Fetcher       certpath.Fetcher // the HCA's status services; without an answer a card is refused
	Marks         cardmsg.Marks    // what only an IC card's certificate has
	Skew          time.Duration    // how far a counter's clock may be off
	HolderOID     asn1.ObjectIdentifier
	DigitsOID     asn1.ObjectIdentifier // where a card carries the end of the national id; nil is cardmsg.OIDIDTail
}

// Register tells whether a certificate is one that this window had issued, by issuer key identifier and serial.
type Register func(ctx context.Context, issuerKey, serial string) (bool, error)

// Verifier judges card-signed messages. It is safe for concurrent use.
type Verifier struct {
	cfg      Config
	register Register
	now      func() time.Time
}

// New makes a verifier.
func New(cfg Config, register Register, now func() time.Time) *Verifier {
	return &Verifier{cfg: cfg, register: register, now: now}
}

// Verify judges a message against what was issued. A refusal is an *ra.Error with the clause that refused.
func (v *Verifier) Verify(ctx context.Context, want Expected, cms []byte) (Verified, error) {
	u, err := cardmsg.Decode(cms)
	if err != nil {
		return Verified{}, refused(err)
	}
	verify := u.Verify
	if want.Bare {
		verify = u.VerifyBare
	}
	m, err := verify(ctx, v.options(want))
	if err != nil {
		return Verified{}, refused(err)
	}
	proof, err := proofOf(m, want.Judged, v.now())
	if err != nil {
		return Verified{}, err
	}
	signer, message := m.Signer().Fingerprint(), m.SHA256()
	return Verified{Bare: m.Bare(), Proof: proof, SignerFingerprint: hex.EncodeToString(signer[:]), MessageSHA256: hex.EncodeToString(message[:])}, nil
}

// options are what a message is held against.
func (v *Verifier) options(want Expected) cardmsg.Options {
	return cardmsg.Options{
		Path: certpath.Options{AnchorPool: v.cfg.Anchors, Intermediates: v.cfg.Intermediates, Fetcher: v.cfg.Fetcher, At: v.now(),
			RequireRevocation: true},
		Clause: want.Clause, Content: want.Text, Nonce: want.Nonce, Holder: want.Holder, Name: want.Name, HolderOID: v.cfg.HolderOID,
		OneReading: true, // the gateway reads it a second time before it sends it to the HCA
		Skew:       v.cfg.Skew, NotBefore: want.Issued, NotAfter: want.Expires, Marks: v.cfg.Marks, IsRegisteredMobile: v.isMobile,
	}
}

func (v *Verifier) isMobile(ctx context.Context, issuerKeyID []byte, serial *big.Int) (bool, error) {
	return v.register(ctx, hex.EncodeToString(issuerKeyID), serial.Text(16))
}

// refused gives a message's refusal the shape of a domain error: what the holder may read, and the cause for the log.
func refused(err error) error {
	var c *cardmsg.Error
	if !errors.As(err, &c) {
		return ra.Errorf(ra.KindInternal, "card-message", err, "The card's message could not be judged.")
	}
	if c.Reason == cardmsg.ReasonRegister {
		return ra.Errorf(ra.KindUnavailable, c.Reason, err, "The register could not be asked. Nothing was changed; try again.")
	}
	return ra.Refuse(c.Clause, c.Reason, fmt.Sprintf("The card's message was refused: %s. Nothing was changed.", c.Detail), err)
}

// Proof is what a message was judged by, kept so that the judgement can be repeated years later.
type Proof struct {
	JudgedAt   time.Time       `json:"judged_at"`
	Passed     []policy.Clause `json:"passed"` // the rules that the application was held against
	Path       [][]byte        `json:"path"`   // DER, the signer first, the anchor last
	Revocation []Revocation    `json:"revocation"`
}

// Revocation is one status answer.
type Revocation struct {
	Kind string `json:"kind"` // "ocsp" or "crl"
	DER  []byte `json:"der"`
}

func proofOf(m *cardmsg.Verified, judged []policy.Clause, at time.Time) ([]byte, error) {
	p := Proof{JudgedAt: at.UTC(), Passed: judged, Revocation: []Revocation{}}
	for _, c := range m.Path() {
		p.Path = append(p.Path, c.Raw)
	}
	for _, e := range m.Revocation() {
		p.Revocation = append(p.Revocation, Revocation{Kind: e.Kind, DER: e.DER})
	}
	return json.Marshal(p)
}
