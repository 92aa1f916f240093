package hcasim

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"certwindow/ra/cms"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
)

// pendingRetry is when a pending request is to be asked about again.
const pendingRetry = 2 * time.Second

// failure is a definite no with its CMC code.
type failure struct {
	info cmc.FailInfo
	text string
}

func (f *failure) Error() string { return f.info.String() + ": " + f.text }

func refuse(info cmc.FailInfo, format string, args ...any) error {
	return &failure{info, fmt.Sprintf(format, args...)}
}

// request is one authenticated full PKI request.
type request struct {
	transaction string
	nonce       []byte
	institution string // of the dedicated certificate
	body        []byte // the PKIData as it was signed
	data        *cmc.PKIData
}

// verdict is what the CA says to a request.
type verdict struct {
	status cmc.StatusInfo
	cert   *x509.Certificate // of a successful enrolment
}

// errGarbage means that there is nothing to answer to.
var errGarbage = errors.New("hcasim: not a signed CMC request")

// authenticate opens a request. With a *failure it returns what could be read of it all the same, so that the refusal
// reaches whoever asked.
func (s *Simulator) authenticate(der []byte) (*request, error) {
	sd, err := cms.Open(der, cms.OpenOptions{Max: cmc.MaxRequest, ContentType: cms.OIDPKIData, RequireSigningTime: true})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbage, err)
	}
	r := &request{body: sd.Content}
	if r.data, err = cmc.ParsePKIData(sd.Content); err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbage, err)
	}
	if r.transaction, err = cmc.Transaction(r.data.Controls); err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbage, err)
	}
	if r.nonce, err = cmc.Octets(r.data.Controls, cmc.OIDSenderNonce); err != nil || len(r.nonce) < 16 {
		return nil, fmt.Errorf("%w: sender nonce", errGarbage)
	}
	if sd.SigningTime.After(s.now().Add(clockSkew)) {
		return r, refuse(cmc.BadTime, "the request was signed in the future")
	}
	var verr error
	if err := s.journal.view(func(st *state) { r.institution, verr = s.institutionOf(st, sd.Signer) }); err != nil {
		return nil, err
	}
	return r, verr
}

// institutionOf says whose dedicated certificate this is (HCA-3.1): one that was acknowledged, and is in force.
func (s *Simulator) institutionOf(st *state, signer []byte) (string, error) {
	institution, ok := st.dedicated[fingerprint(signer)]
	if !ok {
		return "", refuse(cmc.BadMessageCheck, "the signer is not an acknowledged dedicated certificate")
	}
	if _, _, err := s.known(st, signer); err != nil {
		return "", refuse(cmc.BadMessageCheck, "dedicated certificate: %v", err)
	}
	return institution, nil
}

// known finds a certificate that this CA issued, byte for byte, and checks that it is neither expired nor revoked.
func (s *Simulator) known(st *state, der []byte) (*x509.Certificate, *certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	held := st.certificates[cert.SerialNumber.Text(16)]
	switch now := s.now(); {
	case held == nil || !bytes.Equal(held.DER, der):
		return nil, nil, errors.New("it is not a certificate of this CA")
	case now.Before(cert.NotBefore) || now.After(cert.NotAfter):
		return nil, nil, errors.New("it is outside its validity")
	case st.revocations[held.Serial] != nil:
		return nil, nil, errors.New("it is revoked")
	}
	return cert, held, nil
}

// process decides an authenticated request, or says what became of it. Copies of one request wait for each other.
func (s *Simulator) process(r *request, faults faultSet) (*verdict, error) {
	defer s.inFlight.lock(r.transaction)()
	if faults.has(FaultBusy) {
		return failed(r.part(), refuse(cmc.TryLater, "busy, as told")), nil
	}
	var old *transaction
	if err := s.journal.view(func(st *state) { old = st.transactions[r.transaction] }); err != nil {
		return nil, err
	}
	if r.isQuery() {
		return s.query(r, old, faults)
	}
	if old == nil {
		return s.decide(r, faults)
	}
	if old.Institution != r.institution || old.Digest != fingerprint(r.body) {
		return failed(r.part(), refuse(cmc.BadRequest, "the transaction id was used for another request")), nil
	}
	return s.recall(old, faults)
}

// query answers queryPending. Somebody else's transaction is as unknown as one that never was.
func (s *Simulator) query(r *request, old *transaction, faults faultSet) (*verdict, error) {
	token, err := cmc.Octets(r.data.Controls, cmc.OIDQueryPending)
	want, terr := cmc.TransactionToken(r.transaction)
	if err != nil || terr != nil || !bytes.Equal(token, want) || len(r.data.CSRs)+len(r.data.Messages) > 0 {
		return failed(cmc.BodyQuery, refuse(cmc.BadRequest, "malformed query")), nil
	}
	if old == nil || old.Institution != r.institution {
		return failed(cmc.BodyQuery, refuse(cmc.BadCertID, "unknown transaction")), nil
	}
	return s.recall(old, faults)
}

