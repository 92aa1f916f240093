package exchange

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"time"

	"certwindow/ra"
	"certwindow/ra/csr"
	"certwindow/ra/hca"
)

// record takes in what the HCA said, or that nothing can be said.
func (s *Service) record(ctx context.Context, w work, out hca.Outcome, cause error) (again time.Duration, err error) {
	// The answer has come: a caller who gives up now must not lose it.
	ctx = context.WithoutCancel(ctx)
	if err := s.keepAnswer(ctx, &w, out); err != nil {
		return 0, err
	}
	switch out.State {
	case hca.Issued:
		return 0, s.issued(ctx, w, out)
	case hca.Revoked:
		return 0, s.revoked(ctx, w)
	case hca.Refused:
		return 0, s.refused(ctx, w, out)
	case hca.Pending:
		if out.RetryAfter > 0 {
			return min(out.RetryAfter, time.Hour), nil
		}
		return retryAfter, nil
	}
	unknown := unknownOutcome(cause)
	if err := s.note(ctx, w.app, unknown); err != nil {
		return 0, err
	}
	return 0, unknown
}

// keepAnswer stores what came as evidence, whatever is wrong with it, and what to ask by.
func (s *Service) keepAnswer(ctx context.Context, w *work, out hca.Outcome) error {
	if out.Answer == nil && out.Token == nil {
		return nil
	}
	if out.Token != nil {
		w.request.Prepared.Token = out.Token
	}
	if out.Answer != nil {
		now := s.now()
		w.request.Answer, w.request.AnsweredAt = out.Answer, &now
	}
	return s.store.Update(ctx, func(tx Tx) error { return tx.UpdateRequest(w.app.ID, w.request) })
}

// unknownOutcome says that nobody knows yet whether the HCA acted. The slot stays held (HCA-7.5).
func unknownOutcome(cause error) error {
	code := "hca-unreachable"
	var he *hca.Error
	if errors.As(cause, &he) {
		code = "hca-" + string(he.Kind)
	}
	return ra.Errorf(ra.KindUnavailable, code, cause, "The HCA's answer is not known yet. The request stays open and the HCA is asked again.")
}

// issued holds the certificate against its request, and stores both or neither.
func (s *Service) issued(ctx context.Context, w work, out hca.Outcome) error {
	if w.app.Kind != ra.Enrolment || len(out.Certificates) == 0 {
		return s.disputed(ctx, w, errors.New("an answer of another kind than the request"))
	}
	cert, err := s.check(w, out.Certificates[0])
	if err != nil {
		return s.disputed(ctx, w, err)
	}
	e := ra.Event{Actor: actor, Act: "hca.issued", Object: object(w.app), Institution: w.app.Institution,
		Details: map[string]string{"serial": cert.Serial, "certificate": string(cert.ID)}}
	for _, der := range out.Certificates {
		cert.Chain = append(cert.Chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, _ *ra.Event) error {
		a, err := s.step(tx, w.app.ID, ra.AppAnswered)
		if err != nil {
			return err
		}
		if err := tx.InsertCertificate(cert); err != nil {
			return err
		}
		a.app.CertificateID = &cert.ID
		if err := a.save(tx); err != nil {
			return err
		}
		return tx.Notice(cert.PersonID, ra.NoticeEnrolled, "certificate/"+string(cert.ID))
	})
}

// check holds a certificate against its request (HCA-3.3) and makes the register's row of it.
func (s *Service) check(w work, der []byte) (ra.Certificate, error) {
	if err := s.fits(w, der, s.now()); err != nil {
		return ra.Certificate{}, err
	}
	x, err := x509.ParseCertificate(der)
	if err != nil {
		return ra.Certificate{}, err
	}
	id, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return ra.Certificate{}, err
	}
	a, now := w.app, s.now()
	return ra.Certificate{ID: ra.CertificateID(id), ApplicationID: a.ID, PersonID: a.PersonID, DeviceID: a.DeviceID, Generation: a.Generation,
		Institution: a.Institution, Scope: a.Scope, KeyDesign: a.KeyDesign, Serial: x.SerialNumber.Text(16),
		IssuerKey: hex.EncodeToString(x.AuthorityKeyId), DER: der, NotBefore: x.NotBefore, NotAfter: x.NotAfter, State: ra.CertLive,
		CreatedAt: now, UpdatedAt: now}, nil
}

// fits judges a certificate that came at a time against its request.
func (s *Service) fits(w work, der []byte, at time.Time) error {
	request, err := csr.Parse(w.app.CSR)
	if err != nil {
		return err
	}
	return hca.CheckCertificate(der, hca.Facts{SPKI: request.SPKI, Holder: w.person.Holder, HolderAttribute: s.profile.Holder, Name: w.person.Name, Issuers: s.profile.Issuers,
		Now: at, MaxValidity: s.profile.MaxValidity})
}

