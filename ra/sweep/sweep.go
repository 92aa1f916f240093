// Package sweep is the inventory of HCA-3.6: it walks every certificate that counts as valid, compares the
// register with the HCA's lists, the devices and the staffing, and revokes by itself what meets a ground of
// HCA-5.2.2 that the register proves. One runner at a time, resumable, with a cap on what it may do alone.
package sweep

import (
	"context"
	"io"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/exchange"
)

// Finding is what the sweep found of one certificate.
type Finding struct {
	Certificate ra.CertificateID `json:"certificate"`
	Serial      string           `json:"serial"`
	What        string           `json:"what"`   // a ground of HCA-5.2.2, "expired" or "revoked-at-hca"
	Action      string           `json:"action"` // "revoke", "record", or "none" in a dry run and over the cap
	Error       string           `json:"error,omitempty"`
}

// Report is one inventory, as an auditor reads it.
type Report struct {
	ID         string           `json:"id"`
	StartedAt  time.Time        `json:"started_at"`
	FinishedAt *time.Time       `json:"finished_at,omitempty"`
	DryRun     bool             `json:"dry_run"`
	After      ra.CertificateID `json:"after"` // it goes on from here after a crash
	Looked     int              `json:"looked_at"`
	Findings   []Finding        `json:"findings"`
	OverCap    bool             `json:"over_cap"` // more was found than the sweep may revoke by itself; it revoked nothing
	Note       string           `json:"note,omitempty"`
}

// Tx is one transaction on what a sweep reads and writes.
type Tx interface {
	exchange.Tx
	Device(id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error)
	Institution(code ra.InstitutionCode) (ra.InstitutionFacts, error)
	Scopes() ([]policy.ApprovedScope, error)
	ValidAfter(after ra.CertificateID, limit int) ([]ra.Certificate, error)
	CountValid() (int, error)
	TakeLease(name, who string, now, until time.Time) (bool, error)
	ReleaseLease(name, who string) error
	UnfinishedRun(dry bool) (Report, bool, error)
	SaveRun(r Report) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Revoker starts a revocation that the register proves (HCA-5.2.2).
type Revoker interface {
	Proved(ctx context.Context, actor ra.Actor, id ra.CertificateID, ground, note string, prove func() (bool, error)) (bool, error)
}

// Upstream tells whether the HCA's own list, as this window has it, holds a certificate revoked (HCA-3.6). A list
// that is missing or stale is an error.
type Upstream interface {
	Revoked(c ra.Certificate) (bool, error)
}

// Config holds the cap: what the sweep may revoke by itself in one run.
type Config struct {
	CapPercent  int // of the valid certificates
	CapAbsolute int // and never more than this many
}

// Service is the use case.
type Service struct {
	store    Store
	revoker  Revoker
	upstream Upstream
	caps     func() Config
	name     string // this replica
	now      func() time.Time
	rand     io.Reader
}

// New wires the use case; the caps are asked at each run, name tells this replica from the others.
func New(store Store, revoker Revoker, upstream Upstream, caps func() Config, name string, now func() time.Time, rand io.Reader) *Service {
	return &Service{store: store, revoker: revoker, upstream: upstream, caps: caps, name: name, now: now, rand: rand}
}

const (
	leaseName = "sweep"
	leaseLife = 2 * time.Minute
	pageSize  = 200
)

// ErrBusy says that another replica is sweeping.
var ErrBusy = ra.Errorf(ra.KindConflict, "sweep-busy", nil, "Another sweep is running. Nothing was changed.")

var actor = ra.Actor{Kind: ra.ActorSweep, ID: "sweep"}

// Run makes one inventory, or goes on with the one that a crash interrupted. A dry run changes nothing but its
// own report.
func (s *Service) Run(ctx context.Context, dry bool) (r Report, err error) {
	if err := s.lease(ctx); err != nil {
		return r, err
	}
	defer func() {
		_ = s.store.Update(context.WithoutCancel(ctx), func(tx Tx) error { return tx.ReleaseLease(leaseName, s.name) })
	}()
	if r, err = s.begin(ctx, dry); err != nil {
		return r, err
	}
	for {
		more, err := s.page(ctx, &r)
		if err != nil {
			return r, err
		}
		if !more {
			break
		}
	}
	return r, s.finish(ctx, &r)
}

func (s *Service) lease(ctx context.Context) error {
	return s.store.Update(ctx, func(tx Tx) error {
		ok, err := tx.TakeLease(leaseName, s.name, s.now(), s.now().Add(leaseLife))
		if err == nil && !ok {
			err = ErrBusy
		}
		return err
	})
}

func (s *Service) begin(ctx context.Context, dry bool) (r Report, err error) {
	id, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return r, err
	}
	err = s.store.Update(ctx, func(tx Tx) error {
		old, found, err := tx.UnfinishedRun(dry)
		if err != nil {
			return err
		}
		if found {
			r = old
			return nil
		}
		r = Report{ID: id, StartedAt: s.now(), DryRun: dry, Findings: []Finding{}}
		return tx.SaveRun(r)
	})
	return r, err
}

// page looks at the next certificates and stores how far it has come.
func (s *Service) page(ctx context.Context, r *Report) (more bool, err error) {
	if err := s.lease(ctx); err != nil {
		return false, err
	}
	var page []ra.Certificate
	found := make(map[ra.CertificateID]string)
	err = s.store.View(ctx, func(tx Tx) error {
		if page, err = tx.ValidAfter(r.After, pageSize); err != nil {
			return err
		}
		scopes, err := tx.Scopes()
		if err != nil {
			return err
		}
		for _, c := range page {
			what, err := s.judge(tx, c, scopes)
			if err != nil {
				return err
			}
			if what != "" {
				found[c.ID] = what
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, c := range page {
		r.Looked, r.After = r.Looked+1, c.ID
		if what, ok := found[c.ID]; ok {
			r.Findings = append(r.Findings, Finding{Certificate: c.ID, Serial: c.Serial, What: what, Action: "none"})
		}
	}
	return len(page) == pageSize, s.store.Update(ctx, func(tx Tx) error { return tx.SaveRun(*r) })
}

// finish acts on what was found, unless it is more than the sweep may do alone, and closes the report.
func (s *Service) finish(ctx context.Context, r *Report) error {
	valid, revocations := 0, 0
	err := s.store.View(ctx, func(tx Tx) (err error) {
		valid, err = tx.CountValid()
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range r.Findings {
		if isGround(f.What) {
			revocations++
		}
	}
	caps := s.caps()
	capped := policy.SweepCap(revocations, valid, caps.CapPercent, caps.CapAbsolute)
	if !capped.Allowed {
		r.OverCap, r.Note = true, capped.Detail
	}
	if !r.DryRun {
		for i := range r.Findings {
			if i%pageSize == 0 {
				if err := s.lease(ctx); err != nil {
					return err
				}
			}
			s.carryOut(ctx, r, &r.Findings[i])
		}
	}
	now := s.now()
	r.FinishedAt = &now
	e := ra.Event{Actor: actor, Act: "sweep.finish", Object: "sweep/" + r.ID, Clause: "HCA-3.6", Details: s.counts(r)}
	return ra.Act[Tx](ctx, s.store, now, e, func(tx Tx, e *ra.Event) error {
		if r.OverCap {
			e.Outcome, e.Code = ra.OutcomeRefused, capped.Code
		}
		return tx.SaveRun(*r)
	})
}
