package hcasim

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"certwindow/ra/csr"
	"certwindow/ra/hca"
)

// Lifetimes of certificates on cards.
const (
	cardLife      = 8 * year
	dedicatedLife = 5 * year
)

// Card is an IC card whose keys are held in memory, for tests.
type Card struct {
	Certificate *x509.Certificate // the signing certificate
	Key         crypto.Signer     // RSA-2048
	CA          *x509.Certificate // the issuing CA
	Root        *x509.Certificate
	Number      string // the card number, 16 digits
}

// IssueCard makes a card with a fresh RSA-2048 key and issues its signing certificate. serial is the subject
// serialNumber: 16 digits for a person, the institution code for an institution.
func (s *Simulator) IssueCard(name, serial string, kind Kind) (*Card, error) {
	key, err := newRSA(2048)
	if err != nil {
		return nil, err
	}
	number, err := s.NewCardNumber()
	if err != nil {
		return nil, err
	}
	cert, err := s.IssueCardCertificate(key.Public(), name, serial, kind, number)
	if err != nil {
		return nil, err
	}
	return &Card{Certificate: cert, Key: key, CA: s.ca.cert, Root: s.root.cert, Number: number}, nil
}

// NewCardNumber draws a card number of 16 digits.
func (s *Simulator) NewCardNumber() (string, error) {
	b := make([]byte, 8)
	if _, err := io.ReadFull(s.rand, b); err != nil {
		return "", fmt.Errorf("hcasim: randomness: %w", err)
	}
	n := new(big.Int).Mod(new(big.Int).SetBytes(b), big.NewInt(1e16))
	return fmt.Sprintf("%016d", n), nil
}

// IssueCardCertificate issues the signing certificate of an IC card for a key made elsewhere.
func (s *Simulator) IssueCardCertificate(pub crypto.PublicKey, name, serial string, kind Kind, number string) (*x509.Certificate, error) {
	t, err := s.cardTemplate(name, serial, kind, s.settings.Marks.CardRank, number, cardLife)
	if err != nil {
		return nil, err
	}
	return s.issue(t, pub, classCard, kind, nil)
}

// IssueEncryptionCertificate issues the second certificate of an IC card, which encrypts and does not sign.
func (s *Simulator) IssueEncryptionCertificate(pub crypto.PublicKey, name, serial string, kind Kind, number string) (*x509.Certificate, error) {
	t, err := s.cardTemplate(name, serial, kind, s.settings.Marks.CardRank, number, cardLife)
	if err != nil {
		return nil, err
	}
	t.KeyUsage = x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment
	return s.issue(t, pub, classKeyX, kind, nil)
}

// IssueDedicated issues an institution's attached-card certificate (機構附卡憑證) for the key in a PKCS#10 request and
// acknowledges it as the window's dedicated certificate (HCA-3.1).
func (s *Simulator) IssueDedicated(request []byte, institution, name string) (*x509.Certificate, error) {
	req, err := csr.Parse(request)
	if err != nil {
		return nil, err
	}
	return s.IssueDedicatedFor(req.PublicKey, institution, name)
}

// IssueDedicatedFor is IssueDedicated for a public key whose possession the caller vouches for.
func (s *Simulator) IssueDedicatedFor(pub crypto.PublicKey, institution, name string) (*x509.Certificate, error) {
	number, err := s.NewCardNumber()
	if err != nil {
		return nil, err
	}
	t, err := s.cardTemplate(name, institution, Institution, s.settings.Marks.DedicatedRank, number, dedicatedLife)
	if err != nil {
		return nil, err
	}
	return s.issue(t, pub, classDedicated, Institution, func(e *entry, cert *x509.Certificate) {
		e.Dedicated = &dedicated{Fingerprint: fingerprint(cert.Raw), Institution: institution}
	})
}

func (s *Simulator) cardTemplate(name, serial string, kind Kind, rank, number string, life time.Duration) (*x509.Certificate, error) {
	typ, err := kind.subjectType()
	if err != nil {
		return nil, err
	}
	if err := checkSubject(name, serial); err != nil {
		return nil, err
	}
	attrs, err := directoryAttributes([]directoryAttribute{
		oidAttribute(hca.OIDSubjectType, typ), textAttribute(OIDCardRank, rank), textAttribute(OIDCardNumber, number),
	})
	if err != nil {
		return nil, err
	}
	from := s.now().UTC().Truncate(time.Second).Add(-time.Hour)
	t := &x509.Certificate{Subject: holderName(name, serial), NotBefore: from, NotAfter: from.Add(life), KeyUsage: x509.KeyUsageDigitalSignature}
	t.ExtraExtensions = append(t.ExtraExtensions, attrs)
	t.Policies, err = policies(s.settings.Marks.Policy)
	return t, err
}