// recall answers from the record, deciding a pending request once nothing keeps it pending.
func (s *Simulator) recall(old *transaction, faults faultSet) (*verdict, error) {
	if old.Pending {
		if faults.has(FaultPending) {
			return s.pendingVerdict(old)
		}
		data, err := cmc.ParsePKIData(old.Body)
		if err != nil {
			return nil, fmt.Errorf("hcasim: pending request in the journal: %w", err)
		}
		return s.decide(&request{transaction: old.ID, institution: old.Institution, body: old.Body, data: data}, faults)
	}
	if fail := cmc.FailInfo(old.Fail); fail != cmc.NoFailInfo {
		return failed(old.Part, &failure{fail, old.Text}), nil
	}
	v := &verdict{status: cmc.StatusInfo{Status: cmc.StatusSuccess, BodyList: []uint32{old.Part}, Fail: cmc.NoFailInfo}}
	if old.Serial == "" {
		return v, nil
	}
	var held *certificate
	if err := s.journal.view(func(st *state) { held = st.certificates[old.Serial] }); err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(held.DER)
	v.cert = cert
	return v, err
}

// decide carries out a request for the first time, records what became of it, and answers from the record.
func (s *Simulator) decide(r *request, faults faultSet) (*verdict, error) {
	t := &transaction{ID: r.transaction, Institution: r.institution, Digest: fingerprint(r.body), Part: r.part(), Fail: int(cmc.NoFailInfo)}
	if faults.has(FaultPending) {
		t.Pending, t.Body = true, r.body
		if err := s.record(&entry{Transaction: t}); err != nil {
			return nil, err
		}
		return s.pendingVerdict(t)
	}
	err := s.carryOut(r, t, faults)
	var f *failure
	switch {
	case errors.As(err, &f):
		t.Fail, t.Text, t.Serial = int(f.info), f.text, ""
		if err := s.record(&entry{Transaction: t}); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	return s.recall(t, nil)
}

func (s *Simulator) record(e *entry) error {
	return s.journal.update(s.now(), func(*state) (*entry, error) { return e, nil })
}

// carryOut does what is asked and records it in one line, or fails and records nothing.
func (s *Simulator) carryOut(r *request, t *transaction, faults faultSet) error {
	revoke, isRevoke, err := cmc.Find(r.data.Controls, cmc.OIDRevokeRequest)
	switch {
	case faults.has(FaultRefuse):
		return refuse(cmc.BadRequest, "refused, as told")
	case err != nil:
		return refuse(cmc.BadRequest, "two revocations in one request")
	case isRevoke && len(r.data.CSRs) == 0 && len(r.data.Messages) <= 1:
		return s.carryOutRevocation(r, t, revoke.Value)
	case !isRevoke && len(r.data.CSRs) == 1 && len(r.data.Messages) == 1:
		return s.carryOutEnrolment(r, t)
	}
	return refuse(cmc.BadRequest, "neither one enrolment with its consent nor one revocation")
}

func (s *Simulator) carryOutEnrolment(r *request, t *transaction) error {
	csr, err := hca.ParseCSR(r.data.CSRs[0].DER)
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
	case csr.Serial != "" && csr.Serial != c.holder || csr.Name != "" && csr.Name != c.name:
		return refuse(cmc.BadIdentity, "the certification request names somebody who did not consent")
	}
	template, err := s.mobileTemplate(c.name, c.holder)
	if err != nil {
		return refuse(cmc.BadIdentity, "%v", err)
	}
	cert, err := s.mint(template, csr.Key, s.ca)
	if err != nil {
		return err
	}
	made := record(cert, classMobile, Person)
	return s.journal.update(s.now(), func(st *state) (*entry, error) {
		if s.reused(st, made) {
			return nil, refuse(cmc.NoKeyReuse, "there is a certificate for this key")
		}
		t.Serial = made.Serial
		return &entry{Certificate: made, Transaction: t}, nil
	})
}

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

func (s *Simulator) carryOutRevocation(r *request, t *transaction, der []byte) error {
	req, err := cmc.ParseRevokeRequest(der)
	if err != nil || !hca.ValidReason(req.Reason) {
		return refuse(cmc.BadRequest, "malformed revocation request")
	}
	now := s.now()
	return s.journal.update(now, func(st *state) (*entry, error) {
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

// part is the body part of the request that a status is about.
func (r *request) part() uint32 {
	if len(r.data.CSRs) == 1 {
		return r.data.CSRs[0].ID
	}
	for _, c := range r.data.Controls {
		if c.Type.Equal(cmc.OIDRevokeRequest) || c.Type.Equal(cmc.OIDQueryPending) {
			return c.ID
		}
	}
	return cmc.BodyTransactionID
}

func (r *request) isQuery() bool {
	_, ok, err := cmc.Find(r.data.Controls, cmc.OIDQueryPending)
	return ok || err != nil
}

// failed makes a refusal; err is a *failure.
func failed(part uint32, err error) *verdict {
	v := &verdict{status: cmc.StatusInfo{Status: cmc.StatusFailed, BodyList: []uint32{part}, Fail: cmc.BadRequest, Text: err.Error()}}
	var f *failure
	if errors.As(err, &f) {
		v.status.Fail, v.status.Text = f.info, f.text
	}
	return v
}

func (s *Simulator) pendingVerdict(t *transaction) (*verdict, error) {
	token, err := cmc.TransactionToken(t.ID)
	if err != nil {
		return nil, err
	}
	return &verdict{status: cmc.StatusInfo{
		Status: cmc.StatusPending, BodyList: []uint32{t.Part}, Fail: cmc.NoFailInfo,
		Text: "waiting for a decision", Token: token, PendTime: s.now().Add(pendingRetry),
	}}, nil
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
