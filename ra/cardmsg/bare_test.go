package cardmsg

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/cms"
)

func bareSignature(t *testing.T, card *cardtest.Card, digest []byte, hash crypto.Hash) []byte {
	t.Helper()
	sig, err := card.Key.Sign(rand.Reader, digest, hash)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// HCA-5.1.1: the other component returns a bare signature. Content, chain and revocation are judged alike, the
// life of the nonce stands in for the signing time, and what is kept says that it is bare.
func TestVerifyBare(t *testing.T) {
	w := theWorld(t)
	ctx := context.Background()
	digest := sha256.Sum256(w.text)
	sig := bareSignature(t, w.card, digest[:], crypto.SHA256)
	v, err := VerifyBare(ctx, w.text, sig, w.card.Cert.Raw, w.options(t))
	if err != nil {
		t.Fatal(err)
	}
	if !v.Bare() || !v.SigningTime().IsZero() || !bytes.Equal(v.Content(), w.text) {
		t.Errorf("bare %v, signed at %v", v.Bare(), v.SigningTime())
	}

	// What was kept verifies again, by the way for bare messages and by no other.
	u, err := Decode(v.Message())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = u.VerifyBare(ctx, w.options(t)); err != nil {
		t.Error(err)
	}
	_, err = u.Verify(ctx, w.options(t))
	wantReason(t, err, cms.ReasonNoAttributes, ClauseEnrolment)

	wide := sha512.Sum512(w.text)
	o := w.options(t)
	o.Hash = crypto.SHA512
	if _, err = VerifyBare(ctx, w.text, bareSignature(t, w.card, wide[:], crypto.SHA512), w.card.Cert.Raw, o); err != nil {
		t.Errorf("SHA-512: %v", err)
	}
}

func TestVerifyBareRefuses(t *testing.T) {
	w := theWorld(t)
	ctx := context.Background()
	digest := sha256.Sum256(w.text)
	sig := bareSignature(t, w.card, digest[:], crypto.SHA256)
	cert := w.card.Cert.Raw
	bent := slices.Clone(sig)
	bent[0] ^= 1
	expired := w.pki.Card(t, cardtest.CardOptions{Key: w.card.Key, NotAfter: now.Add(-time.Minute)})

	o := w.options(t)
	_, err := VerifyBare(ctx, w.text, bent, cert, o)
	wantReason(t, err, cms.ReasonSignature, ClauseEnrolment)
	_, err = VerifyBare(ctx, append([]byte("x"), w.text...), sig, cert, o)
	wantReason(t, err, cms.ReasonContent, ClauseContent)
	_, err = VerifyBare(ctx, w.text, sig, []byte("no certificate"), o)
	wantReason(t, err, cms.ReasonCertificate, ClauseEnrolment)
	_, err = VerifyBare(ctx, make([]byte, cms.MaxMessage), sig, cert, o)
	wantReason(t, err, cms.ReasonTooLarge, ClauseEnrolment)
	if _, err = VerifyBare(ctx, w.text, sig, expired.Cert.Raw, o); err == nil {
		t.Error("an expired certificate with the same key was accepted")
	}

	o.Content = nil
	_, err = VerifyBare(ctx, w.text, sig, cert, o)
	wantReason(t, err, ReasonContentMissing, ClauseContent)
	o = w.options(t)
	o.NotAfter = now
	_, err = VerifyBare(ctx, w.text, sig, cert, o)
	wantReason(t, err, ReasonNonceExpired, ClauseReplay)
	o = w.options(t)
	o.Hash = crypto.SHA1
	_, err = VerifyBare(ctx, w.text, sig, cert, o)
	wantReason(t, err, cms.ReasonAlgorithm, ClauseEnrolment)
}

// The signed attributes of one message, with its signature, make a well-formed bare message. It is refused
// even where somebody can choose what is compared with, since it begins with no line of ours.
func TestAttributesReplayedAsContent(t *testing.T) {
	w := theWorld(t)
	der := w.card.SignWith(t, w.text, cms.SignOptions{SigningTime: now})
	sd, err := cms.Open(der, cms.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var set []byte
	for _, a := range sd.Attributes {
		set = append(set, attribute(t, a)...)
	}
	attrs := append([]byte{0x31, byte(len(set))}, set...)
	sig := der[len(der)-256:]
	o := w.options(t)
	o.Content, o.Nonce = attrs, ""
	_, err = VerifyBare(context.Background(), attrs, sig, w.card.Cert.Raw, o)
	wantReason(t, err, ReasonPurpose, ClauseContent)

	// It is a real attack: without that check, the signature is good.
	wrapped, err := cms.WrapBare(attrs, sig, w.card.Cert.Raw, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cms.OpenBare(wrapped, cms.OpenOptions{Content: attrs}); err != nil {
		t.Errorf("the attack that is tested is none: %v", err)
	}
	u, err := Decode(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	o.Content = nil
	_, err = u.Verify(context.Background(), o)
	wantReason(t, err, cms.ReasonNoAttributes, ClauseEnrolment)
}

// attribute encodes one signed attribute.
func attribute(t *testing.T, a cms.Attribute) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct {
		OID    asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}{a.OID, []asn1.RawValue{{FullBytes: a.Value}}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}