// mobileTemplate is the certificate of a holder's phone: the card's subject, and no card's marks.
func (s *Simulator) mobileTemplate(name, serial string) (*x509.Certificate, error) {
	attrs, err := directoryAttributes([]directoryAttribute{oidAttribute(hca.OIDSubjectType, hca.OIDPersonnel)})
	if err != nil {
		return nil, err
	}
	from := s.now().UTC().Truncate(time.Second)
	t := &x509.Certificate{Subject: holderName(name, serial), NotBefore: from, NotAfter: from.Add(s.settings.Lifetime), KeyUsage: x509.KeyUsageDigitalSignature}
	t.ExtraExtensions = append(t.ExtraExtensions, attrs)
	t.Policies, err = policies(s.settings.Marks.Policy, s.settings.Marks.Mobile)
	return t, err
}

// checkSubject keeps names within what RFC 5280 appendix A.1 allows: 64 characters, and none that is not seen.
func checkSubject(name, serial string) error {
	for _, v := range []string{name, serial} {
		if n := utf8.RuneCountInString(v); !utf8.ValidString(v) || n == 0 || n > 64 || strings.ContainsFunc(v, unicode.IsControl) {
			return errors.New("hcasim: name and serial are 1 to 64 visible characters")
		}
	}
	return nil
}

// mint signs a leaf certificate and records nothing: the distribution points depend on the serial number.
func (s *Simulator) mint(t *x509.Certificate, pub crypto.PublicKey, by authority) (*x509.Certificate, error) {
	serial, err := newSerial(s.rand)
	if err != nil {
		return nil, err
	}
	t.SerialNumber = serial
	if err := s.settings.describe(t, false); err != nil {
		return nil, err
	}
	part := s.settings.BaseURL + "/crl/" + strconv.Itoa(partitionOf(serial, s.settings.Partitions)) + ".crl"
	t.CRLDistributionPoints = append([]string{part}, t.CRLDistributionPoints...)
	return sign(s.rand, t, pub, by.cert, by.key)
}

// issue mints a certificate and records it, together with what also adds, before anybody sees it.
func (s *Simulator) issue(t *x509.Certificate, pub crypto.PublicKey, c class, kind Kind, also func(*entry, *x509.Certificate)) (*x509.Certificate, error) {
	cert, err := s.mint(t, pub, s.ca)
	if err != nil {
		return nil, err
	}
	e := &entry{Certificate: record(cert, c, kind)}
	if also != nil {
		also(e, cert)
	}
	return cert, s.journal.update(s.now(), func(*state) (*entry, error) { return e, nil })
}

func record(cert *x509.Certificate, c class, kind Kind) *certificate {
	return &certificate{
		Serial: cert.SerialNumber.Text(16), Class: c, Kind: kind, Key: fingerprint(cert.RawSubjectPublicKeyInfo),
		Holder: cert.Subject.SerialNumber, DER: cert.Raw,
	}
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Errors of Revoke.
var (
	ErrNoCertificate  = errors.New("hcasim: the CA never issued a certificate with this serial number")
	ErrAlreadyRevoked = errors.New("hcasim: the certificate is revoked already")
)

// Revoke revokes any certificate of the issuing CA: a card's, a phone's, or the dedicated one. reason is a CRLReason
// of RFC 5280. A server on the same directory serves it from its next answer on.
func (s *Simulator) Revoke(serial *big.Int, reason int) error {
	if !hca.ValidReason(reason) {
		return fmt.Errorf("hcasim: %d is not a reason for revocation", reason)
	}
	now := s.now()
	return s.journal.update(now, func(st *state) (*entry, error) {
		key := serial.Text(16)
		if st.certificates[key] == nil {
			return nil, ErrNoCertificate
		}
		if st.revocations[key] != nil {
			return nil, ErrAlreadyRevoked
		}
		return &entry{Revocation: &revocation{Serial: key, Reason: reason, At: now.UTC().Truncate(time.Second)}}, nil
	})
}

// PEM encodes a certificate, and others after it.
func PEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}
