package api

import (
	"context"
	"regexp"

	"certwindow/devices"
	"certwindow/ra"
)

// Pushes keep by what apps are woken; devices.Service does.
type Pushes interface {
	RegisterPush(ctx context.Context, actor ra.Actor, d devices.Device, service string, token ra.PushToken) error
	RemovePush(ctx context.Context, actor ra.Actor, d devices.Device) error
}

// maxToken is more than any service's token has, in bytes.
const maxToken = 4096

var (
	serviceForm = regexp.MustCompile(`^[a-z0-9-]{1,16}$`)
	tokenForm   = regexp.MustCompile(`^[!-~]+$`)
)

// registerPush takes by what the app is woken, in place of what it brought before.
func (c *call) registerPush() (answer, error) {
	var b struct {
		Service string `json:"service"`
		Token   string `json:"token"`
	}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	if !serviceForm.MatchString(b.Service) || len(b.Token) > maxToken || !tokenForm.MatchString(b.Token) {
		return answer{}, malformed("push-token", "A push token is up to 4096 visible characters, of a service with a short name. Nothing was changed.")
	}
	if c.api.Pushes == nil {
		return answer{}, ra.Errorf(ra.KindConflict, "no-push", nil, "This window wakes no apps. Nothing was kept; let a question for events stand while the app is open.")
	}
	return c.nothing(c.api.Pushes.RegisterPush(c.ctx(), c.actor(), c.device, b.Service, ra.PushToken(b.Token)))
}

// removePush forgets it.
func (c *call) removePush() (answer, error) {
	var b struct{}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	if c.api.Pushes == nil {
		return c.nothing(nil)
	}
	return c.nothing(c.api.Pushes.RemovePush(c.ctx(), c.actor(), c.device))
}
