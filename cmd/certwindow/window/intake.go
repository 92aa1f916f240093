package window

import (
	"crypto/rand"
	"encoding/asn1"
	"time"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra/adopt"
	"certwindow/ra/cardmsg"
	"certwindow/ra/intake"
	"certwindow/ra/store"
)

// openIntake wires what takes tables in.
func (w *Window) openIntake(marks cardmsg.Marks, holder asn1.ObjectIdentifier) {
	certificates := adopt.New(store.AdoptStore{Store: w.Store}, w.Registry, adopt.Config{Issuers: w.issuers(), MaxValidity: time.Duration(w.Config.HCA.MaxValidity), Most: w.Settings.Number(policy.MostCertificates),
		Holder: holder, IsCard: marks.Bears, Revoked: w.Revoked}, w.now, rand.Reader)
	w.Intake = intake.New(store.IntakeStore{Store: w.Store}, map[intake.Kind]intake.Rows{intake.Persons: devices.PersonRows{Service: w.Registry},
		intake.Devices: devices.DeviceRows{Service: w.Registry}, intake.Certificates: certificates,
		intake.Staffing: devices.StaffingRows{Service: w.Registry}}, w.now, rand.Reader)
}

// issuers are the HCA's issuing CAs, DER.
func (w *Window) issuers() (out [][]byte) {
	for _, c := range w.trust.intermediates {
		out = append(out, c.Raw)
	}
	return out
}
