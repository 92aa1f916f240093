package cardmsg

import (
	"bytes"
	"context"
	"crypto"
	"encoding/asn1"
	"math/big"
	"slices"
	"time"

	"certwindow/policy"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
)

// Options is what a message is held against. Path.At is the moment of judgement; a revocation answer is
// required for every certificate whatever Path says.
type Options struct {
	Path   certpath.Options
	Clause policy.Clause // named by refusals of signature and certificate; empty is HCA-5.1.1

	Content []byte // what the window issued; nil is not compared
	Nonce   string // the text has the line "nonce: " with it, and the attribute is equal; empty is not compared
	Holder  string // empty is not compared
	Name    string // subject CN; empty is not compared

	// HolderOID is the attribute that identifies a holder, of the subject or of subjectDirectoryAttributes;
	// nil is the subject's serialNumber.
	HolderOID asn1.ObjectIdentifier

	MaxAge    time.Duration // how long before Path.At it may have been signed; 0 is any time
	Skew      time.Duration // how far the counter's clock may be ahead of Path.At or behind NotBefore
	NotBefore time.Time     // life of the nonce; zero is not judged
	NotAfter  time.Time     // the nonce is dead from this moment on; zero is not judged

	Marks        Marks
	SubjectTypes []asn1.ObjectIdentifier // empty is personnel alone

	// IsRegisteredMobile looks a certificate up in the register of mobile ones. nil is no register.
	IsRegisteredMobile func(ctx context.Context, issuerKeyID []byte, serial *big.Int) (bool, error)

	// OneReading is cms.OpenOptions.OneReading.
	OneReading bool

	// Hash is the hash of a bare signature; 0 is SHA-256. VerifyBare alone looks at it.
	Hash crypto.Hash
}

// Verify judges a message with signed attributes, cheap checks first and the network, if any, last. The
// error is an *Error.
func (u Unverified) Verify(ctx context.Context, o Options) (*Verified, error) {
	o.defaults()
	sd, err := cms.Open(u.der, cms.OpenOptions{Content: o.Content, RequireSigningTime: true, OneReading: o.OneReading})
	if err != nil {
		return nil, passOn(err, o.Clause)
	}
	return judge(ctx, &Verified{sd: sd}, o)
}

func (o *Options) defaults() {
	if o.Clause == "" {
		o.Clause = ClauseEnrolment
	}
}

// judge is what is common to messages with and without signed attributes: everything after the signature.
func judge(ctx context.Context, v *Verified, o Options) (*Verified, error) {
	if o.Path.At.IsZero() {
		return nil, refuse(ReasonMisuse, o.Clause, "no time to judge at")
	}
	v.signer = v.sd.SignerCertificate
	checks := []func() error{
		func() error { return v.readAttributes(&o) },
		func() error { return v.checkNonce(&o) },
		func() error { return v.checkTime(&o) },
		func() error { return checkKeyUsage(v.signer, &o) },
		func() error { return checkSubjectType(v.signer, &o) },
		func() error { return v.identify(&o) },
		func() error { return v.checkPath(ctx, &o) },
		func() error { return v.checkMarks(&o) },
		func() error { return v.checkRegister(ctx, &o) },
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return nil, passOn(err, o.Clause)
		}
	}
	return v, nil
}

// readAttributes reads the two attributes that the card component can add.
func (v *Verified) readAttributes(o *Options) error {
	for _, a := range []struct {
		oid asn1.ObjectIdentifier
		to  *string
	}{{cms.OIDRandomNonce, &v.nonce}, {cms.OIDCardNumber, &v.card}} {
		der, ok := v.sd.Attribute(a.oid)
		if !ok {
			continue
		}
		if *a.to, ok = valueText(der); !ok && a.to == &v.nonce {
			*a.to, ok = octets(der)
		}
		if !ok {
			return refuse(ReasonAttribute, o.Clause, "signed attribute %s is no text", a.oid)
		}
	}
	return nil
}

