package attest

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strconv"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidKeyDescription   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 17}
	oidProvisioningInfo = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 30}
)

// ParseKeyDescription parses the value of the extension 1.3.6.1.4.1.11129.2.1.17. It is strict DER: a tag that
// we do not know is refused, since it could say anything of the key, and so are a tag given twice and bytes
// after the end.
func ParseKeyDescription(der []byte) (*KeyDescription, error) {
	if len(der) > MaxObject {
		return nil, refuse(CodeMalformed, "the attestation extension has %d bytes, more than %d", len(der), MaxObject)
	}
	whole, body := cryptobyte.String(der), cryptobyte.String(nil)
	if !whole.ReadASN1(&body, cbasn1.SEQUENCE) || !whole.Empty() {
		return nil, malformedExtension("it is not one SEQUENCE")
	}
	var d KeyDescription
	var software, hardware cryptobyte.String
	if !readNumber(&body, &d.AttestationVersion) ||
		!readLevel(&body, &d.AttestationSecurityLevel) ||
		!readNumber(&body, &d.KeyMintVersion) ||
		!readLevel(&body, &d.KeyMintSecurityLevel) ||
		!readOctets(&body, &d.AttestationChallenge) ||
		!readOctets(&body, &d.UniqueID) ||
		!body.ReadASN1(&software, cbasn1.SEQUENCE) ||
		!body.ReadASN1(&hardware, cbasn1.SEQUENCE) || !body.Empty() {
		return nil, malformedExtension("its fields are not those of a KeyDescription")
	}
	if err := d.SoftwareEnforced.parse(software); err != nil {
		return nil, err
	}
	if err := d.HardwareEnforced.parse(hardware); err != nil {
		return nil, err
	}
	return &d, nil
}

// keyDescriptionOf is the parsed extension of a certificate, nil when it has none.
func keyDescriptionOf(cert *x509.Certificate) (*KeyDescription, error) {
	value := extension(cert, oidKeyDescription)
	if value == nil {
		return nil, nil
	}
	return ParseKeyDescription(value)
}

// extension is the value of one extension, nil when absent. The certificate parser refuses duplicates.
func extension(cert *x509.Certificate, oid asn1.ObjectIdentifier) []byte {
	for _, e := range cert.Extensions {
		if e.Id.Equal(oid) {
			return e.Value
		}
	}
	return nil
}

func malformedExtension(why string) error {
	return refuse(CodeMalformed, "the attestation extension cannot be parsed: %s", why)
}

// parse reads the tagged members of an AuthorizationList. Devices exist that do not sort them, so order is
// not judged.
func (l *AuthorizationList) parse(list []byte) error {
	var seen []int
	for len(list) > 0 {
		// encoding/asn1 reads the element's frame, since these tags exceed 30; it does not look inside.
		var member asn1.RawValue
		rest, err := asn1.Unmarshal(list, &member)
		if err != nil || member.Class != asn1.ClassContextSpecific || !member.IsCompound {
			return malformedExtension("a member of an authorization list is not a tagged value")
		}
		if slices.Contains(seen, member.Tag) {
			return malformedExtension("tag " + strconv.Itoa(member.Tag) + " is given twice")
		}
		seen = append(seen, member.Tag)
		slot := l.slot(member.Tag)
		if slot == nil {
			return malformedExtension("tag " + strconv.Itoa(member.Tag) + " is not known")
		}
		value := cryptobyte.String(member.Bytes)
		if !decode(&value, slot) || !value.Empty() {
			return malformedExtension("tag " + strconv.Itoa(member.Tag) + " has a malformed value")
		}
		list = rest
	}
	return nil
}

// decode reads one value of the type that its slot calls for.
func decode(s *cryptobyte.String, slot any) bool {
	switch p := slot.(type) {
	case *bool:
		var null cryptobyte.String
		*p = true
		return s.ReadASN1(&null, cbasn1.NULL) && null.Empty()
	case **Number:
		*p = new(Number)
		return readNumber(s, *p)
	case *[]Number:
		return readNumbers(s, p)
	case *[]byte:
		return readOctets(s, p)
	case **string:
		*p = new(string)
		return readText(s, *p)
	case **Origin:
		var n Number
		ok := readNumber(s, &n) && n <= 4
		o := Origin(n)
		*p = &o
		return ok
	case **PatchLevel:
		return readPatchLevel(s, p)
	case **RootOfTrust:
		*p = new(RootOfTrust)
		return (*p).read(s)
	case **ApplicationID:
		*p = new(ApplicationID)
		return (*p).read(s)
	}
	return false
}

