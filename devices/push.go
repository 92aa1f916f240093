package devices

import (
	"context"

	"certwindow/ra"
)

// PushTx keeps by what apps are woken. Tokens are sealed (HCA-8.1.5).
type PushTx interface {
	SavePush(p ra.Push) error
	// DeletePush deletes a device's; where a token is given, only one with that token.
	DeletePush(id ra.DeviceID, token ra.PushToken) error
	Pushes(id ra.DeviceID, person ra.PersonID) ([]ra.Push, error)
}

// RegisterPush puts a token in place of the one before. It ends with the device's binding.
func (s *Service) RegisterPush(ctx context.Context, actor ra.Actor, d Device, service string, token ra.PushToken) error {
	return s.onBinding(ctx, actor, d, "device.push", map[string]string{"service": service}, func(tx Tx) error {
		return tx.SavePush(ra.Push{Device: d.ID, Generation: d.Generation, Service: service, Token: token})
	})
}

// RemovePush forgets the token of a device.
func (s *Service) RemovePush(ctx context.Context, actor ra.Actor, d Device) error {
	return s.onBinding(ctx, actor, d, "device.push-remove", nil, func(tx Tx) error { return tx.DeletePush(d.ID, "") })
}

// onBinding runs one change that is the device's own, if it still is bound as it was.
func (s *Service) onBinding(ctx context.Context, actor ra.Actor, d Device, act string, details map[string]string, fn func(Tx) error) error {
	return s.onDevice(ctx, actor, d.ID, act, details, func(tx Tx, now Device) error {
		if now.State != ra.DeviceBound || now.Generation != d.Generation {
			return ra.Refuse("HCA-7.3", "device-not-bound", "The device is not bound any more. Nothing was changed; bind it at the counter.", nil)
		}
		return fn(tx)
	})
}

// Pushes are those of a device, or of all devices of a person, whose binding stands.
func (s *Service) Pushes(ctx context.Context, device ra.DeviceID, person ra.PersonID) (out []ra.Push, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Pushes(device, person)
		return err
	})
	return out, err
}

// ForgetPush deletes one that its service does not know any more, unless the app has brought another meanwhile.
func (s *Service) ForgetPush(ctx context.Context, p ra.Push) error {
	actor := ra.Actor{Kind: ra.ActorSystem, ID: "push"}
	return s.act(ctx, actor, "device.push-gone", "device/"+string(p.Device), "", nil, func(tx Tx) error { return tx.DeletePush(p.Device, p.Token) })
}
