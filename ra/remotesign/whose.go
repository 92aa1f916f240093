package remotesign

import (
	"context"

	"certwindow/ra"
)

// Whose is the holder whose decision an authorisation waits for on a device: on a shared one nobody else decides it
// (HCA-7.4).
func (s *Service) Whose(ctx context.Context, device ra.DeviceID, id AuthorisationID) (person ra.PersonID, err error) {
	err = s.Store.View(ctx, func(tx Tx) error {
		a, err := ofDevice(tx, device, id)
		person = a.Person
		return err
	})
	return person, err
}
