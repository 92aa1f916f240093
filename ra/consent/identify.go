package consent

import (
	"context"
	"encoding/hex"

	"certwindow/ra"
	"certwindow/ra/cardmsg"
)

// Answer is what a card component gave for a text that asks only who signs: to log in, or to link a card.
type Answer struct {
	Signature   []byte // DER SignedData; a bare PKCS #1 signature over the text where Certificate is there
	Certificate []byte // the card's, from a component that makes no SignedData
}

// Identity is who signed.
type Identity struct {
	Holder            string // what identifies him on his card; never empty
	SignerFingerprint string // SHA-256 of the signer's certificate, hex
	MessageSHA256     string // of the CMS, hex
}

// Identify tells whose card signed a text, judged with the same chain, marks and status answers as a consent
// (HCA-5.1.1). want names no holder: who it is, is the answer. A refusal is an *ra.Error.
func (v *Verifier) Identify(ctx context.Context, want Expected, a Answer) (Identity, error) {
	m, err := v.judge(ctx, want, a)
	if err != nil {
		return Identity{}, refused(err)
	}
	if m.Holder() == "" {
		return Identity{}, ra.Refuse(want.Clause, cardmsg.ReasonHolder, "The card's certificate names no holder. Nothing was changed.", nil)
	}
	signer, message := m.Signer().Fingerprint(), m.SHA256()
	return Identity{Holder: m.Holder(), SignerFingerprint: hex.EncodeToString(signer[:]), MessageSHA256: hex.EncodeToString(message[:])}, nil
}

func (v *Verifier) judge(ctx context.Context, want Expected, a Answer) (*cardmsg.Verified, error) {
	if len(a.Certificate) > 0 {
		return cardmsg.VerifyBare(ctx, want.Text, a.Signature, a.Certificate, v.options(want))
	}
	u, err := cardmsg.Decode(a.Signature)
	if err != nil {
		return nil, err
	}
	return u.Verify(ctx, v.options(want))
}
