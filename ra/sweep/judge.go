package sweep

import (
	"context"
	"strconv"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/exchange"
)

// What the sweep finds beside the grounds of HCA-5.2.2.
const (
	foundExpired = "expired"
	foundRevoked = "revoked-at-hca"
)

func isGround(what string) bool {
	_, ok := policy.GroundOf(what)
	return ok
}

// judge says what is to be done about a certificate, empty when nothing is.
func (s *Service) judge(tx Tx, c ra.Certificate, scopes []policy.ApprovedScope) (string, error) {
	if s.now().After(c.NotAfter) {
		return foundExpired, nil
	}
	revoked, err := s.upstream.Revoked(c)
	if err != nil {
		return "", ra.Errorf(ra.KindUnavailable, "crl", err, "The HCA's revocation list is missing or too old, so the sweep cannot judge. It is tried again.")
	}
	if revoked {
		return foundRevoked, nil
	}
	if c.State == ra.CertRevoking {
		return "", nil // decided already, its request is on the way
	}
	return s.ground(tx, c, scopes)
}

// ground finds which ground of HCA-5.2.2 the register proves, if any.
func (s *Service) ground(tx Tx, c ra.Certificate, scopes []policy.ApprovedScope) (string, error) {
	person, err := tx.Person(c.PersonID)
	if err != nil {
		return "", err
	}
	device, err := tx.Device(c.DeviceID, c.PersonID)
	if err != nil {
		return "", err
	}
	institution, err := tx.Institution(c.Institution)
	if err != nil {
		return "", err
	}
	switch {
	case device.State == ra.DeviceLost:
		return "device-lost", nil
	case device.State == ra.DeviceRetired:
		return "device-scrapped", nil
	case device.State == ra.DeviceBroken:
		return "device-broken", nil
	case !person.Active || !person.MemberOf(c.Institution):
		return "person-left", nil
	case !institution.Active:
		return "no-permission", nil
	case !device.IsUser:
		return "no-permission", nil // HCA-4.2: removed from the device's users
	case c.Generation > 0 && (device.Generation != c.Generation || len(device.KeySPKI) == 0):
		return "device-broken", nil // bound anew: the key of the old binding cannot be used any more. An adopted one had none yet
	case !anyScope(c, scopes):
		return "no-permission", nil
	case policy.CarrierGone(device.CarrierGone, s.now()):
		return "carrier-not-allowed", nil // HCA-7.1: as the device itself said when it checked in
	}
	return "", nil
}

// anyScope tells whether one of the certificate's uses is still approved: the ground is that none is.
func anyScope(c ra.Certificate, approved []policy.ApprovedScope) bool {
	for _, code := range c.Scope {
		if policy.Scope([]string{code}, string(c.Institution), approved).Allowed {
			return true
		}
	}
	return false
}

// carryOut does what a finding calls for. A failure is written beside it and keeps nothing else from being done.
func (s *Service) carryOut(ctx context.Context, r *Report, f *Finding) {
	var err error
	switch {
	case f.What == foundExpired:
		f.Action, err = "record", s.expire(ctx, f.Certificate)
	case f.What == foundRevoked:
		f.Action = "record"
		e := ra.Event{Actor: actor, Act: "sweep.revoked-at-hca", Object: "certificate/" + string(f.Certificate), Clause: "HCA-3.6"}
		err = ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
			c, err := tx.Certificate("", f.Certificate)
			if err != nil {
				return err
			}
			e.Institution = c.Institution
			return exchange.Confirm(tx, f.Certificate, s.now())
		})
	case r.OverCap:
		return
	default:
		_, err = s.revoker.Proved(ctx, actor, f.Certificate, f.What, "found by sweep "+r.ID, func() (bool, error) { return s.still(ctx, f) })
		if err == nil && s.begun(ctx, f) {
			f.Action = "revoke"
		}
	}
	if err != nil && ra.KindOf(err) != ra.KindConflict {
		f.Error = ra.AsError(err).Detail
	}
}

// still tells whether a finding holds at this moment.
func (s *Service) still(ctx context.Context, f *Finding) (holds bool, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		c, err := tx.Certificate("", f.Certificate)
		if err != nil {
			return err
		}
		scopes, err := tx.Scopes()
		if err != nil {
			return err
		}
		what, err := s.ground(tx, c, scopes)
		holds = what == f.What
		return err
	})
	return holds, err
}

// begun tells whether a finding's revocation is under way, begun now or before this run was interrupted. What does not
// hold any more is left alone, and the report says so.
func (s *Service) begun(ctx context.Context, f *Finding) (yes bool) {
	err := s.store.View(ctx, func(tx Tx) error {
		c, err := tx.Certificate("", f.Certificate)
		yes = c.StateNote == f.What && (c.State == ra.CertRevoking || c.State == ra.CertRevoked)
		return err
	})
	return err == nil && yes
}

// expire records that a certificate ran out and frees its slot (HCA-7.5).
func (s *Service) expire(ctx context.Context, id ra.CertificateID) error {
	e := ra.Event{Actor: actor, Act: "certificate.expire", Object: "certificate/" + string(id), Clause: "HCA-7.2"}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		c, err := tx.Certificate("", id)
		if err != nil {
			return err
		}
		from := c.State
		if c.State, err = ra.NextCertificate(from, ra.CertExpire, c.NotAfter, s.now()); err != nil {
			return err
		}
		c.UpdatedAt, e.Institution = s.now(), c.Institution
		if err := tx.UpdateCertificate(c, from); err != nil {
			return err
		}
		a, err := tx.Application("", c.ApplicationID)
		if err != nil {
			return err
		}
		a.Slot, a.UpdatedAt = nil, s.now()
		if err := tx.UpdateApplication(a, a.State); err != nil {
			return err
		}
		return tx.DeleteHolderKey(c.ApplicationID)
	})
}

func (s *Service) counts(r *Report) map[string]string {
	revoked := 0
	for _, f := range r.Findings {
		if f.Action == "revoke" {
			revoked++
		}
	}
	return map[string]string{"looked_at": strconv.Itoa(r.Looked), "found": strconv.Itoa(len(r.Findings)), "revoked": strconv.Itoa(revoked),
		"dry_run": strconv.FormatBool(r.DryRun)}
}
