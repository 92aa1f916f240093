package devices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"certwindow/ra"
)

// seenEvery is how often it is written down that a device was heard of.
const seenEvery = time.Minute

// Seen writes down that the device was heard of just now, at most once a minute. It is not an act, so the audit
// log has no row of it.
func (s *Service) Seen(ctx context.Context, d Device) error {
	now := s.now()
	if d.LastSeenAt != nil && now.Sub(*d.LastSeenAt) < seenEvery {
		return nil
	}
	return s.store.Update(ctx, func(tx Tx) error { return tx.Seen(d.ID, now) })
}

// BindingOfKey is a binding by its id, for a caller who says that he holds the key that was presented in it.
// The caller is not believed yet: the binding's KeySPKI is there to verify his signature with.
func (s *Service) BindingOfKey(ctx context.Context, id, keyHash string) (b Binding, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if b, err = tx.Binding(id); err != nil {
			return err
		}
		if len(b.KeySPKI) == 0 || ra.KeyHash(b.KeySPKI) != keyHash {
			b = Binding{}
			return notFound("binding")
		}
		return nil
	})
	return b, err
}

// Certify issues the certificate by which a bound device comes to the window over mutual TLS (HCA-6.3.6), and writes
// down that it did. Nothing is handed out without its row. The device brings its continuity value as at a check-in, and
// gets the next: who has copied its key alone gets no certificate and is found out (HCA-7.3; see Continue).
func (s *Service) Certify(ctx context.Context, actor ra.Actor, d Device, brought string, issue func(ra.DeviceID, int, []byte) ([]byte, error)) (der []byte, next string, err error) {
	if next, err = s.Continue(ctx, actor, d, brought); err != nil {
		return nil, "", err
	}
	if der, err = issue(d.ID, d.Generation, d.KeySPKI); err != nil {
		return nil, "", ra.Errorf(ra.KindUnavailable, "device-certificate", err, "The device's certificate could not be made. Nothing was changed; try again.")
	}
	sum := sha256.Sum256(der)
	err = s.act(ctx, actor, "device.certify", "device/"+string(d.ID), d.Institution, map[string]string{"sha256": hex.EncodeToString(sum[:])}, func(tx Tx) error {
		now, err := tx.Device(d.Institution, d.ID)
		if err != nil {
			return err
		}
		if now.State != ra.DeviceBound || now.Generation != d.Generation {
			return ra.Refuse("HCA-7.3", "device-not-bound", "The device is not bound any more. Nothing was issued; bind it at the counter.", nil)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return der, next, nil
}
