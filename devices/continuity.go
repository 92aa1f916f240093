package devices

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"time"

	"certwindow/ra"
)

// Continuity is what a device has to hand on from one check-in to the next, so that two copies of it cannot both go on
// (HCA-7.3). The window keeps hashes alone.
type Continuity struct {
	Generation int       // of the binding
	Presented  []byte    // hash of the last value that the device brought; nil: none yet
	Issued     []byte    // hash of the one that it got for it
	At         time.Time // of the last check-in
}

// ContinuityTx is what a transaction on the register reads and writes of it.
type ContinuityTx interface {
	// Continuity is a device's; false while there is none.
	Continuity(id ra.DeviceID) (Continuity, bool, error)
	SaveContinuity(id ra.DeviceID, c Continuity) error
	// Notice tells a person of what concerns him (HCA-3.4).
	Notice(person ra.PersonID, kind ra.NoticeKind, object string) error
}

// Continue takes the value that a device got at its last check-in and gives the next. The value before counts as well
// for as long as the newer one was not brought: then the answer was lost. Any other means that two copies of the device
// go on from the same point, or that one went back in time. Nobody can tell which of them is the holder's, so that the
// device is unbound: nothing is signed or stated for it until it was bound anew, its certificates are revoked by the
// sweep, and its holders are told.
func (s *Service) Continue(ctx context.Context, actor ra.Actor, d Device, brought string) (next string, err error) {
	raw := make([]byte, 32)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		return "", err
	}
	next = base64.RawURLEncoding.EncodeToString(raw)
	copied := false
	err = s.store.Update(ctx, func(tx Tx) error {
		copied = false
		if _, err := tx.Device(d.Institution, d.ID); err != nil { // its row is locked
			return err
		}
		c, known, err := tx.Continuity(d.ID)
		if err != nil {
			return err
		}
		now := Continuity{Generation: d.Generation, Issued: continuityHash(next), At: s.now()}
		if known && c.Generation == d.Generation {
			if now.Presented, copied = c.follow(brought); copied {
				return nil
			}
		}
		return tx.SaveContinuity(d.ID, now)
	})
	if err != nil {
		return "", err
	}
	if !copied {
		return next, nil
	}
	if err := s.unbindCopied(ctx, actor, d); err != nil {
		return "", err
	}
	return "", ra.Refuse("HCA-7.3", "device-copied", "Two copies of this device's key are in use, or it was set back to an earlier state. The device is unbound and its certificates are revoked; bind it anew at the counter.", nil)
}

// follow tells what the device has brought by now, and whether that cannot be.
func (c Continuity) follow(brought string) (presented []byte, copied bool) {
	if brought == "" {
		return nil, c.Presented != nil
	}
	hash := continuityHash(brought)
	return hash, !bytes.Equal(hash, c.Issued) && !bytes.Equal(hash, c.Presented)
}

// unbindCopied takes the device's binding away and tells those who use it. It is an act of its own, so that the refusal
// does not undo it.
func (s *Service) unbindCopied(ctx context.Context, actor ra.Actor, d Device) error {
	e := ra.Event{Actor: actor, Act: "device.copied", Object: "device/" + string(d.ID), Institution: d.Institution, Clause: "HCA-7.3", Code: "device-copied"}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, _ *ra.Event) error {
		now, err := tx.Device(d.Institution, d.ID)
		if err != nil {
			return err
		}
		if now.State != ra.DeviceBound || now.Generation != d.Generation {
			return nil // unbound or bound anew meanwhile
		}
		from := now.State
		if now.State, err = ra.NextDevice(from, ra.DeviceUnbind); err != nil {
			return err
		}
		at := s.now()
		now.KeySPKI, now.KeyHash, now.CopiedAt = nil, "", &at
		if err := tx.UpdateDevice(now, from); err != nil {
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
			if err := tx.Notice(u.Person, ra.NoticeDevice, "device/"+string(d.ID)); err != nil {
				return err
			}
		}
		return tx.StartSweep()
	})
}

func continuityHash(value string) []byte {
	sum := sha256.Sum256([]byte("certwindow continuity\x00" + value))
	return sum[:]
}
