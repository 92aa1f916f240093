package certpath

import (
	"bytes"
	"slices"
)

// reasonOtherKey marks a CRL of a namesake of the issuer: it says nothing about the certificate. It never
// leaves the package.
const reasonOtherKey = "other-key"

// lookup verifies a CRL, and a delta to it, and looks path[i] up.
func (v *validation) lookup(crl *CRL, path []*Certificate, i int) (Entry, bool, []Evidence, *Error) {
	cert := path[i]
	if err := crl.usable(v.at, v.skew(), v.o.CRLMaxAge); err != nil {
		return Entry{}, false, nil, err
	}
	signer, err := v.crlSigner(crl, path, i)
	if err != nil {
		return Entry{}, false, nil, err
	}
	used := []Evidence{{EvidenceCRL, crl.Raw, cert, crl.ThisUpdate, crl.NextUpdate}}
	entry, listed := crl.LookupCertificate(cert)
	if delta := v.newestDelta(crl, signer); delta != nil {
		used = append(used, Evidence{EvidenceCRL, delta.Raw, cert, delta.ThisUpdate, delta.NextUpdate})
		if changed, has := delta.LookupCertificate(cert); has {
			entry, listed = changed, changed.Reason != reasonRemoveFromCRL
		}
	}
	return entry, listed, used, nil
}

// newestDelta finds the newest usable delta CRL for a base, or nil (RFC 5280 section 5.2.4).
func (v *validation) newestDelta(base *CRL, signer *Certificate) *CRL {
	var found *CRL
	for _, d := range v.crls {
		if d == nil || d.BaseNumber == nil || !sameScope(d, base) ||
			base.Number.Cmp(d.BaseNumber) < 0 || d.Number == nil || d.Number.Cmp(base.Number) < 0 ||
			found != nil && d.Number.Cmp(found.Number) <= 0 {
			continue
		}
		if d.usable(v.at, v.skew(), v.o.CRLMaxAge) == nil && d.checkSignature(signer, v) == nil {
			found = d
		}
	}
	return found
}

// crlSigner finds the certificate that signed a CRL for path[i], with a path of its own to the same anchor
// (RFC 5280 section 6.3.3 (f) and (g)).
func (v *validation) crlSigner(crl *CRL, path []*Certificate, i int) (*Certificate, *Error) {
	why := refuse(reasonOtherKey, "no certificate of the CRL's signer")
	anchor := path[len(path)-1]
	for _, signer := range v.signerCandidates(crl, path) {
		at := slices.IndexFunc(path, func(c *Certificate) bool { return bytes.Equal(c.Raw, signer.Raw) })
		score := keyScore(crl.AuthorityKeyID, signer)
		if err := crl.mayBeSignedBy(signer); err != nil {
			if score < 2 {
				why = refuse(ReasonRevocationSource, "%s", err.(*Error).Detail).about(signer)
			}
			continue
		}
		if err := crl.checkSignature(signer, v); err != nil {
			if score < 2 && at > i || err.Reason == ReasonTooMuchWork {
				why = refuse(err.Reason, "CRL: %s", err.Detail).about(signer)
			}
			continue
		}
		if at > i || v.isSigner(signer) {
			return signer, nil
		}
		err := v.signerPath(signer, anchor)
		if err == nil {
			return signer, nil
		}
		why = refuse(ReasonRevocationSource, "CRL signer: %s", err.Error()).about(signer)
	}
	return nil, why
}

// signerCandidates lists certificates with the CRL issuer's name: those of the path first, and matching key
// identifiers before others.
func (v *validation) signerCandidates(crl *CRL, path []*Certificate) []*Certificate {
	var out []*Certificate
	add := func(c *Certificate) {
		if c.Subject.Equal(crl.Issuer) && !containsCert(out, c) {
			out = append(out, c)
		}
	}
	for _, c := range path[1:] {
		add(c)
	}
	for _, p := range v.anchors {
		for _, c := range p.named(crl.Issuer) {
			add(c)
		}
	}
	for _, c := range v.intermediates.named(crl.Issuer) {
		add(c)
	}
	slices.SortStableFunc(out, func(a, b *Certificate) int {
		return keyScore(crl.AuthorityKeyID, a) - keyScore(crl.AuthorityKeyID, b)
	})
	if len(out) > 16 {
		out = out[:16]
	}
	return out
}

// isSigner tells whether the signer's own path is being judged further up: it may then answer for itself,
// and counts only if that path is accepted.
func (v *validation) isSigner(c *Certificate) bool { return containsCert(v.signers, c) }

// signerPath judges a CRL signer that is not above the certificate in its path.
func (v *validation) signerPath(signer, anchor *Certificate) *Error {
	if bytes.Equal(signer.Raw, anchor.Raw) {
		return nil
	}
	if v.depth >= maxSignerDepth {
		return refuse(ReasonTooMuchWork, "CRL signers that depend on one another")
	}
	v.depth++
	v.signers = append(v.signers, signer)
	defer func() {
		v.depth--
		v.signers = v.signers[:len(v.signers)-1]
	}()
	return v.search(signer, func(path []*Certificate) *Error {
		if !bytes.Equal(path[len(path)-1].Raw, anchor.Raw) {
			return refuse(ReasonNoPath, "it has another anchor")
		}
		if err := checkPathLength(path, 0); err != nil {
			return err
		}
		if err := checkNameConstraints(path, &v.comparisons); err != nil {
			return err
		}
		if _, err := checkPolicies(path, &Options{}); err != nil {
			return err
		}
		_, err := v.checkRevocation(path)
		return err
	})
}

// Complete tells whether the CRL is neither a delta nor limited to some reasons, some kind of certificates or
// other issuers' ones. It may still be one partition of several.
func (c *CRL) Complete() bool {
	return c.BaseNumber == nil && (c.idp == nil ||
		!c.idp.onlyUser && !c.idp.onlyCA && !c.idp.attributes && !c.idp.indirect && c.idp.reasons == allReasons)
}
