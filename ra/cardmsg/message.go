package cardmsg

import (
	"crypto/sha256"
	"slices"
	"time"

	"certwindow/ra/certpath"
	"certwindow/ra/cms"
)

// Unverified is a message as it came from a card component. Nothing in it is believed, and nothing of it can
// be read before it is verified.
type Unverified struct{ der []byte }

// Decode takes the bytes of a message: one DER value of at most cms.MaxMessage bytes. The error is an *Error.
func Decode(der []byte) (Unverified, error) {
	if err := cms.Check(der, cms.MaxMessage); err != nil {
		return Unverified{}, passOn(err, ClauseEnrolment)
	}
	return Unverified{der: slices.Clone(der)}, nil
}

// Verified is a message that its verifier found good. Only Verify and VerifyBare make one.
type Verified struct {
	sd     *cms.SignedData
	signer *certpath.Certificate
	result *certpath.Result
	holder string
	name   string
	nonce  string
	card   string
	bare   bool
}

// Content is the text that was signed.
func (v *Verified) Content() []byte { return slices.Clone(v.sd.Content) }

// Message is the CMS SignedData as it came, to be kept whole as evidence (HCA-3.3).
func (v *Verified) Message() []byte { return slices.Clone(v.sd.Raw) }

// SHA256 is the hash of the whole message.
func (v *Verified) SHA256() [32]byte { return sha256.Sum256(v.sd.Raw) }

// ContentSHA256 is the hash of the text that was signed.
func (v *Verified) ContentSHA256() [32]byte { return sha256.Sum256(v.sd.Content) }

// Signer is the card's signing certificate.
func (v *Verified) Signer() *certpath.Certificate { return v.signer }

// Path is the validated path, signer first, anchor last.
func (v *Verified) Path() []*certpath.Certificate { return slices.Clone(v.result.Path) }

// Revocation is what the revocation answers of the path rest on.
func (v *Verified) Revocation() []certpath.Evidence { return slices.Clone(v.result.Revocation) }

// SigningTime is when the counter's computer says it was signed; zero in a bare message.
func (v *Verified) SigningTime() time.Time { return v.sd.SigningTime }

// Nonce is the nonce of the signed attribute, "" where there is none. The one in the text decides.
func (v *Verified) Nonce() string { return v.nonce }

// CardNumber is what the component says the card's number is, "" where it says nothing. It is signed by the
// card but chosen by the component, so it is asserted and not proved (HCA-8.1.2).
func (v *Verified) CardNumber() string { return v.card }

// Holder is the signer's identifier, from the attribute configured for it; Name its common name. Either is ""
// where the certificate has none and none was asked for.
func (v *Verified) Holder() string { return v.holder }

// Name is the signer's common name.
func (v *Verified) Name() string { return v.name }

// Bare tells that the component returned a bare signature, which the window wrapped: without a signing time.
func (v *Verified) Bare() bool { return v.bare }
