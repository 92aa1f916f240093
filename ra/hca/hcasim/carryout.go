package hcasim

import (
	"bytes"
	"crypto/x509"
	"errors"
	"math/big"
	"time"

	"certwindow/ra/csr"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
)

// carryOutEnrolment issues the certificate that a consenting holder's window asks for. The subject is the card's.
func (s *Simulator) carryOutEnrolment(r *request, t *transaction) error {
	req, err := csr.Parse(r.data.CSRs[0].DER)
	if err != nil {
		return refuse(cmc.PopFailed, "%v", err)
	}
	named, err := x509.ParseCertificateRequest(req.Raw)
	if err != nil {
		return refuse(cmc.PopFailed, "%v", err)
	}
	var c *consent
	var cerr error
	if err := s.journal.view(func(st *state) {
		c, cerr = s.openConsent(st, r.data.Messages[0].DER, enrolTitle, r.transaction, r.institution)
	}); err != nil {
		return err
	}
	switch {
	case cerr != nil:
		return refuse(cmc.BadIdentity, "consent: %v", cerr)
	case c.fields["name"] != c.name:
		return refuse(cmc.BadIdentity, "consent: its name is not the card's")
	case contradicts(named.Subject.SerialNumber, c.holder) || contradicts(named.Subject.CommonName, c.name):
		return refuse(cmc.BadIdentity, "the certification request names somebody who did not consent")
	}
	template, err := s.mobileTemplate(c.name, c.holder)
	if err != nil {
		return refuse(cmc.BadIdentity, "%v", err)
	}
	cert, err := s.mint(template, req.PublicKey, s.ca)
	if err != nil {
		return err
	}
	made := record(cert, classMobile, Person)
	return s.commit(r, func(st *state) (*entry, error) {
		if s.reused(st, made) {
			return nil, refuse(cmc.NoKeyReuse, "there is a certificate for this key")
		}
		t.Serial = made.Serial
		return &entry{Certificate: made, Transaction: t}, nil
	})
}

// contradicts reports whether a request says something, and something else. Secure hardware often makes requests with
// an empty subject.
func contradicts(said, is string) bool { return said != "" && said != is }

// reused reports whether a key may not be certified again: it is somebody else's, or compromised, or in use.
func (s *Simulator) reused(st *state, made *certificate) bool {
	for _, old := range st.byKey[made.Key] {
		rev := st.revocations[old.Serial]
		if old.Holder != made.Holder || rev == nil || rev.Reason == 1 {
			return true
		}
	}
	return false
}

// carryOutRevocation revokes a mobile certificate, with the holder's consent (HCA-5.2.1) or on the window's word (HCA-5.2.2).
func (s *Simulator) carryOutRevocation(r *request, t *transaction, der []byte) error {
	req, err := cmc.ParseRevokeRequest(der)
	if err != nil || !hca.ValidReason(req.Reason) {
		return refuse(cmc.BadRequest, "malformed revocation request")
	}
	now := s.now()
	return s.commit(r, func(st *state) (*entry, error) {
		held := st.certificates[req.Serial.Text(16)]
		if held == nil || held.Class != classMobile || !bytes.Equal(req.Issuer, s.ca.cert.RawSubject) {
			return nil, refuse(cmc.BadCertID, "there is no such mobile certificate")
		}
		if len(r.data.Messages) == 1 {
			if err := s.checkRevocationConsent(st, r, req, held); err != nil {
				return nil, refuse(cmc.BadIdentity, "consent: %v", err)
			}
		}
		// Revoking what is revoked already is a success: the window asks for a state, not for an act.
		e := &entry{Transaction: t}
		if st.revocations[held.Serial] == nil {
			e.Revocation = &revocation{Serial: held.Serial, Reason: req.Reason, At: now.UTC().Truncate(time.Second)}
		}
		return e, nil
	})
}

func (s *Simulator) checkRevocationConsent(st *state, r *request, req *cmc.RevokeRequest, held *certificate) error {
	c, err := s.openConsent(st, r.data.Messages[0].DER, revokeTitle, r.transaction, r.institution)
	if err != nil {
		return err
	}
	serial, ok := new(big.Int).SetString(c.fields["certificate"], 16)
	switch {
	case !ok || serial.Cmp(req.Serial) != 0:
		return errors.New("it is about another certificate")
	case c.holder != held.Holder:
		return errors.New("the certificate is not the card holder's")
	case c.fields["reason"] != reasonNames[req.Reason]:
		return errors.New("its reason is another")
	}
	return nil
}

// reasonNames are the CRLReasons of RFC 5280 section 5.3.1.
var reasonNames = map[int]string{
	0: "unspecified", 1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded",
	5: "cessationOfOperation", 6: "certificateHold", 9: "privilegeWithdrawn", 10: "aACompromise",
}

// ReasonCode is the number of a CRLReason's name in RFC 5280.
func ReasonCode(name string) (int, bool) {
	for code, n := range reasonNames {
		if n == name {
			return code, true
		}
	}
	return 0, false
}
