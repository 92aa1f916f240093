package cardmsg

import (
	"context"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"unicode/utf8"

	"certwindow/policy"
	"certwindow/ra/certpath"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Attributes of the government PKI's certificates, and the subject types of the HCA's.
var (
	OIDCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	OIDSerialNumber = asn1.ObjectIdentifier{2, 5, 4, 5}

	OIDSubjectType = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 1}
	OIDPersonnel   = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 3, 1, 7}
	OIDInstitution = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 3, 2, 21}
)

// Marks tell an IC card's certificate from a mobile one of the same person (HCA-5.1.1). What they are has to
// be learnt from the HCA, so they are configured; an empty field marks nothing.
type Marks struct {
	Policies     []asn1.ObjectIdentifier // the certificate asserts every one of them
	IssuerKeyIDs [][]byte                // the issuer's key identifier is one of them
	Attributes   []AttributeMark         // and it has every one of these
}

// AttributeMark is an attribute of the subject or of subjectDirectoryAttributes that must be there once, with the
// values it may have, as text or as a dotted object identifier; without any it may have every value.
type AttributeMark struct {
	OID    asn1.ObjectIdentifier
	Values []string
}

// attributeValues gives every value of an attribute of the subject and of subjectDirectoryAttributes, as text.
// ok is false where one cannot be read.
func attributeValues(c *certpath.Certificate, oid asn1.ObjectIdentifier) (values []string, ok bool) {
	values = c.Subject.All(oid)
	for _, a := range c.SubjectDirectoryAttributes {
		if !a.Type.Equal(oid) {
			continue
		}
		for _, der := range a.Values {
			v, ok := valueText(der)
			if !ok {
				return nil, false
			}
			values = append(values, v)
		}
	}
	return values, true
}

// only gives the one value of an attribute; none gives "".
func only(c *certpath.Certificate, oid asn1.ObjectIdentifier, clause policy.Clause) (string, error) {
	values, ok := attributeValues(c, oid)
	if !ok || len(values) > 1 {
		return "", refuse(ReasonSubject, clause, "attribute %s of the certificate has no single readable value", oid)
	}
	if len(values) == 0 {
		return "", nil
	}
	return values[0], nil
}

// valueText reads a string of one of the types that readers and cards use, or an object identifier. An
// OCTET STRING is read as text too, since components put text into it (HCA-8.1.2, PKCS #9 randomNonce).
func valueText(der []byte) (string, bool) {
	in := cryptobyte.String(der)
	var value cryptobyte.String
	var tag cbasn1.Tag
	if in.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER) {
		var oid asn1.ObjectIdentifier
		ok := in.ReadASN1ObjectIdentifier(&oid) && in.Empty()
		return oid.String(), ok
	}
	if !in.ReadAnyASN1(&value, &tag) || !in.Empty() || !utf8.Valid(value) {
		return "", false
	}
	const visibleString = cbasn1.Tag(26)
	allowed := []cbasn1.Tag{cbasn1.UTF8String, cbasn1.PrintableString, cbasn1.IA5String, visibleString, cbasn1.OCTET_STRING}
	return string(value), slices.Contains(allowed, tag)
}

// octets reads an OCTET STRING as the base64url of what it holds: PKCS #9 makes randomNonce one, and a component
// may put the nonce's bytes into it rather than its text.
func octets(der []byte) (string, bool) {
	in := cryptobyte.String(der)
	var value cryptobyte.String
	ok := in.ReadASN1(&value, cbasn1.OCTET_STRING) && in.Empty()
	return base64.RawURLEncoding.EncodeToString(value), ok
}

