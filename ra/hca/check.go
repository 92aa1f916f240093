package hca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"certwindow/ra/certpath"
)

// Object identifiers of the government PKI that a holder's certificate is told by.
var (
	OIDSubjectDirectoryAttributes = asn1.ObjectIdentifier{2, 5, 29, 9}
	OIDSubjectType                = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 1}
	OIDPersonnel                  = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 3, 1, 7}
	OIDInstitution                = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 3, 2, 21}

	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidSerialNumber = asn1.ObjectIdentifier{2, 5, 4, 5}
)

// maxCertificate is the largest certificate that is looked at, in bytes.
const maxCertificate = 16 << 10

// clockSkew is how far in the future a new certificate may begin.
const clockSkew = 5 * time.Minute

// MismatchReason says in which way a certificate does not answer its request.
type MismatchReason string

// The reasons for which CheckCertificate refuses.
const (
	MismatchUndecodable MismatchReason = "undecodable"
	MismatchKey         MismatchReason = "key"
	MismatchHolder      MismatchReason = "holder"
	MismatchName        MismatchReason = "name"
	MismatchIssuer      MismatchReason = "issuer"
	MismatchProfile     MismatchReason = "profile"
	MismatchSubjectType MismatchReason = "subject-type"
	MismatchValidity    MismatchReason = "validity"
)

// Mismatch is the error of CheckCertificate. Detail holds no name and no identifier of a person.
type Mismatch struct {
	Reason MismatchReason
	Detail string
}

// Error says reason and detail.
func (m *Mismatch) Error() string {
	return "hca: the certificate does not answer the request: " + string(m.Reason) + ": " + m.Detail
}

