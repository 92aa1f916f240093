package card

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"time"
)

// signAnswer is the answer of a successful /sign.
type signAnswer struct {
	status
	Signature string `json:"signature"` // base64
	CertB64   string `json:"certb64"`
	CardSN    string `json:"cardSN"`
	// Insertion is the id of the card's stay in the reader, as /events gives it. A member of ours.
	Insertion string `json:"insertion"`
}

// handleDecrypt answers /decrypt, which is not offered here: nothing of the window is encrypted to a card.
func (s *Server) handleDecrypt(w http.ResponseWriter, r *http.Request) {
	who, err := s.identify(r)
	if err == nil {
		err = failf(CodeUnsupported, "decrypt")
	}
	writeAnswer(w, s.failed("decrypt", who, err))
}

// handleSign answers /sign.
func (s *Server) handleSign(w http.ResponseWriter, r *http.Request) {
	const op = "sign"
	who, err := s.identify(r)
	if err != nil {
		writeAnswer(w, s.failed(op, caller(r.Header.Get("Origin")), err))
		return
	}
	answer, err := s.signBody(w, r, who)
	if err != nil {
		writeAnswer(w, s.failed(op, who, err))
		return
	}
	s.cfg.Log.Info(op, "caller", string(who), "ret_code", "0x0", "insertion", answer.Insertion)
	writeAnswer(w, answer)
}

