package revoke_test

import (
	"context"
	"strings"
	"testing"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-5.2.2, HCA-7.2: one person alone suspends; use ends with it, the holder is told, and the place stays held.
func TestSuspend(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		ctx := context.Background()
		stranger := d.clerk
		stranger.Institution = storetest.Clinic
		if err := d.Suspend(ctx, stranger, d.cert.ID, "lost"); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("from another institution: %v", err)
		}
		for _, note := range []string{"", " ", "two\nlines", "right\u202eleft", strings.Repeat("字", 251)} {
			if err := d.Suspend(ctx, d.clerk, d.cert.ID, note); ra.KindOf(err) != ra.KindMalformed {
				t.Errorf("note %q: %v", note, err)
			}
		}
		if s := d.World.Certificate(t, d.cert.ID).State; s != ra.CertLive || d.Jobs(t, "notice") != 0 {
			t.Fatalf("what was refused left it %s", s)
		}
		if err := d.Suspend(ctx, d.clerk, d.cert.ID, " lost on the train "); err != nil {
			t.Fatal(err)
		}
		c := d.World.Certificate(t, d.cert.ID)
		if c.State != ra.CertSuspended || c.StateNote != "lost on the train" || d.Jobs(t, "notice") != 1 || d.Jobs(t, "exchange") != 0 || len(d.Slots(t, c.PersonID)) != 1 {
			t.Errorf("%s %q, %d notices, %d requests", c.State, c.StateNote, d.Jobs(t, "notice"), d.Jobs(t, "exchange"))
		}
		use := policy.Use{State: string(c.State), NotBefore: c.NotBefore, NotAfter: c.NotAfter, DeviceState: "bound", SameBinding: true, SamePerson: true}
		if p := policy.Usable(use, d.Clock.Now()); p.Code != "certificate-suspended" {
			t.Errorf("its use: %+v", p)
		}
		if err := d.Suspend(ctx, d.clerk, d.cert.ID, "again"); ra.KindOf(err) != ra.KindConflict {
			t.Errorf("suspended twice: %v", err)
		}
		if err := d.sign(d.begin(t)); err != nil { // HCA-5.2.1: the holder still revokes it
			t.Error(err)
		}
		d.Audit(t)
	})
}
