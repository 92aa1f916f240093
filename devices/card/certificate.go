package card

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// certText is a certificate as /pkcs11info describes it.
type certText struct {
	CertB64            string `json:"certb64"`
	ID                 string `json:"id"` // base64 of CKA_ID
	Label              string `json:"label"`
	Usage              string `json:"usage,omitempty"`
	SubjectDN          string `json:"subjectDN"`
	SubjectCN          string `json:"subjectCN"`
	SubjectID          string `json:"subjectID"`
	IssuerDN           string `json:"issuerDN"`
	SN                 string `json:"sn"`         // upper hex
	Thumbprint         string `json:"thumbprint"` // SHA-1, upper hex: a name, not a proof
	SignatureAlgorithm string `json:"signatureAlgorithm"`
	NotBefore          string `json:"notBefore"`
	NotAfter           string `json:"notAfter"`
	NotBeforeT         int64  `json:"notBeforeT"` // Unix seconds
	NotAfterT          int64  `json:"notAfterT"`
	Email              string `json:"email,omitempty"`
	HolderRank         string `json:"holderRank,omitempty"`
}

// keyText is a public key as /pkcs11info describes it.
type keyText struct {
	ID     string `json:"id"`
	Label  string `json:"label"`
	Type   int    `json:"type"`   // CK_KEY_TYPE: 0 RSA, 3 EC
	KeyB64 string `json:"keyb64"` // RSAPublicKey, or the uncompressed point
}

// Members of subjectDirectoryAttributes in certificates of the Taiwanese government's authorities.
var (
	oidDirectoryAttributes = asn1.ObjectIdentifier{2, 5, 29, 9}
	oidSubjectType         = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 1}
	oidCardRank            = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 2}
	oidIDTail              = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 51}  // end of the national ID
	oidBusinessNumber      = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 101} // of a company
)

// describeCertificate reads what pages want to know. A certificate that cannot be parsed is listed as bytes.
func describeCertificate(c Certificate) certText {
	t := certText{
		CertB64: base64.StdEncoding.EncodeToString(c.DER),
		ID:      base64.StdEncoding.EncodeToString(c.ID),
		Label:   c.Label,
	}
	sum := sha1.Sum(c.DER)
	t.Thumbprint = strings.ToUpper(hex.EncodeToString(sum[:]))
	cert, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return t
	}
	t.Usage = usageText(cert.KeyUsage)
	t.SubjectDN, t.IssuerDN = dnText(cert.RawSubject), dnText(cert.RawIssuer)
	t.SubjectCN = cert.Subject.CommonName
	t.SN = strings.ToUpper(hex.EncodeToString(cert.SerialNumber.Bytes()))
	t.SignatureAlgorithm = signatureAlgorithm(cert.Raw)
	t.NotBefore, t.NotAfter = timeText(cert.NotBefore), timeText(cert.NotAfter)
	t.NotBeforeT, t.NotAfterT = cert.NotBefore.Unix(), cert.NotAfter.Unix()
	if len(cert.EmailAddresses) > 0 {
		t.Email = cert.EmailAddresses[0]
	}
	t.SubjectID, t.HolderRank = directoryAttributes(cert)
	return t
}

// usageText names the key usages as pages compare them, for instance "keyEncipherment|dataEncipherment".
func usageText(u x509.KeyUsage) string {
	names := []string{
		"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
		"keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
	}
	var set []string
	for bit, name := range names {
		if u&(1<<bit) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, "|")
}

// timeText is the time as X.509 writes it: two digits of the year until 2049, four from then on.
func timeText(t time.Time) string {
	if y := t.UTC().Year(); y < 1950 || y > 2049 {
		return t.UTC().Format("20060102150405Z")
	}
	return t.UTC().Format("060102150405Z")
}

// dnKeys are the short names of RFC 4514 and RFC 4519 for what occurs in these certificates.
var dnKeys = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.42": "GN",
	"0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress",
}

// dnEscaper keeps a value from looking like further parts of the name.
var dnEscaper = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `+`, `\+`, `=`, `\=`)

// dnText writes a name in its encoded order, country first, joined by commas without spaces.
func dnText(raw []byte) string {
	var seq pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &seq); err != nil || len(rest) > 0 {
		return ""
	}
	var parts []string
	for _, rdn := range seq {
		var set []string
		for _, atv := range rdn {
			key := atv.Type.String()
			if name, ok := dnKeys[key]; ok {
				key = name
			}
			set = append(set, key+"="+dnEscaper.Replace(fmt.Sprint(atv.Value)))
		}
		parts = append(parts, strings.Join(set, "+"))
	}
	return strings.Join(parts, ",")
}

// signatureAlgorithm is the dotted OID in the certificate's outer signatureAlgorithm.
func signatureAlgorithm(raw []byte) string {
	var outer struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(raw, &outer); err != nil {
		return ""
	}
	return outer.Algorithm.Algorithm.String()
}

// subjectType is what kind of subject the authority says the certificate is of; nil when it does not say.
func subjectType(cert *x509.Certificate) (kind asn1.ObjectIdentifier) {
	for _, a := range attributesOf(cert) {
		if a.Type.Equal(oidSubjectType) && len(a.Values) == 1 {
			if _, err := asn1.Unmarshal(a.Values[0].FullBytes, &kind); err != nil {
				return nil
			}
		}
	}
	return kind
}

// directoryAttribute is one member of subjectDirectoryAttributes (RFC 5280 section 4.2.1.8).
type directoryAttribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// attributesOf are the members of a certificate's subjectDirectoryAttributes; none when they cannot be read.
func attributesOf(cert *x509.Certificate) []directoryAttribute {
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oidDirectoryAttributes) {
			continue
		}
		var attrs []directoryAttribute
		if rest, err := asn1.Unmarshal(ext.Value, &attrs); err == nil && len(rest) == 0 {
			return attrs
		}
		return nil
	}
	return nil
}

// directoryAttributes reads the identifier that the authority put into the certificate and the card's rank.
func directoryAttributes(cert *x509.Certificate) (id, rank string) {
	for _, a := range attributesOf(cert) {
		if len(a.Values) != 1 {
			continue
		}
		var value string
		if _, err := asn1.Unmarshal(a.Values[0].FullBytes, &value); err != nil {
			continue
		}
		switch {
		case a.Type.Equal(oidIDTail), a.Type.Equal(oidBusinessNumber):
			id = value
		case a.Type.Equal(oidCardRank):
			rank = value
		}
	}
	return id, rank
}

// describeKey writes a public key as pages read it; ok is false for a kind of key the protocol has no
// number for.
func describeKey(k PublicKey) (t keyText, ok bool) {
	t = keyText{ID: base64.StdEncoding.EncodeToString(k.ID), Label: k.Label}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		t.KeyB64 = base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(key))
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return t, false
		}
		t.Type = 3
		t.KeyB64 = base64.StdEncoding.EncodeToString(point)
	default:
		return t, false
	}
	return t, true
}
