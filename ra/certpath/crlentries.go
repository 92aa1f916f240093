package certpath

import (
	"bytes"
	"hash/maphash"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// rawEntry is one entry of revokedCertificates, not decoded further than looking it up needs.
type rawEntry struct {
	serial []byte // INTEGER content
	rest   []byte // revocationDate and extensions
	exts   []byte // DER of the extensions, nil where absent
}

// onlyReasonCode is the DER of extensions that hold a reasonCode alone, without its last octet: nearly all
// entries of nearly all CRLs have it or nothing.
var onlyReasonCode = []byte{0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01}

// nextEntry cuts the first entry off list. It reads the usual shape by hand, since a list may have half a
// million entries.
func nextEntry(list []byte) (e rawEntry, rest []byte, ok bool) {
	var body []byte
	if len(list) > 2 && list[0] == 0x30 && list[1] < 0x80 && int(list[1])+2 <= len(list) {
		body, rest = list[2:2+list[1]], list[2+list[1]:]
	} else {
		s := cryptobyte.String(list)
		var seq cryptobyte.String
		if !s.ReadASN1(&seq, casn1.SEQUENCE) {
			return e, nil, false
		}
		body, rest = seq, s
	}
	if len(body) < 2 || body[0] != 0x02 || body[1] >= 0x80 || int(body[1])+2 > len(body) {
		return e, nil, false
	}
	e.serial, e.rest = body[2:2+body[1]], body[2+body[1]:]
	if !minimalInteger(e.serial) {
		return e, nil, false
	}
	// revocationDate: UTCTime of 13 or GeneralizedTime of 15 octets
	t := e.rest
	if len(t) < 2 || !(t[0] == 0x17 && t[1] == 13 || t[0] == 0x18 && t[1] == 15) || len(t) < int(t[1])+2 {
		return e, nil, false
	}
	if tail := t[2+t[1]:]; len(tail) > 0 {
		e.exts = tail
	}
	return e, rest, true
}

// scanAll checks every entry once and counts them.
func (c *CRL) scanAll() *Error {
	for list := c.entries; len(list) > 0; {
		e, rest, ok := nextEntry(list)
		if !ok {
			return malformed("entry %d", c.Count)
		}
		list = rest
		c.Count++
		if e.exts == nil || len(e.exts) == len(onlyReasonCode)+1 && bytes.HasPrefix(e.exts, onlyReasonCode) {
			continue
		}
		x, ok := parseEntryExtensions(e.exts)
		if !ok {
			return malformed("extensions of entry %d", c.Count-1)
		}
		if x.unknownCritical {
			c.flaw("an entry has an unknown critical extension")
		}
		if x.issuer != nil {
			c.foreign = true
			if c.idp == nil || !c.idp.indirect {
				c.flaw("an entry names another issuer although the CRL is not indirect")
			}
		}
	}
	return nil
}

type entryExtensions struct {
	reason          int
	issuer          []generalName
	unknownCritical bool
}

func parseEntryExtensions(der []byte) (x entryExtensions, ok bool) {
	list, ok := readSequence(der)
	if !ok || list.Empty() {
		return x, false
	}
	for !list.Empty() {
		h, v, ok := readExtension(&list)
		if !ok {
			return x, false
		}
		switch h.id {
		case oidExtReasonCode:
			if x.reason, ok = readSmallInt(&v, casn1.ENUM); !ok || !v.Empty() {
				return x, false
			}
		case oidExtCertificateIssuer:
			var names cryptobyte.String
			if !v.ReadASN1(&names, casn1.SEQUENCE) || !v.Empty() {
				return x, false
			}
			if x.issuer, ok = readGeneralNames(names); !ok {
				return x, false
			}
		case oidExtInvalidityDate:
		default:
			x.unknownCritical = x.unknownCritical || h.critical
		}
	}
	return x, true
}

// decode reads an entry that scanAll has checked.
func (e rawEntry) decode() Entry {
	s := cryptobyte.String(e.rest)
	out := Entry{}
	out.RevokedAt, _, _ = readTime(&s)
	if e.exts != nil {
		x, _ := parseEntryExtensions(e.exts)
		out.Reason = x.reason
	}
	return out
}

// Lookup finds the entry of a certificate of the CRL's own issuer by serial number, given as INTEGER content
// octets (big-endian, two's complement, shortest form). It takes time linear in the CRL unless the CRL is
// indexed.
func (c *CRL) Lookup(serial []byte) (Entry, bool) {
	if c.index != nil {
		e, found := c.index.find(c.entries, serial)
		if !found {
			return Entry{}, false
		}
		return e.decode(), true
	}
	return c.find(c.Issuer, serial)
}

// LookupCertificate is Lookup for a certificate, which may be of another issuer where the CRL is indirect.
func (c *CRL) LookupCertificate(cert *Certificate) (Entry, bool) {
	if c.index != nil {
		if !c.Issuer.Equal(cert.Issuer) {
			return Entry{}, false
		}
		return c.Lookup(cert.x.serial)
	}
	return c.find(cert.Issuer, cert.x.serial)
}

// find scans. In an indirect CRL the certificate issuer stays what the last entry that names one said (RFC
// 5280 section 5.3.3).
func (c *CRL) find(issuer Name, serial []byte) (Entry, bool) {
	match := c.Issuer.Equal(issuer)
	for list := c.entries; len(list) > 0; {
		e, rest, ok := nextEntry(list)
		if !ok {
			return Entry{}, false
		}
		list = rest
		if c.foreign && e.exts != nil {
			if x, _ := parseEntryExtensions(e.exts); x.issuer != nil {
				match = false
				for _, g := range x.issuer {
					match = match || g.kind == nameDirectory && g.dir.Equal(issuer)
				}
			}
		}
		if match && bytes.Equal(e.serial, serial) {
			return e.decode(), true
		}
	}
	return Entry{}, false
}

// serialIndex is an open-addressing hash table of entry positions: four octets a slot, nothing else.
type serialIndex struct {
	seed  maphash.Seed
	slots []uint32 // position in the entries plus one; 0 is empty
}

// Indexed gives the same CRL with an index, so that Lookup takes constant time. The index takes about ten
// octets an entry. An indirect CRL with entries of other issuers is given back unindexed.
func (c *CRL) Indexed() *CRL {
	if c.foreign || c.index != nil {
		return c
	}
	size := 8
	for size < 2*c.Count {
		size *= 2
	}
	ix := &serialIndex{seed: maphash.MakeSeed(), slots: make([]uint32, size)}
	mask := uint64(size - 1)
	for list := c.entries; len(list) > 0; {
		position := uint32(len(c.entries)-len(list)) + 1
		e, rest, ok := nextEntry(list)
		if !ok {
			return c
		}
		list = rest
		for at := maphash.Bytes(ix.seed, e.serial) & mask; ; at = (at + 1) & mask {
			taken := ix.slots[at]
			if taken == 0 {
				ix.slots[at] = position
				break
			}
			if have, _, _ := nextEntry(c.entries[taken-1:]); bytes.Equal(have.serial, e.serial) {
				break // a repeated serial number; the first entry counts
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := &CRL{
		Raw: c.Raw, RawIssuer: c.RawIssuer, Issuer: c.Issuer, ThisUpdate: c.ThisUpdate, NextUpdate: c.NextUpdate,
		Number: c.Number, BaseNumber: c.BaseNumber, AuthorityKeyID: c.AuthorityKeyID, Count: c.Count,
		signed: c.signed, version: c.version, idp: c.idp, rawIDP: c.rawIDP, entries: c.entries, defect: c.defect,
		index: ix, verified: make(map[string]*Error, len(c.verified)),
	}
	for k, v := range c.verified {
		out.verified[k] = v
	}
	return out
}

func (ix *serialIndex) find(entries, serial []byte) (rawEntry, bool) {
	mask := uint64(len(ix.slots) - 1)
	for at := maphash.Bytes(ix.seed, serial) & mask; ; at = (at + 1) & mask {
		position := ix.slots[at]
		if position == 0 {
			return rawEntry{}, false
		}
		e, _, ok := nextEntry(entries[position-1:])
		if ok && bytes.Equal(e.serial, serial) {
			return e, true
		}
	}
}

// Serials calls yield with the INTEGER content octets of every entry's serial number until it returns false.
func (c *CRL) Serials(yield func([]byte) bool) {
	for list := c.entries; len(list) > 0; {
		e, rest, ok := nextEntry(list)
		if !ok || !yield(e.serial) {
			return
		}
		list = rest
	}
}

// sameScope tells whether a delta CRL and a base are for the same certificates.
func sameScope(a, b *CRL) bool {
	return bytes.Equal(a.rawIDP, b.rawIDP) && a.Issuer.Equal(b.Issuer) && bytes.Equal(a.AuthorityKeyID, b.AuthorityKeyID)
}

// SerialContent gives the INTEGER content octets of a certificate's serial number, as Lookup takes them.
func (c *Certificate) SerialContent() []byte { return c.x.serial }
