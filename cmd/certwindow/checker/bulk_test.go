package checker_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"certwindow/cmd/certwindow/checker"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/bulk"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-5.2.2, HCA-8.1.6: what two persons revoked as one of many is in order; a revocation that names their approval and was
// not on its list is found.
func TestRevokedAsOneOfMany(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db, sim)
		ctx := context.Background()
		clerk, second := ra.Actor{Kind: ra.ActorStaff, ID: "clerk"}, ra.Actor{Kind: ra.ActorStaff, ID: "second"}
		work := bulk.New(store.BulkStore{Store: h.Store}, h.revoke, h.Clock.Now, rand.Reader)
		two := approve.New(store.ApproveStore{Store: h.Store}, h.revoke, work.Acts(), policy.Always(72*time.Hour), h.Clock.Now, rand.Reader)
		f := bulk.Filter{Institution: h.live.Institution}
		found, err := work.Preview(ctx, clerk, f)
		h.ok(t, err)
		object, err := work.NewObject()
		h.ok(t, err)
		p, err := two.Propose(ctx, clerk, approve.RevokeMany, object, f.Institution, bulk.Facts(f, "no-permission", "the hospital closed", found.Count, found.List))
		h.ok(t, err)
		h.ok(t, two.Approve(ctx, second, p.ID, p.Hash))
		_, err = work.Work(ctx, object[len("bulk/"):])
		h.ok(t, err)
		if h.Certificate(t, h.live.ID).State != ra.CertRevoking {
			t.Fatal("nothing was revoked")
		}
		for _, f := range h.check(t) {
			t.Errorf("%+v", f)
		}
		h.exec(t, "DELETE FROM bulk_items WHERE certificate_id = ?", h.live.ID)
		seen := false
		for _, f := range h.check(t) {
			seen = seen || f.Check == checker.Approval
		}
		if !seen {
			t.Error("a revocation that was on no approved list was not found")
		}
	})
}
