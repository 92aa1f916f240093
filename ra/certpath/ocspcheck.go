package certpath

import (
	"bytes"
	"crypto/sha1"
	"time"
)

// answer is what one source says about one certificate.
type answer struct {
	status   certStatus // 0 where the source does not speak of the certificate
	reason   int
	err      *Error // why a source that does speak of it cannot be relied on
	evidence []Evidence
}

func (v *validation) skew() time.Duration {
	switch {
	case v.o.ClockSkew < 0:
		return 0
	case v.o.ClockSkew == 0:
		return defaultSkew
	}
	return v.o.ClockSkew
}

// askOCSP looks for the freshest usable answer about cert among responses; one that says revoked wins, in whatever
// order they come. wantNonce is set for responses to
// a request of our own.
func (v *validation) askOCSP(responses []*OCSPResponse, cert, issuer *Certificate, wantNonce []byte) answer {
	var out answer
	var newest time.Time
	for _, r := range responses {
		if r == nil {
			continue
		}
		for i := range r.singles {
			s := &r.singles[i]
			if !s.about(cert, issuer) {
				if bytes.Equal(s.serial, cert.x.serial) && out.err == nil {
					out.err = refuse(ReasonRevocationSource, "OCSP response: it names another issuer").about(cert)
				}
				continue
			}
			if v.revocations--; v.revocations < 0 {
				out.err = refuse(ReasonTooMuchWork, "too many revocation sources")
				return out
			}
			if err := v.usableOCSP(r, s, cert, issuer, wantNonce); err != nil {
				out.err = err.about(cert)
				continue
			}
			if out.status == statusRevoked || out.status != 0 && !s.thisUpdate.After(newest) && s.status != statusRevoked {
				continue
			}
			newest, out.status, out.reason = s.thisUpdate, s.status, s.reason
			out.evidence = []Evidence{{EvidenceOCSP, r.Raw, cert, s.thisUpdate, s.nextUpdate}}
		}
	}
	if out.status == statusUnknown {
		out = answer{err: refuse(ReasonRevocationSource, "the OCSP responder does not know the certificate").about(cert)}
	}
	return out
}

// usableOCSP makes the checks of RFC 6960 section 3.2, the signature last.
func (v *validation) usableOCSP(r *OCSPResponse, s *singleResponse, cert, issuer *Certificate, wantNonce []byte) *Error {
	unusable := func(why string) *Error { return refuse(ReasonRevocationSource, "OCSP response: %s", why) }
	switch {
	case r.criticals || s.unknownCriticalExtension:
		return unusable("unknown critical extension")
	case wantNonce != nil && !bytes.Equal(r.Nonce, wantNonce):
		return unusable("it does not hold the nonce that was sent")
	case s.thisUpdate.After(v.at.Add(v.skew())):
		return unusable("issued in the future")
	case !s.nextUpdate.IsZero() && s.nextUpdate.Before(s.thisUpdate):
		return unusable("nextUpdate before thisUpdate")
	case !s.nextUpdate.IsZero() && v.at.Truncate(time.Second).After(s.nextUpdate):
		return unusable("stale, nextUpdate was " + s.nextUpdate.Format(time.RFC3339))
	}
	maxAge := v.o.OCSPMaxAge
	if maxAge == 0 && s.nextUpdate.IsZero() {
		maxAge = defaultOCSPAge
	}
	if maxAge > 0 && v.at.Sub(s.thisUpdate) > maxAge {
		return unusable("not recent enough")
	}
	signer, err := v.responder(r, cert, issuer)
	if err != nil {
		return err
	}
	if err := v.verify(signer, r.signed.algorithm, r.signed.tbs, r.signed.signature); err != nil {
		return refuse(ReasonRevocationSource, "OCSP response: %s", err.Detail)
	}
	return nil
}

// responder finds the certificate whose key signed the response: the issuer itself, or one that the issuer
// issued for signing OCSP responses (RFC 6960 section 4.2.2.2).
func (v *validation) responder(r *OCSPResponse, cert, issuer *Certificate) (*Certificate, *Error) {
	if r.signedBy(issuer) {
		return issuer, nil
	}
	var why *Error
	for _, c := range r.certs {
		if !r.signedBy(c) {
			continue
		}
		err := v.mayRespond(c, issuer)
		if err == nil {
			return c, nil
		}
		why = refuse(ReasonRevocationSource, "OCSP responder: %s", err.Error())
	}
	if why == nil {
		why = refuse(ReasonRevocationSource, "OCSP response: no certificate of its signer")
	}
	return nil, why
}

func (r *OCSPResponse) signedBy(c *Certificate) bool {
	if r.byName != nil {
		return r.byName.Equal(c.Subject)
	}
	sum := sha1.Sum(keyBits(c.RawSPKI))
	return bytes.Equal(sum[:], r.byKey)
}

// mayRespond judges a delegated responder's certificate.
func (v *validation) mayRespond(c, issuer *Certificate) *Error {
	if !c.Issuer.Equal(issuer.Subject) {
		return refuse(ReasonEKU, "not issued by the issuer of the certificate").about(c)
	}
	if err := c.checkCriticalAndTime(v.at); err != nil {
		return err
	}
	if !c.hasEKU(oidOCSPSigning) {
		return refuse(ReasonEKU, "may not sign OCSP responses").about(c)
	}
	if c.HasKeyUsage && c.KeyUsage&(KeyUsageDigitalSignature|KeyUsageContentCommitment) == 0 {
		return refuse(ReasonKeyUsage, "may not sign").about(c)
	}
	if err := v.checkSignedBy(c, issuer); err != nil {
		return err
	}
	if c.x.ocspNoCheck {
		return nil
	}
	// Without id-pkix-ocsp-nocheck the responder's own status counts as far as a CRL at hand tells it.
	for _, crl := range v.crls {
		if crl == nil || crl.usable(v.at, v.skew(), v.o.CRLMaxAge) != nil || crl.BaseNumber != nil ||
			crl.mayBeSignedBy(issuer) != nil || crl.checkSignature(issuer, v) != nil {
			continue
		}
		if _, listed := crl.LookupCertificate(c); listed {
			return refuse(ReasonRevoked, "the responder's certificate is revoked").about(c)
		}
	}
	return nil
}
