package certpath

// Object identifiers as DER content octets.
const (
	oidExtSubjectDirectory  OID = "\x55\x1d\x09"
	oidExtSubjectKeyID      OID = "\x55\x1d\x0e"
	oidExtKeyUsage          OID = "\x55\x1d\x0f"
	oidExtSubjectAltName    OID = "\x55\x1d\x11"
	oidExtIssuerAltName     OID = "\x55\x1d\x12"
	oidExtBasicConstraints  OID = "\x55\x1d\x13"
	oidExtCRLNumber         OID = "\x55\x1d\x14"
	oidExtReasonCode        OID = "\x55\x1d\x15"
	oidExtInvalidityDate    OID = "\x55\x1d\x18"
	oidExtDeltaCRL          OID = "\x55\x1d\x1b"
	oidExtIssuingDP         OID = "\x55\x1d\x1c"
	oidExtCertificateIssuer OID = "\x55\x1d\x1d"
	oidExtNameConstraints   OID = "\x55\x1d\x1e"
	oidExtCRLDP             OID = "\x55\x1d\x1f"
	oidExtPolicies          OID = "\x55\x1d\x20"
	oidQualifierCPS         OID = "\x2b\x06\x01\x05\x05\x07\x02\x01"
	oidQualifierNotice      OID = "\x2b\x06\x01\x05\x05\x07\x02\x02"
	oidExtPolicyMappings    OID = "\x55\x1d\x21"
	oidExtAuthorityKeyID    OID = "\x55\x1d\x23"
	oidExtPolicyConstraints OID = "\x55\x1d\x24"
	oidExtEKU               OID = "\x55\x1d\x25"
	oidExtFreshestCRL       OID = "\x55\x1d\x2e"
	oidExtInhibitAny        OID = "\x55\x1d\x36"
	oidExtAIA               OID = "\x2b\x06\x01\x05\x05\x07\x01\x01"
	oidExtOCSPNoCheck       OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x05"

	oidAnyPolicy   OID = "\x55\x1d\x20\x00"
	oidAnyEKU      OID = "\x55\x1d\x25\x00"
	oidOCSPSigning OID = "\x2b\x06\x01\x05\x05\x07\x03\x09"

	oidAccessOCSP      OID = "\x2b\x06\x01\x05\x05\x07\x30\x01"
	oidAccessCAIssuers OID = "\x2b\x06\x01\x05\x05\x07\x30\x02"
	oidOCSPBasic       OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x01"
	oidOCSPNonce       OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x02"

	oidAttrCN     OID = "\x55\x04\x03"
	oidAttrSerial OID = "\x55\x04\x05"
	oidAttrC      OID = "\x55\x04\x06"
	oidAttrO      OID = "\x55\x04\x0a"
	oidAttrOU     OID = "\x55\x04\x0b"
	oidAttrEmail  OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"

	// 2.16.886.1.100.2.1, the subject type of Taiwan's government PKI.
	oidSubjectType OID = "\x60\x86\x76\x01\x64\x02\x01"
)

// commonOIDs are those of nearly every certificate and OCSP response: reading one of them allocates nothing.
var commonOIDs = func() map[string]OID {
	all := map[string]OID{}
	for _, id := range []OID{
		oidExtSubjectDirectory, oidExtSubjectKeyID, oidExtKeyUsage, oidExtSubjectAltName, oidExtBasicConstraints,
		oidExtCRLNumber, oidExtReasonCode, oidExtCRLDP, oidExtPolicies, oidExtAuthorityKeyID, oidExtEKU, oidExtAIA,
		oidExtOCSPNoCheck, oidOCSPSigning, oidAccessOCSP, oidAccessCAIssuers, oidOCSPBasic, oidOCSPNonce,
		oidAttrCN, oidAttrSerial, oidAttrC, oidAttrO, oidAttrOU, oidSubjectType, oidSHA1, oidSHA256,
		oidSHA256RSA, oidSHA256ECDSA, oidKeyRSA, oidKeyEC, oidP256,
	} {
		all[string(id)] = id
	}
	return all
}()
