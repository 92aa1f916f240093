package bulk_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/bulk"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var clerk, second = ra.Actor{Kind: ra.ActorStaff, ID: "clerk"}, ra.Actor{Kind: ra.ActorStaff, ID: "second"}

// office is a window with certificates of two institutions.
type office struct {
	*storetest.World
	t       *testing.T
	work    *bulk.Service
	approve *approve.Service
	doctor  ra.PersonID
	phone   *storetest.Phone
	slot    int
}

func open(t *testing.T, db *store.DB) *office {
	w := storetest.NewWorld(t, db)
	o := &office{World: w, t: t}
	r := revoke.NewService(store.RevokeStore{Store: w.Store}, storetest.Accepts{}, revoke.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute)}, w.Clock.Now, rand.Reader)
	o.work = bulk.New(store.BulkStore{Store: w.Store}, r, w.Clock.Now, rand.Reader)
	o.approve = approve.New(store.ApproveStore{Store: w.Store}, r, o.work.Acts(), policy.Always(72*time.Hour), w.Clock.Now, rand.Reader)
	o.doctor = w.Doctor(t, "王大明", "0000000000000001")
	o.phone = w.Phone(t, storetest.Window, o.doctor)
	return o
}

// issued is a certificate of an institution in a state.
func (o *office) issued(at ra.InstitutionCode, state ra.CertificateState) ra.CertificateID {
	o.t.Helper()
	o.slot++
	o.Clock.Advance(time.Second)
	return o.Issue(o.t, o.doctor, o.phone, o.slot, func(c *ra.Certificate) { c.Institution, c.State = at, state }).ID
}

func (o *office) ok(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) preview(f bulk.Filter) bulk.Preview {
	o.t.Helper()
	p, err := o.work.Preview(context.Background(), clerk, f)
	o.ok(err)
	return p
}

func (o *office) propose(f bulk.Filter, p bulk.Preview) (approve.Proposal, error) {
	o.t.Helper()
	object, err := o.work.NewObject()
	o.ok(err)
	return o.approve.Propose(context.Background(), clerk, approve.RevokeMany, object, f.Institution, bulk.Facts(f, "no-permission", "the hospital closed", p.Count, p.List))
}

// through works to the end.
func (o *office) through(id string) bulk.Bulk {
	o.t.Helper()
	for {
		again, err := o.work.Work(context.Background(), id)
		o.ok(err)
		if again == 0 {
			break
		}
	}
	b, err := o.work.Bulk(context.Background(), clerk, id)
	o.ok(err)
	return b
}

func (o *office) state(id ra.CertificateID) ra.CertificateState { return o.Certificate(o.t, id).State }

// HCA-5.2.2, HCA-8.1.6: two persons revoke exactly the list that was shown: each certificate with its own row and request;
// one of another institution, and one that joined after the approval, are not touched; one that changed is skipped.
func TestTwoPersonsRevokeMany(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := open(t, db)
		ctx := context.Background()
		a, b := o.issued(storetest.Clinic, ra.CertLive), o.issued(storetest.Clinic, ra.CertSuspended)
		gone, other := o.issued(storetest.Clinic, ra.CertLive), o.issued(storetest.Window, ra.CertLive)
		o.issued(storetest.Clinic, ra.CertRevoking)
		f := bulk.Filter{Institution: storetest.Clinic}
		shown := o.preview(f)
		if shown.Count != 3 || len(shown.Sample) != 3 {
			t.Fatalf("the search finds %d", shown.Count)
		}
		p, err := o.propose(f, shown)
		o.ok(err)
		if err := o.approve.Approve(ctx, clerk, p.ID, p.Hash); err == nil {
			t.Fatal("one person alone revoked many")
		}
		o.ok(o.approve.Approve(ctx, second, p.ID, p.Hash))
		id := p.Object[len("bulk/"):]
		late := o.issued(storetest.Clinic, ra.CertLive)
		c := o.Certificate(t, gone)
		c.State, c.UpdatedAt = ra.CertExpired, o.Clock.Now()
		o.Update(t, func(tx *store.Tx) error { return tx.UpdateCertificate(c, ra.CertLive) })
		done := o.through(id)
		if done.State != bulk.Finished || done.Done != 2 || done.Skipped != 1 || done.LeftOver() != 0 {
			t.Errorf("%+v", done)
		}
		if o.state(a) != ra.CertRevoking || o.state(b) != ra.CertRevoking || o.state(other) != ra.CertLive || o.state(late) != ra.CertLive {
			t.Errorf("%s %s %s %s", o.state(a), o.state(b), o.state(other), o.state(late))
		}
		items, err := o.work.Items(ctx, clerk, id, bulk.ItemQuery{Result: bulk.Skipped, Limit: 10})
		if err != nil || len(items) != 1 || items[0].Certificate != gone || items[0].Code != bulk.CodeEnded {
			t.Errorf("skipped: %+v, %v", items, err)
		}
		rows := map[string]int{}
		for _, r := range o.Audit(t) {
			rows[r.Act+" "+r.Outcome]++
		}
		if rows["revoke.window done"] != 2 || rows["bulk.skip refused"] != 1 || rows["bulk.revoke done"] != 1 || rows["bulk.finish done"] != 1 || o.Jobs(t, "exchange") != 2 {
			t.Errorf("rows %v, %d requests", rows, o.Jobs(t, "exchange"))
		}
		if n := o.Count(t, "applications WHERE ground = 'no-permission' AND state = 'requested'"); n != 2 {
			t.Errorf("%d revocations", n)
		}
	})
}

