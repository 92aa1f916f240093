package hca

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers of the government PKI that a holder's certificate is told by.
var (
	OIDSubjectDirectoryAttributes = asn1.ObjectIdentifier{2, 5, 29, 9}
	OIDSubjectType                = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 1}
	OIDPersonnel                  = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 3, 1, 7}
	OIDInstitution                = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 3, 2, 21}
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
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return mismatch(MismatchUndecodable, "%v", err)
	}
	for _, check := range []func(*x509.Certificate, *Facts) error{
		checkKey, checkSubject, checkIssuer, checkProfile, checkSubjectType, checkValidity,
	} {
		if err := check(cert, &f); err != nil {
			return err
		}
	}
	return nil
}

func checkKey(cert *x509.Certificate, f *Facts) error {
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

func checkSubject(cert *x509.Certificate, f *Facts) error {
	attr := f.HolderAttribute
	if attr == nil {
		attr = oidSerialNumber
	}
	if f.Holder == "" || !single(cert.Subject, attr, f.Holder) {
		return mismatch(MismatchHolder, "the subject does not bear the holder's identifier, exactly once")
	}
	if f.Name == "" || !single(cert.Subject, oidCommonName, f.Name) {
		return mismatch(MismatchName, "the subject does not bear the holder's name, exactly once")
	}
	return nil
}

// single reports whether the name has the attribute exactly once, with that value.
func single(n pkix.Name, attr asn1.ObjectIdentifier, want string) bool {
	count, equal := 0, false
	for _, a := range n.Names {
		if a.Type.Equal(attr) {
			count++
			v, ok := a.Value.(string)
			equal = ok && v == want
		}
	}
	return count == 1 && equal
}

// checkIssuer looks for a pinned CA by name and key identifier, since generations of one CA share their name, and
// then by signature.
func checkIssuer(cert *x509.Certificate, f *Facts) error {
	if len(cert.AuthorityKeyId) == 0 {
		return mismatch(MismatchIssuer, "there is no authority key identifier")
	}
	for _, der := range f.Issuers {
		ca, err := x509.ParseCertificate(der)
		if err != nil {
			return mismatch(MismatchIssuer, "a pinned issuer cannot be read: %v", err)
		}
		if !bytes.Equal(ca.RawSubject, cert.RawIssuer) || !bytes.Equal(ca.SubjectKeyId, cert.AuthorityKeyId) {
			continue
		}
		if !ca.IsCA || ca.KeyUsage&x509.KeyUsageCertSign == 0 {
			return mismatch(MismatchIssuer, "the pinned issuer may not sign certificates")
		}
		if err := ca.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
			return mismatch(MismatchIssuer, "signature: %v", err)
		}
		return nil
	}
	return mismatch(MismatchIssuer, "no pinned CA has its issuer's name and key identifier")
}

func checkProfile(cert *x509.Certificate, f *Facts) error {
	const allowed = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	switch {
	case cert.Version != 3:
		return mismatch(MismatchProfile, "version %d", cert.Version)
	case cert.IsCA:
		return mismatch(MismatchProfile, "it is a CA certificate")
	case cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 || cert.KeyUsage&^allowed != 0:
		return mismatch(MismatchProfile, "key usage %#x is not that of a signing certificate", int(cert.KeyUsage))
	case len(cert.UnhandledCriticalExtensions) > 0:
		return mismatch(MismatchProfile, "unknown critical extension %v", cert.UnhandledCriticalExtensions[0])
	}
	for _, u := range cert.ExtKeyUsage {
		if u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageOCSPSigning || u == x509.ExtKeyUsageCodeSigning || u == x509.ExtKeyUsageTimeStamping {
			return mismatch(MismatchProfile, "extended key usage is not that of a holder")
		}
	}
	if len(f.Policies) > 0 && !assertsOne(cert, f.Policies) {
		return mismatch(MismatchProfile, "none of the expected policies is asserted")
	}
	return nil
}

func assertsOne(cert *x509.Certificate, policies []asn1.ObjectIdentifier) bool {
	for _, have := range cert.PolicyIdentifiers {
		for _, want := range policies {
			if have.Equal(want) {
				return true
			}
		}
	}
	return false
}

func checkSubjectType(cert *x509.Certificate, f *Facts) error {
	want := f.SubjectType
	if want == nil {
		want = OIDPersonnel
	}
	got, err := SubjectType(cert)
	if err != nil {
		return mismatch(MismatchSubjectType, "%v", err)
	}
	if !got.Equal(want) {
		return mismatch(MismatchSubjectType, "it is %v", got)
	}
	return nil
}

func checkValidity(cert *x509.Certificate, f *Facts) error {
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

// SubjectType reads the subject type of the government PKI out of subjectDirectoryAttributes: an OBJECT IDENTIFIER,
// alone in the SET of the one attribute 2.16.886.1.100.2.1.
func SubjectType(cert *x509.Certificate) (asn1.ObjectIdentifier, error) {
	var ext []byte
	for _, e := range cert.Extensions {
		if e.Id.Equal(OIDSubjectDirectoryAttributes) {
			ext = e.Value
		}
	}
	if ext == nil {
		return nil, fmt.Errorf("no subject directory attributes")
	}
	var found asn1.ObjectIdentifier
	var attrs cryptobyte.String
	in := cryptobyte.String(ext)
	if !in.ReadASN1(&attrs, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, fmt.Errorf("malformed subject directory attributes")
	}
	for !attrs.Empty() {
		var attr, values cryptobyte.String
		var id asn1.ObjectIdentifier
		if !attrs.ReadASN1(&attr, cbasn1.SEQUENCE) || !attr.ReadASN1ObjectIdentifier(&id) ||
			!attr.ReadASN1(&values, cbasn1.SET) || !attr.Empty() {
			return nil, fmt.Errorf("malformed subject directory attribute")
		}
		if !id.Equal(OIDSubjectType) {
			continue
		}
		if found != nil || !values.ReadASN1ObjectIdentifier(&found) || !values.Empty() {
			return nil, fmt.Errorf("subject type is not exactly one object identifier")
		}
	}
	if found == nil {
		return nil, fmt.Errorf("no subject type")
	}
	return found, nil
}
