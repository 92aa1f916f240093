package devices

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"

	"certwindow/ra"
)

// Offer is what the QR on the counter's screen holds. Code is shown once and stored hashed.
type Offer struct {
	Binding Binding
	Code    string // base64url, 32 random bytes
}

// OfferBinding begins the binding of a phone to a registered device: a one-time code for the QR, good for an
// hour and one use. An offer that was made before for the device is taken back.
func (s *Service) OfferBinding(ctx context.Context, actor ra.Actor, id ra.DeviceID) (Offer, error) {
	raw := make([]byte, 32)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		return Offer{}, err
	}
	bid, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return Offer{}, err
	}
	code := base64.RawURLEncoding.EncodeToString(raw)
	b := Binding{ID: bid, Device: id, State: BindingOffered, OfferedAt: s.now(), ExpiresAt: s.now().Add(BindingLife)}
	err = s.onDevice(ctx, actor, id, "device.bind-offer", map[string]string{"binding": bid}, func(tx Tx, d Device) error {
		if _, err := ra.NextDevice(d.State, ra.DeviceBind); err != nil {
			return err
		}
		if old, ok, err := tx.LatestBinding(id); err != nil {
			return err
		} else if ok && (old.State == BindingOffered || old.State == BindingPresented) {
			was := old.State
			old.State = BindingRejected
			if err := tx.UpdateBinding(old, was, actor.ID, s.now()); err != nil {
				return err
			}
		}
		return tx.InsertBinding(b, codeHash(code), actor.ID)
	})
	if err != nil {
		return Offer{}, err
	}
	return Offer{Binding: b, Code: code}, nil
}

// ShortCode is the six digits that both screens show. It covers the QR's secret, the window's keys as the QR names them, and
// the phone's key: a second phone that photographed the QR shows other digits, and so does a phone that a forged QR led to a
// server in between or to another status key, since the window knows its own keys alone.
func ShortCode(code string, window WindowKeys, spki []byte) string {
	h := sha256.New()
	io.WriteString(h, "certwindow binding v2\x00"+code+"\x00"+window.Pin+"\x00"+window.Status+"\x00")
	h.Write(spki)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(h.Sum(nil)[:8])%1_000_000)
}

// PresentBinding is the phone's half: the code it read and the key it made. The code is used up; nothing is
// bound until the clerk has compared the short codes. window is what the server that was asked knows of itself (see
// BindText). The caller has proved that the phone holds the key. proof is what the platform says of it, nil when nothing was sent.
func (s *Service) PresentBinding(ctx context.Context, actor ra.Actor, code string, window WindowKeys, spki []byte, client string, proof *ra.Attestation) (Binding, error) {
	var b Binding
	err := s.act(ctx, actor, "device.bind-present", "device-key/"+ra.KeyHash(spki), "", nil, func(tx Tx) error {
		var err error
		if b, err = tx.BindingByCode(codeHash(code)); err != nil {
			return err
		}
		now := s.now()
		if b.State != BindingOffered || !now.Before(b.ExpiresAt) {
			return ra.Refuse("HCA-8.1.4", "binding-code-used", "This code was used already, taken back, or is too old. Nothing was bound; ask the counter for a new one.", nil)
		}
		if other, err := tx.DeviceByKey(ra.KeyHash(spki)); err == nil && other.ID != b.Device {
			return ra.Refuse("HCA-4.1", "key-bound-elsewhere", "This key belongs to another registered device. Nothing was bound; make a new key.", nil)
		} else if err != nil && ra.KindOf(err) != ra.KindNotFound {
			return err
		}
		b.State, b.KeySPKI, b.Client, b.PresentedAt = BindingPresented, spki, client, &now
		b.ShortCode = ShortCode(code, window, spki)
		if err := s.judgeDeviceKey(tx, &b, code, proof); err != nil {
			return err
		}
		return tx.UpdateBinding(b, BindingOffered, "", now)
	})
	return b, err
}

// Binding is the latest attempt to bind the device, for the clerk's screen.
func (s *Service) Binding(ctx context.Context, actor ra.Actor, id ra.DeviceID) (b Binding, found bool, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if _, err := tx.Device(actor.Institution, id); err != nil {
			return err
		}
		b, found, err = tx.LatestBinding(id)
		return err
	})
	return b, found, err
}

// ConfirmBinding binds the phone's key to the device, when the clerk says that both screens show the same
// code. What was begun under an earlier binding is void (HCA-6.0).
func (s *Service) ConfirmBinding(ctx context.Context, actor ra.Actor, id ra.DeviceID, binding, shortCode string) error {
	return s.onDevice(ctx, actor, id, "device.bind", map[string]string{"binding": binding}, func(tx Tx, d Device) error {
		b, err := tx.Binding(binding)
		if err != nil {
			return err
		}
		now := s.now()
		if b.Device != id || b.State != BindingPresented || !now.Before(b.ExpiresAt) {
			return ra.Errorf(ra.KindConflict, "binding-moved-on", nil, "This binding is not waiting for a confirmation any more. Nothing was bound; begin again.")
		}
		if subtle.ConstantTimeCompare([]byte(shortCode), []byte(b.ShortCode)) != 1 {
			return ra.Refuse("HCA-8.1.3", "short-code-differs", "The two screens do not show the same code. Nothing was bound; begin again with a new QR.", nil)
		}
		from := d.State
		if d.State, err = ra.NextDevice(from, ra.DeviceBind); err != nil {
			return err
		}
		d.Generation++
		d.KeySPKI, d.KeyHash, d.CopiedAt = b.KeySPKI, ra.KeyHash(b.KeySPKI), nil
		if err := tx.UpdateDevice(d, from); err != nil {
			return err
		}
		b.State = BindingConfirmed
		if err := tx.UpdateBinding(b, BindingPresented, actor.ID, now); err != nil {
			return err
		}
		if err := tx.StartSweep(); err != nil {
			return err
		}
		return tx.DeviceBound(id, now) // last, since it takes the log's end: who holds that waits for nobody's sweep
	})
}

// RejectBinding ends an attempt, whatever the phone did.
func (s *Service) RejectBinding(ctx context.Context, actor ra.Actor, id ra.DeviceID, binding string) error {
	return s.onDevice(ctx, actor, id, "device.bind-reject", map[string]string{"binding": binding}, func(tx Tx, d Device) error {
		b, err := tx.Binding(binding)
		if err != nil {
			return err
		}
		if b.Device != id || (b.State != BindingOffered && b.State != BindingPresented) {
			return ra.Errorf(ra.KindConflict, "binding-moved-on", nil, "This binding has been decided already. Nothing was changed.")
		}
		was := b.State
		b.State = BindingRejected
		return tx.UpdateBinding(b, was, actor.ID, s.now())
	})
}

// DeviceByKey finds the bound device that a request's signing key belongs to.
func (s *Service) DeviceByKey(ctx context.Context, keyHash string) (d Device, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		d, err = tx.DeviceByKey(keyHash)
		return err
	})
	return d, err
}

func codeHash(code string) []byte {
	sum := sha256.Sum256([]byte("certwindow binding code\x00" + code))
	return sum[:]
}

func notFound(what string) error {
	return ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such %s, or none that you may see.", what)
}
