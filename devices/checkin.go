package devices

import (
	"context"
	"time"

	"certwindow/policy"
	"certwindow/ra"
)

// CheckIn is what a device says of itself (HCA-7.1, HCA-8.2.1). It is the app's own word, signed by the device's key.
type CheckIn struct {
	Generation     int // of the binding under which it was said
	OSVersion      string
	App            string // bundle or package id
	AppVersion     string
	CarrierPresent bool // what the certificates are installed on is in the device
	Integrity      Integrity
	FirstAt        time.Time // when it said exactly this for the first time
	LastAt         time.Time // and when last
}

// Integrity is what the app found of the device that it runs on (HCA-6.1).
type Integrity struct {
	Rooted     bool
	Debugged   bool
	Emulated   bool
	ScreenLock bool
}

// Tampered tells whether the app's own protection of a key cannot be relied on there.
func (i Integrity) Tampered() bool { return i.Rooted || i.Debugged || i.Emulated }

// same tells whether two say the same.
func (c CheckIn) same(o CheckIn) bool {
	c.FirstAt, c.LastAt, o.FirstAt, o.LastAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return c == o
}

// CheckInTx is what a transaction on the register reads and writes of check-ins.
type CheckInTx interface {
	// CheckIns are a device's latest changes, newest first.
	CheckIns(id ra.DeviceID, limit int) ([]CheckIn, error)
	// ChangesSince counts a device's changes.
	ChangesSince(id ra.DeviceID, since time.Time) (int, error)
	// InsertCheckIn adds a change, RepeatCheckIn that the latest was said again.
	InsertCheckIn(id ra.DeviceID, c CheckIn) error
	RepeatCheckIn(id ra.DeviceID, at time.Time) error
	// AppFacts is which app the device last said to run, and what the rules must know of it.
	AppFacts(id ra.DeviceID) (ra.AppFacts, error)
}

// maxChanges is how many changes of what it says a device may make in a day: an honest one makes a few, and each is a
// row that is kept and audited.
const maxChanges = 50

// CheckIn writes down what a device says of itself, and returns what the window makes of it: the facts, and whether
// they let it use certificates at all. A change is audited; the same said again is not an act.
func (s *Service) CheckIn(ctx context.Context, actor ra.Actor, d Device, c CheckIn) (facts ra.AppFacts, err error) {
	now := s.now()
	c.Generation, c.FirstAt, c.LastAt = d.Generation, now, now
	repeated := false
	err = s.store.Update(ctx, func(tx Tx) error {
		if _, err := tx.Device(d.Institution, d.ID); err != nil { // its row is locked: two at once go one after the other
			return err
		}
		last, err := tx.CheckIns(d.ID, 1)
		if err != nil {
			return err
		}
		if repeated = len(last) == 1 && last[0].same(c); !repeated {
			return nil
		}
		if err := tx.RepeatCheckIn(d.ID, now); err != nil {
			return err
		}
		facts, err = tx.AppFacts(d.ID)
		return err
	})
	if err != nil || repeated {
		return facts, err
	}
	e := ra.Event{Actor: actor, Act: "device.check-in", Object: "device/" + string(d.ID), Institution: d.Institution}
	err = ra.Act[Tx](ctx, s.store, now, e, func(tx Tx, e *ra.Event) error {
		if _, err := tx.Device(d.Institution, d.ID); err != nil {
			return err
		}
		n, err := tx.ChangesSince(d.ID, now.Add(-24*time.Hour))
		if err != nil {
			return err
		}
		if n >= maxChanges {
			return ra.Errorf(ra.KindTooMany, "check-in-changes", nil, "This device has said something else of itself too often today. Nothing was written down; ask the counter.")
		}
		if err := tx.InsertCheckIn(d.ID, c); err != nil {
			return err
		}
		if facts, err = tx.AppFacts(d.ID); err != nil {
			return err
		}
		verdict := policy.AppOnDevice(facts.Rule)
		e.Clause, e.Code = verdict.Clause, verdict.Code
		e.Details = map[string]string{"app": c.App, "version": c.AppVersion, "system": c.OSVersion, "app-state": facts.Rule.State}
		return nil
	})
	return facts, err
}

// CheckIns are the latest changes of what a device said of itself, newest first.
func (s *Service) CheckIns(ctx context.Context, actor ra.Actor, id ra.DeviceID) (out []CheckIn, facts ra.AppFacts, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if _, err := tx.Device(actor.Institution, id); err != nil {
			return err
		}
		if facts, err = tx.AppFacts(id); err != nil {
			return err
		}
		out, err = tx.CheckIns(id, 20)
		return err
	})
	return out, facts, err
}
