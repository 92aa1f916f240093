package api

import (
	"context"
	"time"

	"certwindow/policy"
	"certwindow/ra"
)

// Renewals tell which certificates are renewed, and by what; renew.Service does.
type Renewals interface {
	Renewals(ctx context.Context, of []ra.CertificateID) (map[ra.CertificateID]ra.Renewal, error)
}

// due are those of a holder's certificates that it is time to renew, with the time by which the next one should be
// there. One that a newer certificate has followed is not: the app uses the newer (HCA-7.2).
func (c *call) due(list []ra.Certificate) (map[ra.CertificateID]time.Time, error) {
	out := map[ra.CertificateID]time.Time{}
	var ids []ra.CertificateID
	for _, x := range list {
		if by, due := policy.RenewBy(x.NotAfter, c.api.Now()); due && x.State == ra.CertLive {
			out[x.ID] = by
			ids = append(ids, x.ID)
		}
	}
	renewals, err := c.api.Renewals.Renewals(c.ctx(), ids)
	for id, r := range renewals {
		if r.Done() {
			delete(out, id)
		}
	}
	return out, err
}

// linked writes into lines which certificate follows which.
func (c *call) linked(lines []certificate) error {
	ids := make([]ra.CertificateID, 0, len(lines))
	at := map[ra.CertificateID]int{}
	for i, l := range lines {
		ids = append(ids, l.Certificate)
		at[l.Certificate] = i
	}
	renewals, err := c.api.Renewals.Renewals(c.ctx(), ids)
	for of, r := range renewals {
		if !r.Done() {
			continue
		}
		lines[at[of]].RenewedBy = r.Certificate
		if i, there := at[r.Certificate]; there {
			lines[i].Renews = of
		}
	}
	return err
}
