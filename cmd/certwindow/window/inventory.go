package window

import (
	"context"
	"errors"

	"certwindow/ra/sweep"
)

// Inventory looks at every certificate that counts as valid: the sweep revokes what meets a ground (HCA-3.6), and the
// holders of those that end soon are told (HCA-3.4). A dry run does neither. The reminders do not wait for a sweep that
// another replica is at, or that fails.
func (w *Window) Inventory(ctx context.Context, dry bool) (sweep.Report, error) {
	report, err := w.Sweep.Run(ctx, dry)
	if dry {
		return report, err
	}
	told, unreminded := w.Renew.Remind(ctx)
	if told > 0 {
		w.Log.Info("holders were told of certificates that end soon", "certificates", told)
	}
	return report, errors.Join(err, unreminded)
}
