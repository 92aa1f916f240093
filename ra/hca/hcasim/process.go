package hcasim

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"certwindow/ra/cms"
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

	// seen is the record of the transaction that the decision starts from. A decision is written only while it is
	// still the newest one.
	seen *transaction
}

// verdict is what the CA says to a request.
type verdict struct {
	status cmc.StatusInfo
	cert   *x509.Certificate // of a successful enrolment
}

// errMoved means that a copy of the request was decided meanwhile.
var errMoved = errors.New("hcasim: the transaction moved on")

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

// process decides an authenticated request, or says what became of it. Of copies that arrive together one is decided,
// and the others learn of it.
func (s *Simulator) process(r *request, faults faultSet) (*verdict, error) {
	for {
		v, err := s.attempt(r, faults)
		if !errors.Is(err, errMoved) {
			return v, err
		}
	}
}

func (s *Simulator) attempt(r *request, faults faultSet) (*verdict, error) {
	if faults.has(FaultBusy) {
		return failed(r.part(), refuse(cmc.TryLater, "busy, as told")), nil
	}
	var old *transaction
	if err := s.journal.view(func(st *state) { old = st.transactions[r.transaction] }); err != nil {
		return nil, err
	}
	r.seen = old
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
		return s.decide(&request{transaction: old.ID, institution: old.Institution, body: old.Body, data: data, seen: old}, faults)
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
		if err := s.commit(r, func(*state) (*entry, error) { return &entry{Transaction: t}, nil }); err != nil {
			return nil, err
		}
		return s.pendingVerdict(t)
	}
	err := s.carryOut(r, t, faults)
	var f *failure
	switch {
	case errors.As(err, &f):
		t.Fail, t.Text, t.Serial = int(f.info), f.text, ""
		if err := s.commit(r, func(*state) (*entry, error) { return &entry{Transaction: t}, nil }); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	return s.recall(t, nil)
}

// commit writes what f decides, unless the transaction has moved on since r was looked at.
func (s *Simulator) commit(r *request, f func(*state) (*entry, error)) error {
	return s.journal.update(s.now(), func(st *state) (*entry, error) {
		if st.transactions[r.transaction] != r.seen {
			return nil, errMoved
		}
		return f(st)
	})
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