func mismatch(r MismatchReason, format string, args ...any) error {
	return &Mismatch{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

// Facts is what a certificate that comes back is held against.
type Facts struct {
	SPKI []byte // the SubjectPublicKeyInfo of the request that was sent

	Holder          string                // the value that the card certificate has in HolderAttribute
	HolderAttribute asn1.ObjectIdentifier // of the subject; nil means serialNumber, 2.5.4.5
	Name            string                // the subject CN of the card certificate

	Issuers     [][]byte                // the pinned issuing CA certificates, DER; the path above them is pinned already
	SubjectType asn1.ObjectIdentifier   // nil means personnel
	Policies    []asn1.ObjectIdentifier // one of them must be asserted; empty means any
	Now         time.Time
	MaxValidity time.Duration // zero means no limit
}

// CheckCertificate holds a certificate that came from the HCA against its request: key, holder, issuer, profile and
// validity. Whether its serial number was seen before is the caller's to know. A refusal is a *Mismatch.
func CheckCertificate(der []byte, f Facts) error {
	if len(der) > maxCertificate {
		return mismatch(MismatchUndecodable, "%d bytes are too many", len(der))
	}
	cert, err := certpath.ParseCertificate(der)
	if err != nil {
		return mismatch(MismatchUndecodable, "%v", err)
	}
	for _, check := range []func(*certpath.Certificate, *Facts) error{
		checkKey, checkSubject, checkProfile, checkSubjectType, checkValidity, checkIssuer,
	} {
		if err := check(cert, &f); err != nil {
			return err
		}
	}
	return nil
}

func checkKey(cert *certpath.Certificate, f *Facts) error {
	want, err := x509.ParsePKIXPublicKey(f.SPKI)
	if err != nil {
		return mismatch(MismatchKey, "the request's own key cannot be read: %v", err)
	}
	// Keys are compared, not their encodings: a CA may write absent algorithm parameters as NULL.
	k, ok := want.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !k.Equal(cert.PublicKey) {
		return mismatch(MismatchKey, "it is not the key of the request")
	}
	return nil
}

func checkSubject(cert *certpath.Certificate, f *Facts) error {
	attr := f.HolderAttribute
	if attr == nil {
		attr = oidSerialNumber
	}
	if f.Holder == "" || !single(cert, attr, f.Holder) {
		return mismatch(MismatchHolder, "the subject does not bear the holder's identifier, exactly once")
	}
	if f.Name == "" || !single(cert, oidCommonName, f.Name) {
		return mismatch(MismatchName, "the subject does not bear the holder's name, exactly once")
	}
	return nil
}

// single reports whether the subject has the attribute exactly once, with that value.
func single(cert *certpath.Certificate, attr asn1.ObjectIdentifier, want string) bool {
	all := cert.Subject.All(attr)
	return len(all) == 1 && all[0] == want
}

func checkProfile(cert *certpath.Certificate, f *Facts) error {
	const allowed = certpath.KeyUsageDigitalSignature | certpath.KeyUsageContentCommitment
	switch {
	case cert.Version != 3:
		return mismatch(MismatchProfile, "version %d", cert.Version)
	case cert.IsCA:
		return mismatch(MismatchProfile, "it is a CA certificate")
	case cert.KeyUsage&certpath.KeyUsageDigitalSignature == 0 || cert.KeyUsage&^allowed != 0:
		return mismatch(MismatchProfile, "key usage %#x is not that of a signing certificate", uint16(cert.KeyUsage))
	}
	for _, have := range cert.EKUs {
		for _, service := range serviceEKUs {
			if have.Equal(service) {
				return mismatch(MismatchProfile, "extended key usage %s is not that of a holder", have)
			}
		}
	}
	if len(f.Policies) > 0 && !assertsOne(cert, f.Policies) {
		return mismatch(MismatchProfile, "none of the expected policies is asserted")
	}
	return nil
}

// serviceEKUs are what machines are certified for: TLS servers, code, time stamps, OCSP, and a CA's CMC service.
var serviceEKUs = []asn1.ObjectIdentifier{
	{1, 3, 6, 1, 5, 5, 7, 3, 1}, {1, 3, 6, 1, 5, 5, 7, 3, 3}, {1, 3, 6, 1, 5, 5, 7, 3, 8}, {1, 3, 6, 1, 5, 5, 7, 3, 9}, {1, 3, 6, 1, 5, 5, 7, 3, 27},
}

func assertsOne(cert *certpath.Certificate, policies []asn1.ObjectIdentifier) bool {
	for _, p := range policies {
		if cert.HasPolicy(p) {
			return true
		}
	}
	return false
}

func checkSubjectType(cert *certpath.Certificate, f *Facts) error {
	want := f.SubjectType
	if want == nil {
		want = OIDPersonnel
	}
	if got := cert.SubjectType(); got != want.String() {
		return mismatch(MismatchSubjectType, "it is %q", got)
	}
	return nil
}

func checkValidity(cert *certpath.Certificate, f *Facts) error {
	switch {
	case cert.NotBefore.After(f.Now.Add(clockSkew)):
		return mismatch(MismatchValidity, "it begins at %s", cert.NotBefore.UTC().Format(time.RFC3339))
	case f.Now.After(cert.NotAfter):
		return mismatch(MismatchValidity, "it ended at %s", cert.NotAfter.UTC().Format(time.RFC3339))
	case f.MaxValidity > 0 && cert.NotAfter.Sub(cert.NotBefore) > f.MaxValidity:
		return mismatch(MismatchValidity, "it is valid for %s", cert.NotAfter.Sub(cert.NotBefore))
	}
	return nil
}

// checkIssuer looks for a pinned CA by name and key identifier, since generations of one CA share their name, and has
// the certificate judged under it alone.
func checkIssuer(cert *certpath.Certificate, f *Facts) error {
	if len(cert.AuthorityKeyID) == 0 {
		return mismatch(MismatchIssuer, "there is no authority key identifier")
	}
	at := f.Now
	if cert.NotBefore.After(at) { // by no more than clockSkew, as was checked
		at = cert.NotBefore
	}
	for _, der := range f.Issuers {
		ca, err := certpath.ParseCertificate(der)
		if err != nil {
			return mismatch(MismatchIssuer, "a pinned issuer cannot be read: %v", err)
		}
		if !bytes.Equal(ca.RawSubject, cert.RawIssuer) || !bytes.Equal(ca.SubjectKeyID, cert.AuthorityKeyID) {
			continue
		}
		_, err = certpath.Validate(context.Background(), cert, certpath.Options{Anchors: []*certpath.Certificate{ca}, At: at, MaxDepth: -1})
		return judged(err)
	}
	return mismatch(MismatchIssuer, "no pinned CA has its issuer's name and key identifier")
}

// judged turns a refusal by path validation into one of ours, without the subject that it names.
func judged(err error) error {
	var refused *certpath.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &refused):
		return mismatch(MismatchIssuer, "it could not be judged")
	case refused.Reason == certpath.ReasonCritical || refused.Reason == certpath.ReasonProfile:
		return mismatch(MismatchProfile, "%s: %s", refused.Reason, refused.Detail)
	}
	return mismatch(MismatchIssuer, "%s: %s", refused.Reason, refused.Detail)
}