// disputed stops an application whose answer does not fit its request. A certificate may exist that is not
// ours to give out, so the slot stays held and a person must look.
func (s *Service) disputed(ctx context.Context, w work, cause error) error {
	mismatch := ra.Errorf(ra.KindUnavailable, "hca-mismatch", cause,
		"The HCA's answer does not fit the request and was not taken. The application waits for a person to look at it.")
	e := ra.Event{Actor: actor, Act: "hca.mismatch", Object: object(w.app), Institution: w.app.Institution, Clause: "HCA-3.3",
		Details: map[string]string{"why": cause.Error()}}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		a, err := s.step(tx, w.app.ID, ra.AppMismatch)
		if err != nil {
			return err
		}
		e.Outcome, e.Code = ra.OutcomeFailed, "hca-mismatch"
		a.app.FailureCode, a.app.FailureDetail = "hca-mismatch", ra.AsError(mismatch).Detail
		if err := a.save(tx); err != nil {
			return err
		}
		return tx.Notice(a.app.PersonID, ra.NoticeAbnormal, object(a.app))
	})
}

// revoked confirms a certificate's revocation and frees the slot it held (HCA-7.5).
func (s *Service) revoked(ctx context.Context, w work) error {
	if w.app.Kind != ra.Revocation {
		return s.disputed(ctx, w, errors.New("an answer of another kind than the request"))
	}
	e := ra.Event{Actor: actor, Act: "hca.revoked", Object: object(w.app), Institution: w.app.Institution,
		Details: map[string]string{"certificate": string(w.target.ID), "serial": w.target.Serial}}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, _ *ra.Event) error {
		a, err := s.step(tx, w.app.ID, ra.AppAnswered)
		if err != nil {
			return err
		}
		if err := a.save(tx); err != nil {
			return err
		}
		c, err := tx.Certificate("", w.target.ID)
		if err != nil || !c.State.Valid() {
			return err // it expired meanwhile, or the sweep saw it on the HCA's list before this answer came
		}
		return Confirm(tx, c.ID, s.now())
	})
}

// Confirm records that the HCA holds a certificate revoked: its slot is free and its HSM key is forgotten.
func Confirm(tx Tx, id ra.CertificateID, now time.Time) error {
	c, err := tx.Certificate("", id)
	if err != nil {
		return err
	}
	from := c.State
	if c.State, err = ra.NextCertificate(from, ra.CertConfirm, c.NotAfter, now); err != nil {
		return err
	}
	c.RevokedAt, c.UpdatedAt = &now, now
	if err := tx.UpdateCertificate(c, from); err != nil {
		return err
	}
	enrolment, err := tx.Application("", c.ApplicationID)
	if err != nil {
		return err
	}
	enrolment.Slot, enrolment.UpdatedAt = nil, now
	if err := tx.UpdateApplication(enrolment, enrolment.State); err != nil {
		return err
	}
	if err := tx.DeleteHolderKey(c.ApplicationID); err != nil {
		return err
	}
	return tx.Notice(c.PersonID, ra.NoticeRevoked, "certificate/"+string(c.ID))
}

// refused takes the HCA's definite no. An enrolment's slot is free again; a certificate whose revocation was
// refused stays unusable here, and a person must look.
func (s *Service) refused(ctx context.Context, w work, out hca.Outcome) error {
	e := ra.Event{Actor: actor, Act: "hca.refused", Object: object(w.app), Institution: w.app.Institution,
		Details: map[string]string{"code": out.FailCode}}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		a, err := s.step(tx, w.app.ID, ra.AppDenied)
		if err != nil {
			return err
		}
		e.Outcome, e.Code = ra.OutcomeRefused, "hca-refused"
		a.app.FailureCode, a.app.FailureDetail = "hca-refused", out.FailCode+": "+out.FailText
		if a.app.Kind == ra.Enrolment {
			a.app.Slot = nil
			if err := tx.DeleteHolderKey(a.app.ID); err != nil {
				return err
			}
		}
		if err := a.save(tx); err != nil {
			return err
		}
		return tx.Notice(a.app.PersonID, ra.NoticeAbnormal, object(a.app))
	})
}

// stepped is an application that moved, not yet saved.
type stepped struct {
	app  ra.Application
	from ra.ApplicationState
}

func (s *Service) step(tx Tx, id ra.ApplicationID, event ra.ApplicationEvent) (stepped, error) {
	a, err := tx.Application("", id)
	if err != nil {
		return stepped{}, err
	}
	from := a.State
	a.State, err = ra.NextApplication(a.Kind, from, event, a.Deadline, s.now())
	a.UpdatedAt, a.FailureCode, a.FailureDetail = s.now(), "", ""
	return stepped{a, from}, err
}

func (a stepped) save(tx Tx) error { return tx.UpdateApplication(a.app, a.from) }

func object(a ra.Application) string { return "application/" + string(a.ID) }

func issuerName(der []byte) ([]byte, error) {
	x, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return x.RawIssuer, nil
}
