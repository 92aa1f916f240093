package consent

import (
	"context"
	"encoding/hex"

	"certwindow/ra"
	"certwindow/ra/cardmsg"
)

// Identity is who signed.
type Identity struct {
	Holder            string // what identifies him on his card; never empty
	SignerFingerprint string // SHA-256 of the signer's certificate, hex
	MessageSHA256     string // of the CMS, hex
}

// Identify tells whose card signed a text, judged with the same chain, marks and status answers as a consent
// (HCA-5.1.1). want names no holder: who it is, is the answer. A refusal is an *ra.Error.
func (v *Verifier) Identify(ctx context.Context, want Expected, s Signature) (Identity, error) {
	s, err := s.Over(want.Text, want.Clause)
	if err != nil {
		return Identity{}, err
	}
	want.Bare = s.Bare != nil
	u, err := cardmsg.Decode(s.CMS)
	if err != nil {
		return Identity{}, refused(err)
	}
	verify := u.Verify
	if want.Bare {
		verify = u.VerifyBare
	}
	m, err := verify(ctx, v.options(want))
	if err != nil {
		return Identity{}, refused(err)
	}
	if m.Holder() == "" {
		return Identity{}, ra.Refuse(want.Clause, cardmsg.ReasonHolder, "The card's certificate names no holder. Nothing was changed.", nil)
	}
	signer, message := m.Signer().Fingerprint(), m.SHA256()
	return Identity{Holder: m.Holder(), SignerFingerprint: hex.EncodeToString(signer[:]), MessageSHA256: hex.EncodeToString(message[:])}, nil
}
