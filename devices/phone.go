package devices

import (
	"context"
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