// checkSubjectType wants the certificate to be of one of the allowed subject types by its whole object
// identifier. An institution's certificate gets a reason of its own: it is the card next to the right one.
func checkSubjectType(c *certpath.Certificate, o *Options) error {
	var found []string
	for _, a := range c.SubjectDirectoryAttributes {
		if !a.Type.Equal(OIDSubjectType) {
			continue
		}
		for _, der := range a.Values {
			in := cryptobyte.String(der)
			var oid asn1.ObjectIdentifier
			if !in.ReadASN1ObjectIdentifier(&oid) || !in.Empty() {
				return refuse(ReasonSubjectType, o.Clause, "the subject type is not an object identifier")
			}
			found = append(found, oid.String())
		}
	}
	allowed := o.SubjectTypes
	if len(allowed) == 0 {
		allowed = []asn1.ObjectIdentifier{OIDPersonnel}
	}
	switch {
	case len(found) == 0:
		return refuse(ReasonSubjectTypeMissing, o.Clause, "the certificate has no subject type")
	case len(found) > 1:
		return refuse(ReasonSubjectType, o.Clause, "the certificate has more than one subject type")
	case slices.ContainsFunc(allowed, func(a asn1.ObjectIdentifier) bool { return a.String() == found[0] }):
		return nil
	case found[0] == OIDInstitution.String():
		return refuse(ReasonInstitution, o.Clause, "this is an institution's certificate, a person's is wanted")
	}
	return refuse(ReasonSubjectType, o.Clause, "subject type %s is not accepted here", found[0])
}

// identify reads holder and name, and compares them where they are known.
func (v *Verified) identify(o *Options) error {
	oid := o.HolderOID
	if oid == nil {
		oid = OIDSerialNumber
	}
	var err error
	if v.holder, err = only(v.signer, oid, o.Clause); err != nil {
		return err
	}
	if v.name, err = only(v.signer, OIDCommonName, o.Clause); err != nil {
		return err
	}
	if o.Holder != "" && v.holder != o.Holder {
		return refuse(ReasonHolder, o.Clause, "the card is another person's")
	}
	if o.Name != "" && v.name != o.Name {
		return refuse(ReasonName, o.Clause, "the name on the card is another")
	}
	return nil
}

// checkMarks wants every configured mark of a card certificate.
func (v *Verified) checkMarks(o *Options) error {
	if missing := o.Marks.missing(v.signer, v.issuerKeyID()); missing != "" {
		return refuse(ReasonMark, o.Clause, "%s", missing)
	}
	return nil
}

// Bears tells whether a certificate has every mark of a card's. Where no mark is configured, none does.
func (m Marks) Bears(c *certpath.Certificate) bool {
	return len(m.Policies)+len(m.IssuerKeyIDs)+len(m.Attributes) > 0 && m.missing(c, c.AuthorityKeyID) == ""
}

// missing says which mark a certificate does not have; empty when it has all of them.
func (m Marks) missing(c *certpath.Certificate, issuer []byte) string {
	for _, p := range m.Policies {
		if !c.HasPolicy(p) {
			return fmt.Sprintf("the certificate does not assert policy %s", p)
		}
	}
	if ids := m.IssuerKeyIDs; len(ids) > 0 {
		if !slices.ContainsFunc(ids, func(id []byte) bool { return len(id) > 0 && string(id) == string(issuer) }) {
			return fmt.Sprintf("issuing key %x issues no card certificates", issuer)
		}
	}
	for _, a := range m.Attributes {
		values, ok := attributeValues(c, a.OID)
		if !ok || len(values) != 1 || len(a.Values) > 0 && !slices.Contains(a.Values, values[0]) {
			return fmt.Sprintf("attribute %s is not that of a card certificate", a.OID)
		}
	}
	return ""
}

// checkRegister refuses a certificate from the register of mobile ones: it is a personnel certificate too.
func (v *Verified) checkRegister(ctx context.Context, o *Options) error {
	if o.IsRegisteredMobile == nil {
		return nil
	}
	mobile, err := o.IsRegisteredMobile(ctx, v.issuerKeyID(), new(big.Int).Set(v.signer.SerialNumber))
	if err != nil {
		return &Error{Reason: ReasonRegister, Clause: o.Clause,
			Detail: "the register of mobile certificates does not answer", Err: err}
	}
	if mobile {
		return refuse(ReasonMobile, o.Clause, "a mobile certificate signed; an IC card's is wanted")
	}
	return nil
}

// issuerKeyID is the authority key identifier as a register holds it; where the certificate has none, the
// identifier of the key that its path was validated with.
func (v *Verified) issuerKeyID() []byte {
	if len(v.signer.AuthorityKeyID) > 0 {
		return slices.Clone(v.signer.AuthorityKeyID)
	}
	return slices.Clone(v.result.Path[1].SubjectKeyID)
}
