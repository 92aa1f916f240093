package certpath

import (
	"bytes"
	"math/big"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// CRL is a parsed certificate revocation list (RFC 5280 section 5). Its entries stay in DER and are read
// when asked for. It must not be changed.
type CRL struct {
	Raw            []byte // DER
	RawIssuer      []byte
	Issuer         Name
	ThisUpdate     time.Time
	NextUpdate     time.Time // zero where absent
	Number         *big.Int  // nil where absent
	BaseNumber     *big.Int  // of a delta CRL's base; nil for a complete CRL
	AuthorityKeyID []byte
	Count          int // entries

	signed  signedObject
	version int
	idp     *issuingDP
	rawIDP  []byte
	entries []byte // content of revokedCertificates
	defect  string // why the CRL cannot be relied on
	foreign bool   // an entry names another certificate issuer
	index   *serialIndex

	mu       sync.Mutex
	verified map[string]*Error // signature results by signer's RawSPKI
}

// issuingDP is issuingDistributionPoint, RFC 5280 section 5.2.5.
type issuingDP struct {
	name                                   pointName
	onlyUser, onlyCA, indirect, attributes bool
	reasons                                uint16
}

// Entry is one revoked certificate.
type Entry struct {
	RevokedAt time.Time
	Reason    int // CRLReason of RFC 5280 section 5.3.1; 0 where the entry has none
}

// Reason codes that change what an entry means.
const (
	reasonHold          = 6
	reasonRemoveFromCRL = 8
)

// ParseCRL parses one CRL, DER or PEM, of at most 64 MiB. What makes a CRL unusable rather than unreadable,
// e.g. an unknown critical extension, is found by Validate. The result keeps the input, which must not be
// changed afterwards. Errors are *Error.
func ParseCRL(der []byte) (*CRL, error) {
	c, err := parseCRL(der)
	if err != nil {
		err.Detail = "CRL: " + err.Detail
		return nil, err
	}
	return c, nil
}

func parseCRL(der []byte) (*CRL, *Error) {
	if len(der) > MaxCRL {
		return nil, malformed("larger than %d bytes", MaxCRL)
	}
	if len(der) > 0 && der[0] != 0x30 {
		blocks, err := readPEM(der)
		if err != nil {
			return nil, err
		}
		if len(blocks) != 1 || blocks[0].Type != "X509 CRL" {
			return nil, malformed("neither DER nor PEM of one CRL")
		}
		der = blocks[0].Bytes
	}
	signed, err := readSigned(der)
	if err != nil {
		return nil, err
	}
	c := &CRL{Raw: der, signed: signed, version: 1, verified: map[string]*Error{}}
	tbs, ok := readSequence(signed.tbs)
	if !ok {
		return nil, malformed("tbsCertList")
	}
	if err := c.parseTBS(tbs); err != nil {
		return nil, err
	}
	if err := c.scanAll(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *CRL) flaw(why string) {
	if c.defect == "" {
		c.defect = why
	}
}

func (c *CRL) parseTBS(tbs cryptobyte.String) *Error {
	if tbs.PeekASN1Tag(casn1.INTEGER) {
		n, ok := readSmallInt(&tbs, casn1.INTEGER)
		if !ok || n != 1 {
			return malformed("version")
		}
		c.version = 2
	}
	var alg, issuer, entries, exts cryptobyte.String
	var hasExts bool
	if !tbs.ReadASN1Element(&alg, casn1.SEQUENCE) || !tbs.ReadASN1Element(&issuer, casn1.SEQUENCE) {
		return malformed("algorithm or issuer")
	}
	if !bytes.Equal(alg, c.signed.algorithm) {
		c.flaw("the two signature algorithms differ")
	}
	var ok bool
	if c.Issuer, ok = parseName(issuer); !ok {
		return malformed("issuer name")
	}
	c.RawIssuer = issuer
	if c.ThisUpdate, _, ok = readTime(&tbs); !ok {
		return malformed("thisUpdate")
	}
	if tbs.PeekASN1Tag(casn1.UTCTime) || tbs.PeekASN1Tag(casn1.GeneralizedTime) {
		if c.NextUpdate, _, ok = readTime(&tbs); !ok {
			return malformed("nextUpdate")
		}
	}
	if tbs.PeekASN1Tag(casn1.SEQUENCE) && !tbs.ReadASN1(&entries, casn1.SEQUENCE) {
		return malformed("revokedCertificates")
	}
	c.entries = entries
	if !tbs.ReadOptionalASN1(&exts, &hasExts, tagConstructed(0)) || !tbs.Empty() {
		return malformed("end of tbsCertList")
	}
	if hasExts {
		var list cryptobyte.String
		if !exts.ReadASN1(&list, casn1.SEQUENCE) || !exts.Empty() || list.Empty() {
			return malformed("extensions")
		}
		if err := c.parseExtensions(list); err != nil {
			return err
		}
	}
	if c.Number == nil {
		c.flaw("it has no CRL number")
	}
	return nil
}

func (c *CRL) parseExtensions(list cryptobyte.String) *Error {
	if c.version < 2 {
		c.flaw("extensions in a version 1 CRL")
	}
	seen := map[OID]bool{}
	for !list.Empty() {
		h, v, ok := readExtension(&list)
		if !ok || seen[h.id] {
			return malformed("extension")
		}
		seen[h.id] = true
		switch h.id {
		case oidExtCRLNumber:
			c.Number, ok = readNumber(v)
			c.wantCritical(h, false)
		case oidExtDeltaCRL:
			c.BaseNumber, ok = readNumber(v)
			c.wantCritical(h, true)
		case oidExtAuthorityKeyID:
			c.AuthorityKeyID, ok = readAuthorityKeyID(v)
			c.wantCritical(h, false)
		case oidExtIssuingDP:
			c.rawIDP = v
			c.idp, ok = parseIssuingDP(v)
			c.wantCritical(h, true)
		default:
			if h.critical {
				c.flaw("critical extension " + h.id.String())
			}
		}
		if !ok {
			return malformed("extension %s", h.id)
		}
	}
	return nil
}

func (c *CRL) wantCritical(h extensionHeader, critical bool) {
	if h.critical != critical {
		c.flaw("extension " + h.id.String() + " is wrongly critical or wrongly not")
	}
}

func readNumber(v cryptobyte.String) (*big.Int, bool) {
	var n cryptobyte.String
	if !v.ReadASN1(&n, casn1.INTEGER) || !v.Empty() || !minimalInteger(n) || n[0]&0x80 != 0 || len(n) > 64 {
		return nil, false
	}
	return new(big.Int).SetBytes(n), true
}

func parseIssuingDP(v cryptobyte.String) (*issuingDP, bool) {
	var seq, name cryptobyte.String
	var hasName bool
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() || !seq.ReadOptionalASN1(&name, &hasName, tagConstructed(0)) {
		return nil, false
	}
	d := &issuingDP{reasons: allReasons}
	ok := true
	if hasName {
		if d.name, ok = readPointName(name); !ok {
			return nil, false
		}
	}
	flag := func(n uint8, into *bool) {
		var b cryptobyte.String
		var has bool
		if !seq.ReadOptionalASN1(&b, &has, tagPrimitive(n)) || has && (len(b) != 1 || b[0] != 0 && b[0] != 0xff) {
			ok = false
		} else if has {
			*into = b[0] != 0
		}
	}
	flag(1, &d.onlyUser)
	flag(2, &d.onlyCA)
	if ok && seq.PeekASN1Tag(tagPrimitive(3)) {
		d.reasons, ok = readBits(&seq, tagPrimitive(3))
		d.reasons &= allReasons
	}
	flag(4, &d.indirect)
	flag(5, &d.attributes)
	only := 0
	for _, b := range []bool{d.onlyUser, d.onlyCA, d.attributes} {
		if b {
			only++
		}
	}
	return d, ok && seq.Empty() && only <= 1
}

// checkSignature verifies the CRL with signer's key, once for each key. v is nil where no budget applies.
func (c *CRL) checkSignature(signer *Certificate, v *validation) *Error {
	key := string(signer.RawSPKI)
	c.mu.Lock()
	err, known := c.verified[key]
	c.mu.Unlock()
	if known {
		return err
	}
	if v != nil {
		err = v.verify(signer, c.signed.algorithm, c.signed.tbs, c.signed.signature)
	} else if err = signer.keyError(); err == nil {
		err = verifySignature(signer.PublicKey, c.signed.algorithm, c.signed.tbs, c.signed.signature)
	}
	if err != nil && err.Reason == ReasonTooMuchWork {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.verified) < 16 {
		c.verified[key] = err
	}
	return err
}

// CheckSignatureFrom verifies that signer, whose keyUsage must allow it, issued the CRL under its own name.
// It says nothing about whether signer is trusted. The outcome is remembered in the CRL.
func (c *CRL) CheckSignatureFrom(signer *Certificate) error {
	if err := c.mayBeSignedBy(signer); err != nil {
		return err
	}
	if err := c.checkSignature(signer, nil); err != nil {
		return &Error{Reason: err.Reason, Detail: "CRL: " + err.Detail, Cert: err.Cert}
	}
	return nil
}

func (c *CRL) mayBeSignedBy(signer *Certificate) error {
	if !c.Issuer.Equal(signer.Subject) {
		return refuse(ReasonRevocationSource, "CRL of another issuer").about(signer)
	}
	if signer.HasKeyUsage && signer.KeyUsage&KeyUsageCRLSign == 0 {
		return refuse(ReasonRevocationSource, "the issuer may not sign CRLs").about(signer)
	}
	return nil
}

// Usable tells whether the CRL itself, at a time, may be relied on: readable in full, begun and not stale.
// skew is how far in the future it may have been issued.
func (c *CRL) Usable(at time.Time, skew, maxAge time.Duration) error {
	if err := c.usable(at, skew, maxAge); err != nil {
		return err
	}
	return nil
}

func (c *CRL) usable(at time.Time, skew, maxAge time.Duration) *Error {
	switch {
	case c.defect != "":
		return refuse(ReasonRevocationSource, "CRL: %s", c.defect)
	case c.ThisUpdate.After(at.Add(skew)):
		return refuse(ReasonRevocationSource, "CRL issued in the future, at %s", c.ThisUpdate.Format(time.RFC3339))
	case c.NextUpdate.IsZero():
		return refuse(ReasonRevocationSource, "CRL without nextUpdate")
	case at.Truncate(time.Second).After(c.NextUpdate):
		return refuse(ReasonRevocationSource, "stale CRL, nextUpdate was %s", c.NextUpdate.Format(time.RFC3339))
	case maxAge > 0 && at.Sub(c.ThisUpdate) > maxAge:
		return refuse(ReasonRevocationSource, "CRL older than %s", maxAge)
	}
	return nil
}
