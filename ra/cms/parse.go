package cms

import (
	"bytes"
	"encoding/asn1"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// message is a SignedData with one signer, read into its parts and not yet believed. All slices are of the
// bytes that were read.
type message struct {
	contentType   asn1.ObjectIdentifier
	content       []byte
	detached      bool
	digests       []algorithm
	certificates  []certificate
	issuer        []byte // DER Name
	serial        []byte // DER INTEGER
	digest        algorithm
	attributes    []byte // what is inside the [0] of the signed attributes
	hasAttributes bool
	signatureAlg  algorithm
	signature     []byte
	hasUnsigned   bool
}

// algorithm is an AlgorithmIdentifier whose parameters are absent or NULL, or something else.
type algorithm struct {
	oid    asn1.ObjectIdentifier
	simple bool // parameters absent or NULL
}

var (
	tagContent      = cbasn1.Tag(0).ContextSpecific().Constructed()
	tagCertificates = cbasn1.Tag(0).ContextSpecific().Constructed()
	tagCRLs         = cbasn1.Tag(1).ContextSpecific().Constructed()
	tagSignedAttrs  = cbasn1.Tag(0).ContextSpecific().Constructed()
	tagUnsigned     = cbasn1.Tag(1).ContextSpecific().Constructed()
	tagKeyID        = cbasn1.Tag(0).ContextSpecific()
)

// signedData opens the ContentInfo around a SignedData (RFC 5652 section 3).
func signedData(der []byte) (cryptobyte.String, error) {
	in := cryptobyte.String(der)
	var info, outer, sd cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&oid) {
		return nil, refuse(ReasonNotSignedData, "not a ContentInfo")
	}
	if !oid.Equal(oidSignedData) {
		return nil, refuse(ReasonNotSignedData, "content type %s is not SignedData", oid)
	}
	if !info.ReadASN1(&outer, tagContent) || !info.Empty() ||
		!outer.ReadASN1(&sd, cbasn1.SEQUENCE) || !outer.Empty() {
		return nil, refuse(ReasonNotSignedData, "malformed ContentInfo")
	}
	return sd, nil
}

// parse reads a SignedData (RFC 5652 section 5.1) with exactly one signer.
func parse(der []byte) (*message, error) {
	sd, err := signedData(der)
	if err != nil {
		return nil, err
	}
	m := &message{}
	var version int64
	var digests, eci cryptobyte.String
	if !sd.ReadASN1Integer(&version) || !sd.ReadASN1(&digests, cbasn1.SET) || !sd.ReadASN1(&eci, cbasn1.SEQUENCE) {
		return nil, refuse(ReasonNotSignedData, "malformed SignedData")
	}
	for !digests.Empty() {
		a, ok := readAlgorithm(&digests)
		if !ok {
			return nil, refuse(ReasonNotSignedData, "malformed digest algorithm")
		}
		m.digests = append(m.digests, a)
	}
	if err := m.readContent(eci); err != nil {
		return nil, err
	}
	if err := m.readCertificates(&sd); err != nil {
		return nil, err
	}
	var infos, crls cryptobyte.String
	var hasCRLs bool // what a message says of revocation is not listened to
	if !sd.ReadOptionalASN1(&crls, &hasCRLs, tagCRLs) || !sd.ReadASN1(&infos, cbasn1.SET) || !sd.Empty() {
		return nil, refuse(ReasonNotSignedData, "malformed SignedData")
	}
	if err := m.readSigner(infos); err != nil {
		return nil, err
	}
	if wanted := versionFor(m.contentType); version != wanted {
		return nil, refuse(ReasonNotSignedData, "version %d where RFC 5652 section 5.1 wants %d", version, wanted)
	}
	return m, nil
}

// versionFor is the version of a SignedData whose certificates are X.509 and whose signer is named by issuer
// and serial number.
func versionFor(contentType asn1.ObjectIdentifier) int64 {
	if contentType.Equal(OIDData) {
		return 1
	}
	return 3
}

func (m *message) readContent(eci cryptobyte.String) error {
	var wrapped, content cryptobyte.String
	var present bool
	if !eci.ReadASN1ObjectIdentifier(&m.contentType) ||
		!eci.ReadOptionalASN1(&wrapped, &present, tagContent) || !eci.Empty() {
		return refuse(ReasonNotSignedData, "malformed EncapsulatedContentInfo")
	}
	if !present {
		m.detached = true
		return nil
	}
	if !wrapped.ReadASN1(&content, cbasn1.OCTET_STRING) || !wrapped.Empty() {
		return refuse(ReasonNotSignedData, "the content is not one OCTET STRING")
	}
	m.content = content
	return nil
}

func (m *message) readCertificates(sd *cryptobyte.String) error {
	var certs cryptobyte.String
	var present bool
	if !sd.ReadOptionalASN1(&certs, &present, tagCertificates) {
		return refuse(ReasonNotSignedData, "malformed certificates")
	}
	for !certs.Empty() {
		if len(m.certificates) == maxCertificates {
			return refuse(ReasonTooManyCerts, "more than %d", maxCertificates)
		}
		var raw cryptobyte.String
		if !certs.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
			return refuse(ReasonCertificate, "only X.509 certificates are supported")
		}
		c, err := readCertificate(raw)
		if err != nil {
			return err
		}
		m.certificates = append(m.certificates, c)
	}
	return nil
}

