package certpath

import (
	"slices"
)

// checkRevocation asks for the status of every certificate of path below the anchor, leaf first.
func (v *validation) checkRevocation(path []*Certificate) ([]Evidence, *Error) {
	var out []Evidence
	for i := range len(path) - 1 {
		a := v.status(path, i)
		if a.status == statusRevoked {
			return nil, refuse(ReasonRevoked, "%s", reasonName(a.reason)).about(path[i])
		}
		if a.status == 0 && a.err != nil {
			return nil, a.err.about(path[i])
		}
		if a.status == 0 && (v.o.RequireRevocation || v.o.Fetcher != nil) {
			return nil, refuse(ReasonNoRevocation, "no CRL or OCSP response answers for it").about(path[i])
		}
		out = append(out, a.evidence...)
	}
	return out, nil
}

// status asks every source at hand about path[i]; a source that says revoked wins. Only where none answers
// it goes to the network: OCSP first, then CRLs.
func (v *validation) status(path []*Certificate, i int) answer {
	cert, issuer := path[i], path[i+1]
	a := v.askOCSP(v.ocsp, cert, issuer, nil)
	if a.status == statusRevoked {
		return a
	}
	if b := v.askCRLs(path, i); b.status != 0 {
		if b.status == statusRevoked || a.status == 0 {
			return b
		}
	} else if a.err == nil {
		a.err = b.err
	}
	if a.status != 0 || v.o.Fetcher == nil {
		return a
	}
	if b := v.fetchOCSP(cert, issuer); b.status != 0 {
		return b
	} else if b.err != nil {
		a.err = b.err
	}
	for _, url := range cert.CRLDistributionPoints {
		// One after the other: the first may be a small partition, and the next the complete list.
		if !v.fetchCRL(url) {
			continue
		}
		if b := v.askCRLs(path, i); b.status != 0 {
			return b
		} else if b.err != nil {
			a.err = b.err
		}
	}
	return a
}

// fetchOCSP asks the responders that the certificate names, in order, until one answers.
func (v *validation) fetchOCSP(cert, issuer *Certificate) answer {
	var out answer
	if len(cert.OCSPServers) == 0 {
		return out
	}
	request, err := NewOCSPRequest(cert, issuer, v.o.Nonce)
	if err != nil {
		return answer{err: refuse(ReasonMisuse, "%v", err)}
	}
	for _, url := range cert.OCSPServers {
		if v.fetches--; v.fetches < 0 {
			return answer{err: refuse(ReasonTooMuchWork, "too many fetches")}
		}
		der, err := v.o.Fetcher.OCSP(v.ctx, url, request)
		if err != nil {
			out.err = refuse(ReasonNoRevocation, "OCSP: %v", err)
			continue
		}
		r, bad := parseOCSP(der)
		if bad != nil {
			out.err = refuse(ReasonRevocationSource, "OCSP response: %s", bad.Detail)
			continue
		}
		if r.Status != 0 {
			out.err = refuse(ReasonRevocationSource, "the OCSP responder answered with status %d", r.Status)
			continue
		}
		if a := v.askOCSP([]*OCSPResponse{r}, cert, issuer, v.o.Nonce); a.status != 0 {
			return a
		} else if a.err != nil {
			out.err = a.err
		}
	}
	return out
}

// fetchCRL gets a CRL, once in a validation, and tells whether it is now among those at hand.
func (v *validation) fetchCRL(url string) bool {
	if v.fetched[url] {
		return false
	}
	if v.fetches--; v.fetches < 0 {
		return false
	}
	v.fetched[url] = true
	der, err := v.o.Fetcher.CRL(v.ctx, url)
	if err != nil {
		return false
	}
	crl, bad := parseCRL(der)
	if bad != nil {
		return false
	}
	v.crls = append(v.crls, crl)
	return true
}

// reasonName gives the words of RFC 5280 section 5.3.1.
func reasonName(code int) string {
	names := []string{"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded",
		"cessationOfOperation", "certificateHold", "", "removeFromCRL", "privilegeWithdrawn", "aACompromise"}
	if code < 0 || code >= len(names) || names[code] == "" {
		return "for an unknown reason"
	}
	return names[code]
}

// askCRLs is RFC 5280 section 6.3.3: it goes through the certificate's distribution points, and then through
// CRLs of the issuer that no distribution point names, until all reasons are covered.
func (v *validation) askCRLs(path []*Certificate, i int) answer {
	cert := path[i]
	points := append(slices.Clone(cert.x.crlDPs), distributionPoint{
		name:    pointName{full: []generalName{{kind: nameDirectory, dir: cert.Issuer}}},
		reasons: allReasons,
	})
	var out answer
	var covered uint16
	seenScope := false
	for _, dp := range points {
		for _, crl := range v.newestFirst() {
			if !crl.covers(cert, dp) {
				continue
			}
			reasons := dp.reasons
			if crl.idp != nil {
				reasons &= crl.idp.reasons
			}
			if reasons&^covered == 0 {
				continue
			}
			if v.revocations--; v.revocations < 0 {
				return answer{err: refuse(ReasonTooMuchWork, "too many revocation sources")}
			}
			seenScope = true
			entry, listed, used, err := v.lookup(crl, path, i)
			if err != nil {
				if out.err == nil {
					out.err = err
				}
				continue
			}
			out.evidence = append(out.evidence, used...)
			if listed {
				return answer{status: statusRevoked, reason: entry.Reason, evidence: out.evidence}
			}
			if covered |= reasons; covered == allReasons {
				return answer{status: statusGood, evidence: out.evidence}
			}
		}
	}
	if seenScope && out.err == nil {
		out.err = refuse(ReasonNoRevocation, "the CRLs do not cover all reasons")
	}
	if out.err != nil && out.err.Reason == reasonOtherKey {
		out.err = nil
	}
	return out
}

// newestFirst lists complete CRLs by thisUpdate.
func (v *validation) newestFirst() []*CRL {
	var out []*CRL
	for _, c := range v.crls {
		if c != nil && c.BaseNumber == nil {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b *CRL) int { return b.ThisUpdate.Compare(a.ThisUpdate) })
	return out
}

// covers tells whether a CRL is for the certificate by way of a distribution point: RFC 5280 section 6.3.3
// (b). It does not yet say that the CRL is any good.
func (c *CRL) covers(cert *Certificate, dp distributionPoint) bool {
	issuers := dp.crlIssuers()
	if len(dp.issuers) > 0 {
		if c.idp == nil || !c.idp.indirect || !slices.ContainsFunc(issuers, c.Issuer.Equal) {
			return false
		}
	} else {
		if !c.Issuer.Equal(cert.Issuer) {
			return false
		}
		issuers = []Name{cert.Issuer}
	}
	if c.idp == nil {
		return true
	}
	if c.idp.attributes || c.idp.onlyUser && cert.IsCA || c.idp.onlyCA && !cert.IsCA {
		return false
	}
	if c.idp.name.absent() {
		return true
	}
	wanted := dp.issuers
	if !dp.name.absent() {
		wanted = dp.name.resolve(issuers...)
	}
	for _, have := range c.idp.name.resolve(c.Issuer) {
		for _, want := range wanted {
			if equalGeneralName(have, want) {
				return true
			}
		}
	}
	return false
}
