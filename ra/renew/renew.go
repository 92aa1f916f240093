// Package renew knows which certificates are to be renewed, and by which applications they are, and tells their holders
// in time (HCA-3.4). The new application itself is one like any other: see package enrol.
package renew

import (
	"context"
	"errors"
	"strconv"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/revoke"
)

// Tx is one transaction on what a reminder reads and writes.
type Tx interface {
	Certificates(q revoke.Query) ([]ra.Certificate, error)
	// Renewals are the renewals of these certificates.
	Renewals(of []ra.CertificateID) ([]ra.Renewal, error)
	// Unreminded are certificates in use that end before until, and after at, and whose holders were not told yet at
	// so many days before the end.
	Unreminded(at, until time.Time, days, limit int) ([]ra.Certificate, error)
	// Reminded writes down that the holder was told at so many days before the end; false when somebody was faster.
	Reminded(id ra.CertificateID, days int) (bool, error)
	// Notice tells a holder, when this transaction is committed (HCA-3.4).
	Notice(person ra.PersonID, kind ra.NoticeKind, object string) error
	Audit(e ra.Event) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Service is the use case.
type Service struct {
	store Store
	now   func() time.Time
}

// New wires the use case.
func New(store Store, now func() time.Time) *Service { return &Service{store: store, now: now} }

// pageSize is how many holders are told in one transaction.
const pageSize = 100

var actor = ra.Actor{Kind: ra.ActorSystem, ID: "renewal"}

// Renewals are the renewals of these certificates, by certificate: the one that is done, else the newest that was begun,
// where there is one. The caller has seen to it that they may be seen.
func (s *Service) Renewals(ctx context.Context, of []ra.CertificateID) (out map[ra.CertificateID]ra.Renewal, err error) {
	out = map[ra.CertificateID]ra.Renewal{}
	if len(of) == 0 {
		return out, nil
	}
	err = s.store.View(ctx, func(tx Tx) error {
		found, err := tx.Renewals(of)
		for _, r := range found {
			if !r.Begun() && r.State != ra.AppAwaitingSignature {
				continue
			}
			if before, there := out[r.Of]; !there || !before.Done() && (r.Done() || r.Begun() || !before.Begun()) {
				out[r.Of] = r
			}
		}
		return err
	})
	return out, err
}

// Remind tells the holders of certificates that end soon, once at each of policy.Reminders, and how many it told. A
// certificate that is renewed already, or whose holder has a later one of its kind on the same device, is passed over.
// It may run again at any time, and on several replicas at once.
func (s *Service) Remind(ctx context.Context) (told int, err error) {
	for _, days := range policy.Reminders() { // who is late is told once
		for {
			n, seen, err := s.page(ctx, days)
			told += n
			if err != nil {
				return told, err
			}
			if seen < pageSize {
				break
			}
		}
	}
	return told, nil
}

// page looks at the next certificates of one distance.
func (s *Service) page(ctx context.Context, days int) (told, seen int, err error) {
	err = s.store.Update(ctx, func(tx Tx) error {
		told, seen = 0, 0
		now := s.now()
		list, err := tx.Unreminded(now, now.Add(time.Duration(days)*24*time.Hour), days, pageSize)
		if err != nil {
			return err
		}
		for _, c := range list {
			yes, err := s.remind(tx, c, days)
			if err != nil {
				return err
			}
			if seen++; yes {
				told++
			}
		}
		return nil
	})
	return told, seen, err
}

// remind tells the holder of one certificate, where that is called for, and writes down that it was looked at.
func (s *Service) remind(tx Tx, c ra.Certificate, days int) (told bool, err error) {
	first, err := tx.Reminded(c.ID, days)
	if err != nil || !first {
		return false, err
	}
	followed, err := s.followed(tx, c)
	if err != nil || followed {
		return false, err
	}
	object := "certificate/" + string(c.ID)
	e := ra.Event{At: s.now(), Actor: actor, Act: "certificate.remind", Object: object, Institution: c.Institution, Outcome: ra.OutcomeDone, Clause: "HCA-3.4",
		Details: map[string]string{"days": strconv.Itoa(days)}}
	return true, errors.Join(tx.Notice(c.PersonID, ra.NoticeExpiring, object), tx.Audit(e))
}

// followed tells whether the holder need not be told: the next certificate is there, or on its way.
func (s *Service) followed(tx Tx, c ra.Certificate) (bool, error) {
	renewals, err := tx.Renewals([]ra.CertificateID{c.ID})
	if err != nil {
		return false, err
	}
	for _, r := range renewals {
		if r.Begun() {
			return true, nil
		}
	}
	later, err := tx.Certificates(revoke.Query{Person: c.PersonID, Device: c.DeviceID, KeyDesign: c.KeyDesign, State: ra.CertLive,
		From: c.NotAfter.Add(policy.RenewalTime), Brief: true, Limit: 1})
	return len(later) > 0, err
}
