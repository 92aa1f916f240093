package main

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"certwindow/ra/cardmsg"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
)

// messageVerdict is what verify message prints. Nothing of a message that is not valid is shown.
type messageVerdict struct {
	Valid         bool           `json:"valid"`
	Reason        string         `json:"reason"`
	Clause        string         `json:"clause,omitempty"`
	Signer        *signerSummary `json:"signer"`
	ContentSHA256 string         `json:"content_sha256"`
	MessageSHA256 string         `json:"message_sha256,omitempty"`
	SigningTime   string         `json:"signing_time,omitempty"`
	Nonce         string         `json:"nonce,omitempty"`       // of the signed attribute
	CardNumber    string         `json:"card_number,omitempty"` // asserted by the component
	Path          []string       `json:"path,omitempty"`        // SHA-256, signer first
}

// signerSummary is who signed.
type signerSummary struct {
	Subject   string `json:"subject"`
	Issuer    string `json:"issuer"`
	Serial    string `json:"serial"` // lower hex
	Holder    string `json:"holder"`
	Name      string `json:"name"`
	SHA256    string `json:"sha256"`
	NotBefore string `json:"not_before"`
	NotAfter  string `json:"not_after"`
}

func summarise(v *cardmsg.Verified) *signerSummary {
	c := v.Signer()
	sum := c.Fingerprint()
	return &signerSummary{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16),
		Holder: v.Holder(), Name: v.Name(), SHA256: hex.EncodeToString(sum[:]),
		NotBefore: c.NotBefore.UTC().Format(time.RFC3339), NotAfter: c.NotAfter.UTC().Format(time.RFC3339),
	}
}

// verifyMessage judges a card-signed message off line (HCA-5.1.1, HCA-8.1.3, HCA-8.1.4).
func verifyMessage(ctx context.Context, args []string, s streams) int {
	f := newVerifyFlags("verify message", s)
	in := f.String("in", "", "the message, CMS SignedData, DER, `P7`")
	content := f.String("content", "", "what must have been signed, byte for byte, `FILE`")
	anchors := f.String("anchors", "", "trust anchors, `PEM`")
	intermediates := f.String("intermediates", "", "untrusted certificates, `PEM`")
	crls := f.list("crl", "a CRL, `FILE`; may be repeated")
	ocsp := f.list("ocsp", "an OCSP response, `FILE`; may be repeated")
	at := f.moment("at", "the moment of judging, `RFC3339`")
	nonce := f.text("nonce", "the text holds its line, and the attribute equals it, `B64URL`")
	holder := f.text("holder", "the signer's serialNumber, `V`")
	name := f.text("name", "the signer's common name, `V`")
	maxAge := f.Duration("max-age", 0, "how long before --at it may have been signed, `DURATION`")
	if code, done := f.parse(args, s, "in", "anchors", "at"); done {
		return code
	}
	if *maxAge < 0 {
		f.misused(errors.New("--max-age is negative"))
	}
	if f.given("max-age") && *maxAge == 0 {
		*maxAge = 1 // no age at all, where the verifier's zero is any
	}
	o := cardmsg.Options{Nonce: *nonce, Holder: *holder, Name: *name, MaxAge: *maxAge}
	der := f.read(*in, cms.MaxMessage)
	files := pathFiles{
		anchors: f.read(*anchors, maxBundleFile),
		crls:    f.readAll(*crls, maxStatusFile), ocsp: f.readAll(*ocsp, maxStatusFile),
	}
	if *content != "" {
		o.Content = f.read(*content, cms.MaxMessage)
		if o.Content == nil {
			o.Content = []byte{}
		}
	}
	if *intermediates != "" {
		files.intermediates = f.read(*intermediates, maxBundleFile)
	}
	if code, done := f.usable(s); done {
		return code
	}
	var err error
	if o.Path, err = files.options(*at); err != nil {
		return conclude(s, f.asJSON, messageVerdict{Reason: err.Error()}, err)
	}
	verdict, err := judgeMessage(ctx, der, o)
	return conclude(s, f.asJSON, verdict, err)
}

// judgeMessage verifies, and says what was verified.
func judgeMessage(ctx context.Context, der []byte, o cardmsg.Options) (messageVerdict, error) {
	u, err := cardmsg.Decode(der)
	var v *cardmsg.Verified
	if err == nil {
		v, err = u.Verify(ctx, o)
	}
	if err != nil {
		verdict := messageVerdict{Reason: err.Error()}
		var refusal *cardmsg.Error
		if errors.As(err, &refusal) {
			verdict.Clause = string(refusal.Clause)
		}
		return verdict, err
	}
	text, message := v.ContentSHA256(), v.SHA256()
	return messageVerdict{
		Valid: true, Signer: summarise(v),
		ContentSHA256: hex.EncodeToString(text[:]), MessageSHA256: hex.EncodeToString(message[:]),
		SigningTime: v.SigningTime().UTC().Format(time.RFC3339),
		Nonce:       v.Nonce(), CardNumber: v.CardNumber(), Path: fingerprints(v.Path()),
	}, nil
}

func fingerprints(path []*certpath.Certificate) []string {
	out := make([]string, 0, len(path))
	for _, c := range path {
		sum := c.Fingerprint()
		out = append(out, hex.EncodeToString(sum[:]))
	}
	return out
}
