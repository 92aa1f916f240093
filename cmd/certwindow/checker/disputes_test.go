package checker_test

import (
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/certwindow/checker"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/exchange"
	"certwindow/ra/hca/hcasim"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-3.3, HCA-8.1.6: a disputed answer that two persons settled is in order; one that left the dispute by other ways is found.
func TestSettledDisputes(t *testing.T) {
	sim := hcatest.NewWindow(t)
	o := newOffice(t, storetest.SQLite(t), sim)
	acts := o.exchange.Acts(func(ra.Certificate) (bool, error) { return true, nil })
	two := approve.New(store.ApproveStore{Store: o.Store}, o.revoke, acts, policy.Always(72*time.Hour), o.Clock.Now, rand.Reader)
	ask := exchange.Settlement{Choice: exchange.AskAgain, Note: "the HCA mended it"}
	end := exchange.Settlement{Choice: exchange.Close, Note: "the HCA wrote", Letter: "115-7", LetterSum: strings.Repeat("ab", 32)}
	disputed := func(x *exchange.Settlement) string {
		t.Helper()
		a := o.ready(t, ra.KeyApp)
		o.ok(t, sim.Server.SetFault(hcasim.Fault{Kind: hcasim.FaultWrongKey, Count: 1}))
		_, err := o.exchange.Run(t.Context(), a.ID)
		o.ok(t, err)
		object := "application/" + string(a.ID)
		if x == nil {
			return object
		}
		d, err := o.exchange.Dispute(t.Context(), o.admin, a.ID)
		o.ok(t, err)
		p, err := two.Propose(t.Context(), o.admin, approve.SettleDispute, object, "", d.Facts(*x))
		o.ok(t, err)
		o.ok(t, two.Approve(t.Context(), o.approver, p.ID, p.Hash))
		return object
	}
	o.ok(t, o.enrol.Cancel(t.Context(), o.clerk, o.signed.ID)) // one of the five is free
	o.Clock.Set(time.Now())                                    // which the simulator keeps
	ended, asked, open := disputed(&end), disputed(&ask), disputed(nil)
	for _, f := range o.check(t) {
		t.Errorf("nothing is wrong yet: %+v", f)
	}
	original := o.config.DB
	for name, c := range map[string]corruption{
		"sent again by hand":       {do: "UPDATE applications SET state = 'sent' WHERE state = 'disputed'", object: open, says: "nobody settled it"},
		"ended by hand":            {do: "UPDATE applications SET state = 'refused', slot = NULL WHERE state = 'disputed'", object: open, says: "nobody settled it"},
		"an approval that is gone": {do: "DELETE FROM proposals WHERE object = '" + ended + "'", object: ended, says: "otherwise than two persons"},
		"another's approval":       {do: "UPDATE proposals SET object = '" + ended + "' WHERE object = '" + asked + "'", object: asked, says: "otherwise than two persons"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "copy.db")
			if _, err := original.Exec("VACUUM INTO ?", path); err != nil {
				t.Fatal(err)
			}
			db := storetest.Open(t, "sqlite:"+path)
			o.ok(t, corrupt(db, c))
			o.config.DB = db.SQL
			for _, f := range o.check(t) {
				if f.Check == checker.Approval && f.Object == c.object && strings.Contains(f.Detail, c.says) {
					return
				}
			}
			t.Errorf("not found; instead: %+v", o.findings)
		})
	}
}
