package checker_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-5.2.2, HCA-8.1.6: of a window where two persons suspended, resumed, revoked and exempted by the rules, the checker
// finds nothing: neither while the HCA has not answered nor afterwards.
func TestNothingIsFoundOfWhatTwoPersonsDid(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db, sim)
		ctx := context.Background()
		clerk, second := ra.Actor{Kind: ra.ActorStaff, ID: "clerk"}, ra.Actor{Kind: ra.ActorStaff, ID: "second"}
		two := approve.New(store.ApproveStore{Store: h.Store}, h.revoke, nil, policy.Always(72*time.Hour), h.Clock.Now, rand.Reader)
		agree := func(p approve.Proposal, err error) {
			t.Helper()
			h.ok(t, err)
			h.ok(t, two.Approve(ctx, second, p.ID, p.Hash))
		}
		clean := func(when string) {
			t.Helper()
			for _, f := range h.check(t) {
				t.Errorf("%s: %+v", when, f)
			}
		}
		h.ok(t, h.revoke.Suspend(ctx, clerk, h.live.ID, "mislaid"))
		clean("suspended")
		agree(two.ProposeResumption(ctx, clerk, h.live.ID, "found"))
		agree(two.ProposeExemption(ctx, clerk, h.doctor, policy.Exemption{Limit: 7, Until: h.Clock.Now().Add(time.Hour), Reply: "115-1"}))
		agree(two.ProposeRevocation(ctx, clerk, h.onHSM.ID, "device-lost", "a colleague telephoned"))
		clean("revoking")
		var id string
		h.ok(t, h.DB.Gorm.Raw("SELECT id FROM applications WHERE ground = 'device-lost'").Scan(&id).Error)
		ahead := h.Clock.Now()
		h.Clock.Set(time.Now()) // the simulator goes by the real clock
		_, err := h.exchange.Run(ctx, ra.ApplicationID(id))
		h.ok(t, err)
		h.Clock.Set(ahead)
		if s := h.Certificate(t, h.onHSM.ID).State; s != ra.CertRevoked {
			t.Errorf("the certificate is %s", s)
		}
		clean("revoked")
	})
}
