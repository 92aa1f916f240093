package enrol_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// renewing begins an application that renews a certificate.
func (d *desk) renewing(id ra.CertificateID) (ra.Application, error) {
	n := d.form()
	n.Renews = id
	return d.Begin(context.Background(), d.clerk, n)
}

// issued is a certificate of the doctor's on his phone that has so many days left.
func (d *desk) issued(t testing.TB, slot, days int) ra.Certificate {
	t.Helper()
	return d.Issue(t, d.doctor, d.phone, slot, func(c *ra.Certificate) { c.NotAfter = d.Clock.Now().Add(time.Duration(days) * 24 * time.Hour) })
}

// HCA-7.2, HCA-7.3, HCA-7.5: a renewal is of one's own certificate, on the same device, in its last days, and once; what
// holds at the beginning must hold when the card signs. The older and the newer both count.
func TestRenewal(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		old := d.issued(t, 1, 30)
		a, err := d.renewing(old.ID)
		if err != nil {
			t.Fatal(err)
		}
		again, err := d.renewing(old.ID) // nobody signed the first text yet
		if err != nil {
			t.Fatal(err)
		}
		if a, err = d.sign(a); err != nil {
			t.Fatal(err)
		}
		if kept := d.World.Application(t, a.ID); kept.Renews != old.ID {
			t.Errorf("the application renews %q", kept.Renews)
		}
		if got := d.Slots(t, d.doctor); len(got) != 2 {
			t.Errorf("places %v, want the older's and the newer's", got)
		}
		_, err = d.sign(again)
		refusal(t, err, "HCA-7.5", "renewal-begun")
		_, err = d.renewing(old.ID)
		refusal(t, err, "HCA-7.5", "renewal-begun")

		_, err = d.renewing(d.issued(t, 3, 61).ID)
		refusal(t, err, "HCA-7.5", "renewal-too-early")
		other := d.Phone(t, storetest.Window, d.doctor)
		_, err = d.renewing(d.Issue(t, d.doctor, other, 4, func(c *ra.Certificate) { c.NotAfter = d.Clock.Now().Add(time.Hour) }).ID)
		refusal(t, err, "HCA-7.3", "renewal-of-another")
		colleague := d.Doctor(t, "林美麗", "2222000011112222")
		_, err = d.renewing(d.Issue(t, colleague, d.phone, 1, func(c *ra.Certificate) { c.NotAfter = d.Clock.Now().Add(time.Hour) }).ID)
		refusal(t, err, "HCA-7.3", "renewal-of-another")
		_, err = d.renewing(ra.CertificateID(d.ID(t)))
		if ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("a certificate that there is none of: %v", err)
		}

		stopped := d.issued(t, 5, 5)
		b, err := d.renewing(stopped.ID)
		if err != nil {
			t.Fatal(err)
		}
		d.Update(t, func(tx *store.Tx) error {
			from := stopped.State
			stopped.State = ra.CertRevoking
			return tx.UpdateCertificate(stopped, from)
		})
		_, err = d.sign(b)
		if e := ra.AsError(err); e.Code != "renewal-of-ended" && e.Code != "limit-reached" {
			t.Errorf("signed for a certificate that was revoked meanwhile: %v", err)
		}
	})
}

// HCA-7.5: of renewals of one certificate that are signed at the same moment, one goes on.
func TestRenewedOnceUnderConcurrency(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		old := d.issued(t, 1, 30)
		var all []ra.Application
		for range 3 {
			a, err := d.renewing(old.ID)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, a)
		}
		var done sync.WaitGroup
		for _, a := range all {
			done.Go(func() {
				_, err := d.Sign(context.Background(), d.clerk, a.ID, enrol.Signature{CMS: []byte("signed by the card " + a.Nonce), Insertion: "1"})
				if err != nil && ra.AsError(err).Code != "renewal-begun" {
					t.Errorf("%v", err)
				}
			})
		}
		done.Wait()
		if got := d.Slots(t, d.doctor); len(got) != 2 {
			t.Errorf("places %v, want the older's and one newer's", got)
		}
	})
}
