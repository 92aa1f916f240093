package devices

import (
	"context"
	"fmt"
	"strings"

	"certwindow/policy"
	"certwindow/ra"
)

// NewDevice is what a clerk registers (HCA-4.1).
type NewDevice struct {
	Code        string // the hospital's asset or serial code, unique in the window
	Institution ra.InstitutionCode
	Platform    ra.Platform
	Model       string
	Shared      bool
	Users       []ra.PersonID
}

// RegisterDevice registers a device and its users. A code that is taken, a platform other than iOS or
// Android, or several users on a device that is not shared, is refused.
func (s *Service) RegisterDevice(ctx context.Context, actor ra.Actor, n NewDevice) (ra.DeviceID, error) {
	id, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return "", err
	}
	d := Device{ID: ra.DeviceID(id), Code: strings.TrimSpace(n.Code), Institution: n.Institution, Platform: n.Platform, Model: n.Model,
		Shared: n.Shared, State: ra.DeviceRegistered, CreatedAt: s.now()}
	err = s.act(ctx, actor, "device.register", "device/"+id, n.Institution, map[string]string{"platform": string(n.Platform)}, func(tx Tx) error {
		if actor.Institution != "" && actor.Institution != n.Institution {
			return forbidden()
		}
		if !n.Shared && len(n.Users) > 1 {
			return ra.Refuse("HCA-4.1", "not-shared", "Only a device registered as shared may have several users. Nothing was registered.", nil)
		}
		if _, err := tx.Institution(n.Institution); err != nil {
			return err
		}
		if err := s.insertDevice(tx, d); err != nil {
			return err
		}
		for _, p := range n.Users {
			if err := s.addUser(tx, actor, d, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return d.ID, nil
}

// insertDevice registers a device whose platform and texts are in order (HCA-2.1, HCA-4.1).
func (s *Service) insertDevice(tx Tx, d Device) error {
	if err := ra.Refused(policy.Platform(string(d.Platform))); err != nil {
		return err
	}
	if err := checkText("code", d.Code, 64); err != nil {
		return err
	}
	if err := checkText("model", d.Model, 64); err != nil {
		return err
	}
	return tx.InsertDevice(d)
}

// Device is one device with its users, open and closed.
func (s *Service) Device(ctx context.Context, actor ra.Actor, id ra.DeviceID) (d Device, users []User, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if d, err = tx.Device(actor.Institution, id); err != nil {
			return err
		}
		users, err = tx.Users(id)
		return err
	})
	return d, users, err
}

// Devices lists a page of devices in the order of their ids.
func (s *Service) Devices(ctx context.Context, actor ra.Actor, q DeviceQuery) (out []Device, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	q.Limit = pageSize(q.Limit)
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Devices(q)
		return err
	})
	return out, err
}

// CountDevices counts those that a query finds and the actor may see: exactly, or ra.CountUpTo and one more.
func (s *Service) CountDevices(ctx context.Context, actor ra.Actor, q DeviceQuery) (n int, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	err = s.store.View(ctx, func(tx Tx) error {
		n, err = tx.CountDevices(q)
		return err
	})
	return n, err
}

// AddUser registers one more user of a shared device, or the only one of another (HCA-4.2).
func (s *Service) AddUser(ctx context.Context, actor ra.Actor, id ra.DeviceID, person ra.PersonID) error {
	return s.onDevice(ctx, actor, id, "device.user-add", map[string]string{"person": string(person)}, func(tx Tx, d Device) error {
		return s.addUser(tx, actor, d, person)
	})
}

func (s *Service) addUser(tx Tx, actor ra.Actor, d Device, person ra.PersonID) error {
	p, err := tx.Person(d.Institution, person)
	if err != nil {
		return err
	}
	users, err := tx.Users(d.ID)
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.RemovedAt != nil {
			continue
		}
		if u.Person == p.ID {
			return ra.Errorf(ra.KindConflict, "user-exists", nil, "This person is a user of the device already. Nothing was changed.")
		}
		if !d.Shared {
			return errNotShared
		}
	}
	return tx.AddUser(d.ID, User{Person: p.ID, AddedAt: s.now(), AddedBy: actor.ID})
}

// RemoveUser ends a person's use of a device; the sweep is started, since the person's certificates on that
// device must be revoked (HCA-4.2).
func (s *Service) RemoveUser(ctx context.Context, actor ra.Actor, id ra.DeviceID, person ra.PersonID) error {
	return s.onDevice(ctx, actor, id, "device.user-remove", map[string]string{"person": string(person)}, func(tx Tx, d Device) error {
		if err := tx.RemoveUser(id, person, actor.ID, s.now()); err != nil {
			return err
		}
		return tx.StartSweep()
	})
}

// Report records what became of a device: lost, found, broken, repaired, retired. What that means for the
// certificates on it is found by the sweep, which is started; they are unusable from now on (HCA-7.2).
func (s *Service) Report(ctx context.Context, actor ra.Actor, id ra.DeviceID, event ra.DeviceEvent) error {
	return s.onDevice(ctx, actor, id, "device."+string(event), nil, func(tx Tx, d Device) error {
		switch event {
		case ra.DeviceLose, ra.DeviceFind, ra.DeviceBreak, ra.DeviceRepair, ra.DeviceRetire, ra.DeviceUnbind:
		default:
			return ra.Errorf(ra.KindMalformed, "device-event", nil, "This cannot be reported of a device. Nothing was changed.")
		}
		from := d.State
		next, err := ra.NextDevice(from, event)
		if err != nil {
			return err
		}
		d.State = next
		if next == ra.DeviceRegistered {
			d.KeySPKI, d.KeyHash = nil, ""
		}
		if err := tx.UpdateDevice(d, from); err != nil {
			return err
		}
		return tx.StartSweep()
	})
}

// onDevice runs one change of a device that the actor may see, with its audit row.
func (s *Service) onDevice(ctx context.Context, actor ra.Actor, id ra.DeviceID, act string, details map[string]string, fn func(Tx, Device) error) error {
	return s.act(ctx, actor, act, fmt.Sprintf("device/%s", id), actor.Institution, details, func(tx Tx) error {
		d, err := tx.Device(actor.Institution, id)
		if err != nil {
			return err
		}
		return fn(tx, d)
	})
}
