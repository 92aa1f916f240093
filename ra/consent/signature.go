package consent

import (
	"crypto"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/cms"
)

// Signature is what came back from the card component.
type Signature struct {
	CMS []byte // DER SignedData; empty where there is a bare signature
	// Bare is set where the component makes no CMS (HCAServiSign).
	Bare *Bare
	// Insertion is the id of the card's stay in the reader. The component asserts it, or the page that watched the
	// reader for a component that cannot; nothing proves it (HCA-8.1.2).
	Insertion string
}

// Bare is a signature value alone: PKCS #1 v1.5 with SHA-256 over the text.
type Bare struct {
	Value       []byte
	Certificate []byte // DER, the card's signing certificate as the component gave it
}

// Over is the signature as one SignedData over the text that the window issued. A bare one is wrapped without signed
// attributes, so that evidence and request to the HCA keep one format; nothing is verified here. clause is named when
// there is nothing to wrap.
func (s Signature) Over(text []byte, clause policy.Clause) (Signature, error) {
	if s.Bare == nil {
		return s, nil
	}
	if len(text)+len(s.Bare.Value)+len(s.Bare.Certificate) > cms.MaxMessage {
		return s, ra.Refuse(clause, "too-large", "The card's answer is too large. Nothing was changed.", nil)
	}
	der, err := cms.WrapBare(text, s.Bare.Value, s.Bare.Certificate, crypto.SHA256)
	if err != nil {
		return s, ra.Refuse(clause, "malformed", "The card's answer holds no certificate that can be read. Nothing was changed.", err)
	}
	s.CMS = der
	return s, nil
}

// About is what the audit log says of a signature beside who signed: the form it came in, and who asserts that the
// card was put in for it (HCA-8.1.2).
func (s Signature) About(v Verified) map[string]string {
	form, inserted := "cms", "unknown"
	if v.Bare {
		form = "bare"
	}
	if s.Insertion != "" {
		inserted = "asserted"
	}
	return map[string]string{"signer": v.SignerFingerprint, "message": v.MessageSHA256, "form": form, "insertion": inserted}
}
