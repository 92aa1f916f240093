package certpath

import "time"

// checkOwnProfile records what RFC 5280 section 4 forbids whatever the place of the certificate in a path.
func (c *Certificate) checkOwnProfile() {
	if c.Issuer.Empty() {
		c.defect("the issuer name is empty")
	}
	if c.Subject.Empty() && c.IsCA {
		c.defect("the subject name of a CA is empty")
	}
	if c.Subject.Empty() && !c.x.hasSAN {
		c.defect("neither a subject name nor a subjectAltName")
	}
	if c.HasKeyUsage && c.KeyUsage&KeyUsageCertSign != 0 && !c.IsCA {
		c.defect("keyUsage has keyCertSign but the certificate is not a CA's")
	}
	if c.PathLen != unset {
		if !c.IsCA {
			c.defect("pathLenConstraint in a certificate that is not a CA's")
		} else if c.HasKeyUsage && c.KeyUsage&KeyUsageCertSign == 0 {
			c.defect("pathLenConstraint without keyCertSign")
		}
	}
	if c.x.constraints != nil && !c.IsCA {
		c.defect("nameConstraints in a certificate that is not a CA's")
	}
	if c.x.hasAKI && c.AuthorityKeyID == nil && !c.selfIssued() {
		c.defect("authorityKeyIdentifier without a key identifier")
	}
	if c.NotAfter.Before(c.NotBefore) {
		c.defect("the validity ends before it begins")
	}
}

// selfIssued tells whether subject and issuer are the same name.
func (c *Certificate) selfIssued() bool { return c.Subject.Equal(c.Issuer) }

// checkAt judges what concerns a certificate anywhere in a path: profile, critical extensions, validity.
func (c *Certificate) checkAt(at time.Time) *Error {
	if len(c.x.defects) > 0 {
		return refuse(ReasonProfile, "%s", c.x.defects[0]).about(c)
	}
	return c.checkCriticalAndTime(at)
}

func (c *Certificate) checkCriticalAndTime(at time.Time) *Error {
	if c.x.unknownCritical != "" {
		return refuse(ReasonCritical, "critical extension %s", c.x.unknownCritical).about(c)
	}
	// Certificates count in whole seconds, and both ends belong to the validity (RFC 5280 section 4.1.2.5).
	at = at.Truncate(time.Second)
	if at.Before(c.NotBefore) {
		return refuse(ReasonNotYetValid, "valid from %s", c.NotBefore.Format(time.RFC3339)).about(c)
	}
	if at.After(c.NotAfter) {
		return refuse(ReasonExpired, "valid until %s", c.NotAfter.Format(time.RFC3339)).about(c)
	}
	return nil
}

// checkIssued judges what concerns a certificate below the anchor, given its issuer.
func (c *Certificate) checkIssued(issuer *Certificate) *Error {
	switch {
	case c.SerialNumber.Sign() == 0:
		return refuse(ReasonProfile, "the serial number is zero").about(c)
	case c.AuthorityKeyID == nil && issuer.SubjectKeyID != nil:
		// An issuer without a key identifier leaves nothing to name; only an anchor may be one.
		return refuse(ReasonProfile, "no authorityKeyIdentifier").about(c)
	case c.IsCA && !c.x.hasSKI:
		return refuse(ReasonProfile, "a CA without subjectKeyIdentifier").about(c)
	case !c.IsCA && len(c.x.mappings) > 0:
		return refuse(ReasonProfile, "policyMappings in a certificate that is not a CA's").about(c)
	}
	return nil
}

// checkIssuer judges whether the certificate may issue certificates at all.
func (c *Certificate) checkIssuer() *Error {
	if c.Version < 3 || !c.IsCA {
		return refuse(ReasonNotCA, "basicConstraints does not say CA").about(c)
	}
	if c.HasKeyUsage && c.KeyUsage&KeyUsageCertSign == 0 {
		return refuse(ReasonNotCA, "keyUsage lacks keyCertSign").about(c)
	}
	return c.keyError()
}

// keyError says why the public key cannot be used, if it cannot.
func (c *Certificate) keyError() *Error {
	if c.x.keyErr == nil {
		return nil
	}
	return refuse(c.x.keyErr.Reason, "%s", c.x.keyErr.Detail).about(c)
}