func (s *Server) signBody(w http.ResponseWriter, r *http.Request, who caller) (*signAnswer, error) {
	if r.Method != http.MethodPost {
		return nil, failf(CodeUnsupported, "method is not POST")
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	defer clear(body) // it may hold a PIN
	f, err := parsePackage(body)
	if err != nil {
		return nil, err
	}
	req, err := parseSign(f)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.operation(r.Context())
	defer cancel()
	return s.sign(ctx, req, who)
}

// operation is a context that ends with the request and with the server.
func (s *Server) operation(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// target is the card and the key that an operation works with.
type target struct {
	slot Slot
	stay *stay
	cert Certificate
	x509 *x509.Certificate
}

// sign finds the card, asks for the PIN and signs. The card must stay where it is from the first step to
// the last (HCA-8.1.2). One operation at a time: two questions on one screen would be confused.
func (s *Server) sign(ctx context.Context, req *signRequest, who caller) (*signAnswer, error) {
	if !s.busy.TryLock() {
		return nil, failf(CodeTimeout, "another operation is going on")
	}
	defer s.busy.Unlock()
	t, err := s.locate(ctx, req)
	if err != nil {
		req.pin.Wipe()
		return nil, err
	}
	ctx, cancel := t.stay.hold(ctx)
	defer cancel()
	pin, err := s.obtainPIN(ctx, t, req, who)
	if err != nil {
		return nil, t.blameRemoval(err)
	}
	answer, err := s.perform(ctx, t, req, pin)
	if err != nil {
		s.awaitRemoval(ctx, t, err)
		return nil, t.blameRemoval(err)
	}
	return answer, nil
}

// removalPolls is how many looks at the readers it may take until they tell of a removal: the operation
// that needs the card notices before those who only watch it.
const removalPolls = 5

// awaitRemoval gives the readers time to tell that the card has gone, where that may be what went wrong.
func (s *Server) awaitRemoval(ctx context.Context, t *target, err error) {
	f := asFailure(err, CodeTimeout)
	if f.lastError == 0 || f.code == CodeLogin && pinFault(f.lastError) {
		return
	}
	timer := time.NewTimer(removalPolls * s.cfg.PollInterval)
	defer timer.Stop()
	select {
	case <-t.stay.ended:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// blameRemoval turns whatever went wrong into "no card" when the card is gone: libraries report a removal
// in many ways, some of them by a general error.
func (t *target) blameRemoval(err error) error {
	if t.stay.over() {
		return fail(CodeNoCard, errRemoved)
	}
	return err
}

// locate finds the reader, the card in it and the signing certificate. It needs no PIN.
func (s *Server) locate(ctx context.Context, req *signRequest) (*target, error) {
	var found *target
	err := s.owner.do(ctx, func(_ context.Context, mod Module) error {
		slots, err := s.look(mod)
		if err != nil {
			return err
		}
		slot, err := chooseSlot(slots, req.slot)
		if err != nil {
			return err
		}
		t := &target{slot: slot, stay: s.watch.current(slot.ID)}
		if t.stay == nil {
			return fail(CodeNoCard, errRemoved)
		}
		session, err := mod.Open(slot.ID)
		if err != nil {
			return s.afterError(mod, t, fail(CodeSession, err))
		}
		defer session.Close()
		certs, err := session.Certificates()
		if err != nil {
			return s.afterError(mod, t, fail(CodeCertificate, err))
		}
		t.cert, t.x509, err = chooseCertificate(certs, req.keyID)
		found = t
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, checkDates(found.x509, req, s.cfg.Now())
}

// afterError looks at the readers once more, so that an error that came of a removal is known as one.
func (s *Server) afterError(mod Module, t *target, err error) error {
	if _, lookErr := s.look(mod); lookErr != nil {
		return err
	}
	return t.blameRemoval(err)
}

// tokenInitialized is CKF_TOKEN_INITIALIZED.
const tokenInitialized = 0x400

// chooseSlot is the reader of that name, or the first that holds a card that can be used.
func chooseSlot(slots []Slot, name string) (Slot, error) {
	readers := 0
	for _, slot := range slots {
		if name != "" && slot.Description != name {
			continue
		}
		readers++
		if slot.Present && slot.Token != nil && slot.Token.Flags&tokenInitialized != 0 {
			return slot, nil
		}
	}
	if readers == 0 {
		return Slot{}, failf(CodeNoReader, "no such reader")
	}
	return Slot{}, failf(CodeNoCard, "no card that can be used")
}

// chooseCertificate is the certificate of the named key, or the card's signing certificate: the first of an
// end entity for digital signatures alone, else the first for digital signatures among other things.
func chooseCertificate(certs []Certificate, keyID []byte) (Certificate, *x509.Certificate, error) {
	var best Certificate
	var bestX509 *x509.Certificate
	for _, c := range certs[:min(len(certs), maxCerts)] {
		x, err := x509.ParseCertificate(c.DER)
		if err != nil {
			continue
		}
		if keyID != nil {
			if string(c.ID) == string(keyID) {
				return c, x, nil
			}
			continue
		}
		switch {
		case x.IsCA || x.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		case x.KeyUsage == x509.KeyUsageDigitalSignature:
			return c, x, nil
		case bestX509 == nil:
			best, bestX509 = c, x
		}
	}
	switch {
	case bestX509 != nil:
		return best, bestX509, nil
	case keyID != nil:
		return Certificate{}, nil, failf(CodeKeyNotFound, "no certificate with that key id")
	}
	return Certificate{}, nil, failf(CodeCertNotFound, "no signing certificate on the card")
}

// checkDates refuses a certificate outside its dates, if the page wants that.
func checkDates(cert *x509.Certificate, req *signRequest, now time.Time) error {
	switch {
	case !req.checkDates:
		return nil
	case now.Before(cert.NotBefore):
		return failf(CodeNotYetValid, "not before %s", cert.NotBefore.UTC().Format(time.RFC3339))
	case now.After(cert.NotAfter):
		return failf(CodeExpired, "not after %s", cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// perform logs in and signs, in the owner's goroutine. It takes over the PIN.
func (s *Server) perform(ctx context.Context, t *target, req *signRequest, pin PIN) (*signAnswer, error) {
	var answer *signAnswer
	err := s.owner.do(ctx, func(ctx context.Context, mod Module) error {
		defer pin.Wipe()
		if _, err := s.look(mod); err != nil {
			return err
		}
		if t.stay.over() {
			return fail(CodeNoCard, errRemoved)
		}
		value, err := s.signOn(ctx, mod, t, req, pin)
		if err != nil {
			return s.afterError(mod, t, err)
		}
		if _, err := s.look(mod); err != nil {
			return err
		}
		if t.stay.over() {
			return fail(CodeNoCard, errRemoved)
		}
		answer = &signAnswer{
			status:    succeeded("sign"),
			Signature: base64.StdEncoding.EncodeToString(value),
			CertB64:   base64.StdEncoding.EncodeToString(t.cert.DER),
			CardSN:    t.slot.Token.Serial,
			Insertion: t.stay.Insertion,
		}
		return nil
	})
	if err != nil {
		if notRun(err) {
			pin.Wipe() // otherwise the job does, which may still be using it
		}
		return nil, err
	}
	return answer, nil
}

// signOn makes the signature in a session of its own, whose end logs the card out.
func (s *Server) signOn(ctx context.Context, mod Module, t *target, req *signRequest, pin PIN) ([]byte, error) {
	session, err := mod.Open(t.slot.ID)
	if err != nil {
		return nil, fail(CodeSession, err)
	}
	defer session.Close()
	if err := ctx.Err(); err != nil {
		return nil, fail(CodeCancelled, err) // before a try is spent
	}
	if err := session.Login(pin); err != nil {
		return nil, s.loginFailure(mod, t, err)
	}
	signer, err := session.Signer(t.cert.ID)
	if err != nil {
		return nil, fail(CodeKey, err)
	}
	if pub, ok := t.x509.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(signer.Public()) {
		return nil, failf(CodeKey, "the key is not the certificate's")
	}
	if err := ctx.Err(); err != nil {
		return nil, fail(CodeCancelled, err)
	}
	value, err := s.signature(t, req, signer)
	if err != nil {
		return nil, asFailure(err, CodeSignFailed)
	}
	return value, nil
}

// signature makes the value that the request asks for.
func (s *Server) signature(t *target, req *signRequest, signer crypto.Signer) ([]byte, error) {
	switch req.kind {
	case SignRAW:
		return signer.Sign(s.cfg.Rand, req.content, req.hash.hash())
	case SignPKCS1:
		return signer.Sign(s.cfg.Rand, req.hash.sum(req.content), req.hash.hash())
	}
	attrs, err := attributes(req, t.slot.Token.Serial)
	if err != nil {
		return nil, err
	}
	in := CMSInput{
		Content: req.content, Signer: signer, Certificate: t.cert.DER, Hash: req.hash.hash(), Attributes: attrs,
	}
	if req.signingTime {
		in.SigningTime = s.cfg.Now()
	}
	return s.cfg.SignCMS(in)
}