// readSigner reads the SignerInfos (RFC 5652 section 5.3), of which there is to be one.
func (m *message) readSigner(infos cryptobyte.String) error {
	var si cryptobyte.String
	if infos.Empty() {
		return refuse(ReasonSignerCount, "no signer, exactly one is wanted")
	}
	if !infos.ReadASN1(&si, cbasn1.SEQUENCE) {
		return refuse(ReasonNotSignedData, "malformed SignerInfo")
	}
	if !infos.Empty() {
		return refuse(ReasonSignerCount, "more than one signer, exactly one is wanted")
	}
	var version int64
	if !si.ReadASN1Integer(&version) {
		return refuse(ReasonNotSignedData, "malformed SignerInfo")
	}
	if si.PeekASN1Tag(tagKeyID) || si.PeekASN1Tag(tagKeyID.Constructed()) {
		return refuse(ReasonSignerKeyID, "the signer is named by key identifier; issuer and serial number are wanted")
	}
	if version != 1 {
		return refuse(ReasonNotSignedData, "signer version %d where RFC 5652 section 5.3 wants 1", version)
	}
	var sid, issuer, serial, attrs, sig, unsigned cryptobyte.String
	var ok [2]bool
	if !si.ReadASN1(&sid, cbasn1.SEQUENCE) || !sid.ReadASN1Element(&issuer, cbasn1.SEQUENCE) ||
		!sid.ReadASN1Element(&serial, cbasn1.INTEGER) || !sid.Empty() {
		return refuse(ReasonNotSignedData, "malformed IssuerAndSerialNumber")
	}
	if m.digest, ok[0] = readAlgorithm(&si); !ok[0] ||
		!si.ReadOptionalASN1(&attrs, &m.hasAttributes, tagSignedAttrs) {
		return refuse(ReasonNotSignedData, "malformed SignerInfo")
	}
	if m.signatureAlg, ok[1] = readAlgorithm(&si); !ok[1] || !si.ReadASN1(&sig, cbasn1.OCTET_STRING) ||
		!si.ReadOptionalASN1(&unsigned, &m.hasUnsigned, tagUnsigned) || !si.Empty() {
		return refuse(ReasonNotSignedData, "malformed SignerInfo")
	}
	m.issuer, m.serial, m.attributes, m.signature = issuer, serial, attrs, sig
	return nil
}

func readAlgorithm(in *cryptobyte.String) (algorithm, bool) {
	var seq cryptobyte.String
	var a algorithm
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&a.oid) {
		return a, false
	}
	a.simple = seq.Empty() || bytes.Equal(seq, []byte{5, 0})
	return a, true
}

// readAttributes reads signed attributes and refuses any type that is there twice and any that does not
// have exactly one value.
func readAttributes(in cryptobyte.String) ([]Attribute, error) {
	var attrs []Attribute
	for !in.Empty() {
		if len(attrs) == maxAttributes {
			return nil, refuse(ReasonTooManyAttribute, "more than %d", maxAttributes)
		}
		var seq, set, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		var tag cbasn1.Tag
		if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&oid) ||
			!seq.ReadASN1(&set, cbasn1.SET) || !seq.Empty() {
			return nil, refuse(ReasonAttrMalformed, "malformed attribute")
		}
		if !set.ReadAnyASN1Element(&value, &tag) {
			return nil, refuse(ReasonAttrMalformed, "attribute %s has no value", oid)
		}
		if !set.Empty() {
			return nil, refuse(ReasonAttrDuplicate, "attribute %s has more than one value", oid)
		}
		for _, a := range attrs {
			if a.OID.Equal(oid) {
				return nil, refuse(ReasonAttrDuplicate, "attribute %s is there twice", oid)
			}
		}
		attrs = append(attrs, Attribute{OID: oid, Value: value})
	}
	return attrs, nil
}

// parseTime reads a Time (RFC 5652 section 11.3): UTCTime or GeneralizedTime, to the second, in UTC.
func parseTime(der []byte) (time.Time, bool) {
	in := cryptobyte.String(der)
	var value cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&value, &tag) || !in.Empty() {
		return time.Time{}, false
	}
	text := string(value)
	switch tag {
	case cbasn1.UTCTime:
		if len(text) != len("060102150405Z") {
			return time.Time{}, false
		}
		century := "20" // RFC 5280 section 4.1.2.5.1: 50 and above is the nineteen hundreds
		if text >= "50" {
			century = "19"
		}
		text = century + text
	case cbasn1.GeneralizedTime:
	default:
		return time.Time{}, false
	}
	const layout = "20060102150405Z"
	t, err := time.Parse(layout, text)
	return t, err == nil && t.Format(layout) == text
}
