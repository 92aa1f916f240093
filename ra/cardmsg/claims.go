package cardmsg

import (
	"encoding/asn1"

	"certwindow/policy"
	"certwindow/ra/certpath"
)

// OIDIDTail is the attribute of subjectDirectoryAttributes in which some of the government's cards carry the end of
// their holder's national id.
var OIDIDTail = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 51}

// Claims are what a card's certificate says of its holder. Nothing of it is verified.
type Claims struct {
	Holder string // what identifies the holder
	Name   string // subject CN
	Digits string // the end of the national id; empty where the card does not carry it
}

// maxCertificate is far above any card's certificate, in bytes.
const maxCertificate = 16 << 10

// ClaimsOf reads a certificate as a card component gave it, to find the person by. holder nil is the subject's
// serialNumber, digits nil is OIDIDTail. An institution's certificate is refused.
func ClaimsOf(der []byte, holder, digits asn1.ObjectIdentifier) (c Claims, err error) {
	const clause = policy.Clause("HCA-5.1.1")
	if len(der) > maxCertificate {
		return c, refuse(ReasonSubject, clause, "the card's certificate is larger than %d bytes", maxCertificate)
	}
	x, err := certpath.ParseCertificate(der)
	if err != nil {
		return c, &Error{Reason: ReasonSubject, Clause: clause, Detail: "the card's certificate cannot be read", Err: err}
	}
	if err := checkSubjectType(x, &Options{Clause: clause}); err != nil {
		return c, err
	}
	if holder == nil {
		holder = OIDSerialNumber
	}
	if digits == nil {
		digits = OIDIDTail
	}
	for _, f := range []struct {
		oid asn1.ObjectIdentifier
		to  *string
	}{{holder, &c.Holder}, {OIDCommonName, &c.Name}, {digits, &c.Digits}} {
		if *f.to, err = only(x, f.oid, clause); err != nil {
			return c, err
		}
	}
	if c.Holder == "" || c.Name == "" {
		return c, refuse(ReasonSubject, clause, "the card's certificate names no holder")
	}
	return c, nil
}
