package notify

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"certwindow/ra"
)

// Pusher has an app look at its window. It says that and nothing more: who, what and how much waits is told to the app alone,
// over its own connection, so that no vendor learns anything of a holder. A vendor's service is one file beside this one, with
// one type that implements it, and one line in cmd/certwindow/window/push.go.
type Pusher interface {
	// Wake wakes the app once. ErrTokenGone means that it is not there any more, any other error that it may be tried again.
	Wake(ctx context.Context, p ra.Push) error
}

// ErrTokenGone says that an app was removed, or has another token by now.
var ErrTokenGone = errors.New("notify: the push token is gone")

// GatewayPush wakes apps through a hospital's own gateway, as a signed webhook.
type GatewayPush struct{ gateway *Gateway }

// NewGatewayPush makes one; nothing is connected yet. The client decides whom it trusts.
func NewGatewayPush(url string, secret []byte, client *http.Client, now func() time.Time) *GatewayPush {
	return &GatewayPush{NewGateway(url, secret, client, now)}
}

// Wake implements Pusher: 410 says that the token is gone (RFC 9110 section 15.5.11).
func (g *GatewayPush) Wake(ctx context.Context, p ra.Push) error {
	body, err := json.Marshal(map[string]string{"type": "wake", "service": p.Service, "token": p.Token.Reveal()})
	if err != nil {
		return err
	}
	status, err := g.gateway.post(ctx, rand.Text(), body)
	switch {
	case err != nil:
		return err
	case status == http.StatusGone:
		return ErrTokenGone
	case status/100 != 2:
		return fmt.Errorf("notify: the push gateway answered %d", status)
	}
	return nil
}

// Pushes are the registered ones; devices.Service has them.
type Pushes interface {
	// Pushes are those of a device, or of all devices of a person, whose binding stands.
	Pushes(ctx context.Context, device ra.DeviceID, person ra.PersonID) ([]ra.Push, error)
	// ForgetPush deletes one whose token is gone, unless the app has brought another meanwhile.
	ForgetPush(ctx context.Context, p ra.Push) error
}

// Waker wakes the phones that something waits for.
type Waker struct {
	pushes Pushes
	pusher Pusher
}

// NewWaker wires the use case.
func NewWaker(pushes Pushes, pusher Pusher) *Waker { return &Waker{pushes, pusher} }

// Wake wakes a device, or the devices of a person. All are tried; an error means that one of them should be again.
func (w *Waker) Wake(ctx context.Context, device ra.DeviceID, person ra.PersonID) error {
	list, err := w.pushes.Pushes(ctx, device, person)
	if err != nil {
		return err
	}
	var failed error
	for _, p := range list {
		err := w.pusher.Wake(ctx, p)
		if errors.Is(err, ErrTokenGone) {
			err = w.pushes.ForgetPush(ctx, p)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