func readNumber(s *cryptobyte.String, n *Number) bool { return s.ReadASN1Integer((*uint64)(n)) }

// readNumbers reads a SET OF INTEGER, in the order it has, each number once.
func readNumbers(s *cryptobyte.String, out *[]Number) bool {
	var set cryptobyte.String
	if !s.ReadASN1(&set, cbasn1.SET) {
		return false
	}
	numbers := []Number{}
	for !set.Empty() {
		var n Number
		// No such set has more than a dozen members; the cap keeps the search for duplicates short.
		if len(numbers) == 64 || !readNumber(&set, &n) {
			return false
		}
		if !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	*out = numbers
	return true
}

// readOctets reads an OCTET STRING; an empty one is not nil.
func readOctets(s *cryptobyte.String, out *[]byte) bool {
	var octets cryptobyte.String
	if !s.ReadASN1(&octets, cbasn1.OCTET_STRING) {
		return false
	}
	*out = append([]byte{}, octets...)
	return true
}

func readText(s *cryptobyte.String, out *string) bool {
	var octets []byte
	if !readOctets(s, &octets) || !utf8.Valid(octets) {
		return false
	}
	*out = string(octets)
	return true
}

func readLevel(s *cryptobyte.String, l *Level) bool {
	var n int
	ok := s.ReadASN1Enum(&n) && n >= 0 && n <= 2
	*l = Level(n + 1)
	return ok
}

// readPatchLevel leaves the slot nil for a number that is no date: devices state 0 where they have none.
func readPatchLevel(s *cryptobyte.String, out **PatchLevel) bool {
	var n Number
	if !readNumber(s, &n) {
		return false
	}
	yearMonth := n
	switch {
	case n >= 100000 && n <= 999999: // YYYYMM
	case n >= 10000000 && n <= 99999999: // YYYYMMDD
		yearMonth = n / 100
	default:
		return true
	}
	if month := yearMonth % 100; month < 1 || month > 12 {
		return true
	}
	p := PatchLevel(n)
	*out = &p
	return true
}

func (r *RootOfTrust) read(s *cryptobyte.String) bool {
	var body cryptobyte.String
	var state int
	if !s.ReadASN1(&body, cbasn1.SEQUENCE) ||
		!readOctets(&body, &r.VerifiedBootKey) ||
		!body.ReadASN1Boolean(&r.DeviceLocked) ||
		!body.ReadASN1Enum(&state) || state < 0 || state > 3 {
		return false
	}
	r.VerifiedBootState = BootState(state)
	if !body.Empty() && !readOctets(&body, &r.VerifiedBootHash) {
		return false
	}
	return body.Empty()
}

// read reads the sequence that the OCTET STRING of tag 709 holds.
func (a *ApplicationID) read(s *cryptobyte.String) bool {
	var octets, body, packages, signatures cryptobyte.String
	if !s.ReadASN1(&octets, cbasn1.OCTET_STRING) ||
		!octets.ReadASN1(&body, cbasn1.SEQUENCE) || !octets.Empty() ||
		!body.ReadASN1(&packages, cbasn1.SET) ||
		!body.ReadASN1(&signatures, cbasn1.SET) || !body.Empty() {
		return false
	}
	a.Packages, a.Signatures = []PackageInfo{}, [][]byte{}
	for !packages.Empty() {
		var one cryptobyte.String
		var info PackageInfo
		if !packages.ReadASN1(&one, cbasn1.SEQUENCE) || !readText(&one, &info.Name) ||
			!readNumber(&one, &info.Version) || !one.Empty() {
			return false
		}
		a.Packages = append(a.Packages, info)
	}
	for !signatures.Empty() {
		var digest []byte
		if !readOctets(&signatures, &digest) {
			return false
		}
		a.Signatures = append(a.Signatures, digest)
	}
	return true
}
