package hcasim

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// How long a CRL is good, and after what time a fresh one is made although nothing was revoked.
const (
	crlLife    = 24 * time.Hour
	crlRefresh = time.Hour
)

// Numbers of the lists that are not partitions.
const (
	crlComplete = -1
	crlRoot     = -2
)

// crlCache holds the lists as they were last signed. A list is signed anew when it is asked for and something was
// revoked since, by whichever process, or when it is an hour old.
type crlCache struct {
	mu    sync.Mutex
	lists map[int]*crlList
	last  int64 // the highest CRL number given out
}

type crlList struct {
	der     []byte
	revoked int // how many revocations it was made from
	at      time.Time
}

// CRL returns the complete CRL of the issuing CA (part -1), or its partition part.
func (s *Simulator) CRL(part int) ([]byte, error) {
	if part < crlComplete || part >= s.settings.Partitions {
		return nil, fmt.Errorf("hcasim: there is no CRL %d", part)
	}
	return s.crl(part)
}

func (s *Simulator) crl(part int) ([]byte, error) {
	var revoked []*revocation
	if err := s.journal.view(func(st *state) { revoked = st.revoked[:len(st.revoked):len(st.revoked)] }); err != nil {
		return nil, err
	}
	c := &s.crls
	c.mu.Lock()
	defer c.mu.Unlock()
	now := s.now().UTC().Truncate(time.Second)
	if l := c.lists[part]; l != nil && l.revoked == len(revoked) && !now.Before(l.at) && now.Sub(l.at) < crlRefresh {
		return l.der, nil
	}
	// Numbers rise through restarts, since they follow the clock, and within one second.
	c.last = max(c.last+1, now.UnixMilli())
	der, err := s.signCRL(part, revoked, now, c.last)
	if err != nil {
		return nil, err
	}
	if c.lists == nil {
		c.lists = map[int]*crlList{}
	}
	c.lists[part] = &crlList{der: der, revoked: len(revoked), at: now}
	return der, nil
}

func (s *Simulator) signCRL(part int, revoked []*revocation, now time.Time, number int64) ([]byte, error) {
	t := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now, NextUpdate: now.Add(crlLife)}
	if part == crlRoot {
		return x509.CreateRevocationList(rand.Reader, t, s.root.cert, s.root.key)
	}
	for _, r := range revoked {
		serial, ok := new(big.Int).SetString(r.Serial, 16)
		if !ok || part != crlComplete && partitionOf(serial, s.settings.Partitions) != part {
			continue
		}
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: serial, RevocationTime: r.At, ReasonCode: r.Reason,
		})
	}
	if part != crlComplete {
		idp, err := issuingDistributionPoint(s.settings.BaseURL + "/crl/" + strconv.Itoa(part) + ".crl")
		if err != nil {
			return nil, err
		}
		t.ExtraExtensions = []pkix.Extension{idp}
	}
	return x509.CreateRevocationList(rand.Reader, t, s.ca.cert, s.ca.key)
}

// issuingDistributionPoint is the critical extension that says which distribution point a partition is for, by the
// same name that certificates have (RFC 5280 section 5.2.5).
func issuingDistributionPoint(uri string) (pkix.Extension, error) {
	var b cryptobyte.Builder
	wrapped := cbasn1.Tag(0).ContextSpecific().Constructed()
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(wrapped, func(b *cryptobyte.Builder) {
			b.AddASN1(wrapped, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.Tag(6).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(uri)) })
			})
		})
	})
	der, err := b.Bytes()
	return pkix.Extension{Id: oidIDP, Critical: true, Value: der}, err
}
