package enrol

import (
	"slices"

	"certwindow/policy"
	"certwindow/ra"
)

// mayRenew judges an application that is to renew a certificate; any other passes.
func (s *Service) mayRenew(tx Tx, f facts, a ra.Application) error {
	if a.Renews == "" {
		return nil
	}
	c, err := tx.Certificate(a.Institution, a.Renews)
	if err != nil {
		return err
	}
	others, err := tx.Renewals([]ra.CertificateID{c.ID})
	if err != nil {
		return err
	}
	begun := slices.ContainsFunc(others, func(r ra.Renewal) bool { return r.Application != a.ID && r.Begun() })
	return ra.Refused(policy.Renewal(policy.RenewalFacts{Live: c.State == ra.CertLive, NotAfter: c.NotAfter, SamePerson: c.PersonID == a.PersonID,
		SameDevice: c.DeviceID == a.DeviceID && c.Generation == f.device.Generation, Begun: begun}, s.now()))
}
