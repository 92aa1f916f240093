package window

import (
	"context"
	"fmt"
	"time"

	"certwindow/policy"
	"certwindow/ra/settings"
	"certwindow/ra/store"
)

// openSettings reads the limits that two persons have decided on. What the configuration says of one is where the
// window started, and holds until then (HCA-9).
func (w *Window) openSettings(ctx context.Context) error {
	c, seconds := w.Config, func(d time.Duration) int64 { return int64(d / time.Second) }
	start := policy.Settings{
		policy.Idle:            seconds(time.Duration(c.Limits.Idle)),
		policy.MessageTextLife: seconds(time.Duration(c.Limits.MessageLife)),
		policy.KeyLife:         seconds(time.Duration(c.Limits.KeyLife)),
		policy.SweepPercent:    int64(c.Sweep.CapPercent),
		policy.SweepAbsolute:   int64(c.Sweep.CapAbsolute),
	}
	if c.Card.PINOnPage {
		start[policy.PINOnPage] = 1
	}
	w.Settings = settings.New(store.SettingsStore{Store: w.Store}, start, w.now)
	if err := w.Settings.Refresh(ctx); err != nil {
		return fmt.Errorf("the settings cannot be read: run certwindow migrate up: %w", err)
	}
	return nil
}

// keepSettings brings what other replicas' staff decided into force here.
func (w *Window) keepSettings(ctx context.Context) {
	w.Settings.Keep(ctx, func(err error) {
		w.Log.Warn("the settings could not be read; those read last hold", "cause", err.Error())
	})
}