// HCA-8.1.6: a list that differs from the one that was shown is neither proposed nor approved, and nothing is begun.
func TestAListThatDiffersVoidsTheApproval(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := open(t, db)
		o.issued(storetest.Clinic, ra.CertLive)
		f := bulk.Filter{Institution: storetest.Clinic}
		old := o.preview(f)
		p, err := o.propose(f, old)
		o.ok(err)
		o.issued(storetest.Clinic, ra.CertLive)
		if err := o.approve.Approve(context.Background(), second, p.ID, p.Hash); ra.AsError(err).Code != "bulk-differs" {
			t.Errorf("approved: %v", err)
		}
		if _, err := o.propose(f, old); ra.AsError(err).Code != "bulk-differs" {
			t.Errorf("proposed: %v", err)
		}
		now := o.preview(f)
		now.Count = 1
		if _, err := o.propose(f, now); ra.AsError(err).Code != "approval-facts" {
			t.Errorf("another number: %v", err)
		}
		foreign := ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Institution: storetest.Window}
		if _, err := o.work.Preview(context.Background(), foreign, f); ra.AsError(err).Code != "not-yours" {
			t.Errorf("another institution's: %v", err)
		}
		if _, err := o.work.Preview(context.Background(), clerk, bulk.Filter{Standing: ra.CertLive}); ra.AsError(err).Code != "bulk-filter" {
			t.Errorf("everything: %v", err)
		}
		if n := o.Count(t, "bulks") + o.Count(t, "bulk_items"); n != 0 {
			t.Errorf("%d rows were written", n)
		}
	})
}

// A crash between two certificates loses and repeats nothing, and one person stops the work between two of them.
func TestItGoesOnAfterACrashAndStops(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := open(t, db)
		ctx := context.Background()
		var all []ra.CertificateID
		for range 4 {
			all = append(all, o.issued(storetest.Clinic, ra.CertLive))
		}
		f := bulk.Filter{Institution: storetest.Clinic}
		p, err := o.propose(f, o.preview(f))
		o.ok(err)
		o.ok(o.approve.Approve(ctx, second, p.ID, p.Hash))
		id := p.Object[len("bulk/"):]
		crashing := bulk.New(dying{store.BulkStore{Store: o.Store}, new(int)}, revoke.NewService(store.RevokeStore{Store: o.Store}, nil,
			revoke.Config{}, o.Clock.Now, rand.Reader), o.Clock.Now, rand.Reader)
		if _, err := crashing.Work(ctx, id); !errors.Is(err, errDied) {
			t.Fatalf("it did not crash: %v", err)
		}
		b, err := o.work.Bulk(ctx, clerk, id)
		if err != nil || b.Done != 2 || b.State != bulk.Running || o.Jobs(t, "exchange") != 2 {
			t.Fatalf("%+v, %v", b, err)
		}
		o.ok(o.work.Stop(ctx, clerk, id))
		if b = o.through(id); b.State != bulk.Stopped || b.Done != 2 || b.LeftOver() != 2 || o.state(all[3]) != ra.CertLive {
			t.Errorf("after the stop: %+v", b)
		}
		if err := o.work.Stop(ctx, clerk, id); ra.KindOf(err) != ra.KindConflict {
			t.Errorf("a second stop: %v", err)
		}
	})
}

var errDied = ra.Errorf(ra.KindUnavailable, "died", nil, "The database went away.")

// dying is a store that dies at its third change.
type dying struct {
	bulk.Store
	n *int
}

func (d dying) Update(ctx context.Context, fn func(bulk.Tx) error) error {
	if *d.n++; *d.n > 2 {
		return errDied
	}
	return d.Store.Update(ctx, fn)
}

// HCA-3.4: one person has holders reminded, once for each certificate; who has a later one on the device is left alone.
func TestHoldersAreReminded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := open(t, db)
		ctx := context.Background()
		soon := o.Clock.Now().AddDate(0, 1, 0)
		o.Issue(t, o.doctor, o.phone, 1, func(c *ra.Certificate) { c.NotAfter = soon })
		o.Issue(t, o.doctor, o.phone, 2, nil)
		other := o.Doctor(t, "林美玲", "0000000000000002")
		due := o.Issue(t, other, o.Phone(t, storetest.Window, other), 1, func(c *ra.Certificate) { c.NotAfter = soon })
		f := bulk.Filter{Expires: soon.Add(time.Hour), Standing: ra.CertLive}
		shown := o.preview(f)
		if _, err := o.work.Remind(ctx, clerk, f, "another list"); ra.AsError(err).Code != "bulk-differs" {
			t.Errorf("another list: %v", err)
		}
		id, err := o.work.Remind(ctx, clerk, f, shown.List)
		o.ok(err)
		if b := o.through(id); b.Done != 1 || b.Skipped != 1 || b.State != bulk.Finished {
			t.Errorf("%+v", b)
		}
		if n := o.Count(t, "notices WHERE kind = 'expiring' AND object = ?", "certificate/"+string(due.ID)); n != 1 || o.Count(t, "notices") != 1 {
			t.Errorf("%d notices of %d", n, o.Count(t, "notices"))
		}
		if o.state(due.ID) != ra.CertLive {
			t.Error("a reminder changed the certificate")
		}
	})
}
