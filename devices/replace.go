package devices

import (
	"context"
	"slices"
	"strings"

	"certwindow/ra"
)

// Replacements are what may become of a phone that another takes the place of: each is a ground on which the window
// revokes its certificates (HCA-5.2.2). As it is reported already a phone may be replaced too.
var Replacements = []ra.DeviceEvent{ra.DeviceRetire, ra.DeviceBreak, ra.DeviceLose}

// Replacement is what a clerk says of a new phone that takes the place of an old one.
type Replacement struct {
	Code     string         // of the new device, unique in the window
	Platform ra.Platform    // of the new device
	Model    string         // of the new device
	Event    ra.DeviceEvent // of Replacements: what became of the old one; empty where that was reported before
}

// Replace puts a new device in the place of an old one, in one transaction: the old one is out of use from now on, what
// was begun for it is void and its HSM keys are forgotten, its certificates are revoked by the sweep, which is started;
// the new one is registered for the same users. Nothing moves from the old phone to the new one (HCA-6.1, HCA-6.3.5): it
// is bound, and its holders apply, like any other.
func (s *Service) Replace(ctx context.Context, actor ra.Actor, old ra.DeviceID, r Replacement) (ra.DeviceID, error) {
	id, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return "", err
	}
	details := map[string]string{"by": id, "event": string(r.Event)}
	err = s.onDevice(ctx, actor, old, "device.replace", details, func(tx Tx, d Device) error {
		if err := endReplaced(tx, d, r.Event); err != nil {
			return err
		}
		next := Device{ID: ra.DeviceID(id), Code: strings.TrimSpace(r.Code), Institution: d.Institution, Platform: r.Platform, Model: strings.TrimSpace(r.Model),
			Shared: d.Shared, State: ra.DeviceRegistered, CreatedAt: s.now(), Replaces: old}
		if err := s.insertDevice(tx, next); err != nil {
			return err
		}
		if err := s.sameUsers(tx, actor, d, next); err != nil {
			return err
		}
		e := ra.Event{At: s.now(), Actor: actor, Act: "device.register", Object: "device/" + id, Institution: d.Institution, Outcome: ra.OutcomeDone,
			Details: map[string]string{"platform": string(r.Platform), "replaces": string(old)}}
		if err := tx.Audit(e); err != nil {
			return err
		}
		if err := tx.StartSweep(); err != nil {
			return err
		}
		return tx.DeviceReplaced(old, s.now()) // last, since it takes the log's end: who holds that waits for nobody's sweep
	})
	if err != nil {
		return "", err
	}
	return ra.DeviceID(id), nil
}

// endReplaced takes the old device out of use, once.
func endReplaced(tx Tx, d Device, event ra.DeviceEvent) error {
	taken, err := tx.Devices(DeviceQuery{Replaces: d.ID, Limit: 1})
	if err != nil {
		return err
	}
	if len(taken) > 0 {
		return ra.Errorf(ra.KindConflict, "device-replaced", nil, "Another device took the place of this one already. Nothing was changed.")
	}
	reported := d.State == ra.DeviceLost || d.State == ra.DeviceBroken || d.State == ra.DeviceRetired
	if event == "" && reported {
		return nil
	}
	if !slices.Contains(Replacements, event) {
		return ra.Refuse("HCA-5.2.2", "replacement-reason", "Say what became of the old phone: its certificates are revoked on that ground. Nothing was changed.", nil)
	}
	from := d.State
	if d.State, err = ra.NextDevice(from, event); err != nil {
		return err
	}
	return tx.UpdateDevice(d, from)
}

// sameUsers registers those who use the old device as users of the new one (HCA-4.1).
func (s *Service) sameUsers(tx Tx, actor ra.Actor, old, next Device) error {
	users, err := tx.Users(old.ID)
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.RemovedAt != nil {
			continue
		}
		if err := s.addUser(tx, actor, next, u.Person); err != nil {
			return err
		}
	}
	return nil
}

// ReplacedBy is the device that took the place of this one; false while there is none.
func (s *Service) ReplacedBy(ctx context.Context, actor ra.Actor, id ra.DeviceID) (d Device, found bool, err error) {
	list, err := s.Devices(ctx, actor, DeviceQuery{Replaces: id, Limit: 1})
	if err != nil || len(list) == 0 {
		return d, false, err
	}
	return list[0], true, nil
}