// checkNonce wants the nonce's line once in the text, and the attribute equal to it where there is one (HCA-8.1.4).
func (v *Verified) checkNonce(o *Options) error {
	if o.Nonce == "" {
		return nil
	}
	count, wanted := 0, []byte("nonce: "+o.Nonce)
	for line := range bytes.Lines(v.sd.Content) {
		if bytes.Equal(bytes.TrimSuffix(line, []byte("\n")), wanted) {
			count++
		}
	}
	if count != 1 {
		return refuse(ReasonNonce, ClauseReplay, "the text holds the line of this nonce %d times", count)
	}
	der, ok := v.sd.Attribute(cms.OIDRandomNonce)
	if !ok || v.nonce == o.Nonce {
		return nil
	}
	if raw, ok := octets(der); !ok || raw != o.Nonce {
		return refuse(ReasonNonceAttribute, ClauseReplay, "the signed attribute holds another nonce than the text")
	}
	return nil
}

// checkTime judges the nonce's life at the moment of judgement, and what the message says of its own time
// (HCA-8.1.4). The signing time never helps a message: it can only make it refused.
func (v *Verified) checkTime(o *Options) error {
	at, signed := o.Path.At, v.sd.SigningTime
	switch {
	case !o.NotBefore.IsZero() && at.Before(o.NotBefore):
		return refuse(ReasonNonceNotYet, ClauseReplay, "the nonce is valid from %s", utc(o.NotBefore))
	case !o.NotAfter.IsZero() && !at.Before(o.NotAfter):
		return refuse(ReasonNonceExpired, ClauseReplay, "the nonce was valid until %s", utc(o.NotAfter))
	case v.bare:
		return nil
	case signed.After(at.Add(o.Skew)):
		return refuse(ReasonSigningTimeAhead, ClauseReplay, "signed at %s, judged at %s", utc(signed), utc(at))
	case o.MaxAge > 0 && at.Sub(signed) > o.MaxAge:
		return refuse(ReasonSigningTimeOld, ClauseReplay, "signed at %s, more than %s before %s", utc(signed), o.MaxAge, utc(at))
	case !o.NotBefore.IsZero() && signed.Before(o.NotBefore.Add(-o.Skew).Truncate(time.Second)):
		return refuse(ReasonSigningTimeEarly, ClauseReplay, "signed at %s, before its nonce was made", utc(signed))
	}
	return nil
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// checkKeyUsage tells the card's signing certificate from the encryption certificate beside it: the
// extension has to be there and to say digitalSignature.
func checkKeyUsage(c *certpath.Certificate, o *Options) error {
	if !c.HasKeyUsage || c.KeyUsage&certpath.KeyUsageDigitalSignature == 0 {
		return refuse(ReasonKeyUsage, o.Clause, "key usage digitalSignature is missing")
	}
	if c.IsCA {
		return refuse(ReasonKeyUsage, o.Clause, "the certificate of a certification authority")
	}
	return nil
}

// checkPath validates the chain at the moment of judgement with a revocation answer for every certificate
// below the anchor. Certificates that came with the message serve as hints and have no say.
func (v *Verified) checkPath(ctx context.Context, o *Options) error {
	path := o.Path
	path.RequireRevocation = true
	path.KeyUsage |= certpath.KeyUsageDigitalSignature
	path.Intermediates = slices.Clone(path.Intermediates)
	for _, der := range v.sd.Certificates {
		if bytes.Equal(der, v.sd.Signer) {
			continue
		}
		if c, err := certpath.ParseCertificate(der); err == nil {
			path.Intermediates = append(path.Intermediates, c)
		}
	}
	result, err := certpath.Validate(ctx, v.signer, path)
	if err != nil {
		return err
	}
	if len(result.Path) < 2 {
		return refuse(ReasonNoPath, o.Clause, "the signer is itself an anchor")
	}
	v.result = result
	return nil
}
