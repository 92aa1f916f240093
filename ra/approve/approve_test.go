package approve_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// life is that of a proposal.
const life = 72 * time.Hour

func TestMain(m *testing.M) { storetest.Main(m) }

var ctx = context.Background()

// office is a window with a clerk, two approvers, and a doctor who has one certificate.
type office struct {
	*storetest.World
	*approve.Service
	revoke        *revoke.Service
	clerk, second ra.Actor // of the window's own institution
	third         ra.Actor // approver of the whole window
	other         ra.Actor // approver of another institution
	doctor        ra.PersonID
	cert          ra.Certificate
}

func staff(id string, at ra.InstitutionCode) ra.Actor {
	return ra.Actor{Kind: ra.ActorStaff, ID: id, Institution: at, Session: "session-" + id}
}

func newOffice(t testing.TB, db *store.DB) *office {
	t.Helper()
	o := &office{World: storetest.NewWorld(t, db), clerk: staff("clerk", storetest.Window), second: staff("second", storetest.Window),
		third: staff("third", ""), other: staff("other", storetest.Clinic)}
	o.revoke = revoke.NewService(store.RevokeStore{Store: o.Store}, storetest.Accepts{},
		revoke.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute)}, o.Clock.Now, rand.Reader)
	o.Service = approve.New(store.ApproveStore{Store: o.Store}, o.revoke, nil, policy.Always(life), o.Clock.Now, rand.Reader)
	o.doctor = o.Doctor(t, "陳小華", "1001")
	o.cert = o.Issue(t, o.doctor, o.Phone(t, storetest.Window, o.doctor), 1, nil)
	return o
}

func (o *office) proposed(t testing.TB) approve.Proposal {
	t.Helper()
	p, err := o.ProposeRevocation(ctx, o.clerk, o.cert.ID, "device-lost", "a colleague telephoned")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// untouched fails the test when anything came of a proposal.
func (o *office) untouched(t testing.TB, when string) {
	t.Helper()
	if s := o.World.Certificate(t, o.cert.ID).State; s != ra.CertLive || o.Count(t, "applications WHERE kind = 'revocation'") != 0 || o.Jobs(t, "exchange") != 0 {
		t.Errorf("%s: the certificate is %s, or a revocation was begun", when, s)
	}
}

func refused(t testing.TB, when string, err error, kind ra.Kind, code string) {
	t.Helper()
	if e := ra.AsError(err); err == nil || e.Kind != kind || e.Code != code || kind == ra.KindRefused && e.Clause != "HCA-8.1.6" {
		t.Errorf("%s: %v", when, err)
	}
}

// acts are the acts that the log tells of, with their outcome and actor, in order.
func (o *office) acts(t testing.TB) (out []string) {
	t.Helper()
	for _, r := range o.Audit(t) {
		out = append(out, r.Act+" "+r.Outcome+" "+r.Actor)
	}
	return out
}

// HCA-5.2.2, HCA-8.1.6: with the second person's approval the certificate is unusable at once, and its request to the
// HCA is committed with it.
func TestRevocationByTwo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		p := o.proposed(t)
		o.untouched(t, "proposed")
		if !bytes.Contains(p.Payload, []byte(o.cert.Serial)) || !bytes.Contains(p.Payload, []byte("a colleague telephoned")) || approve.HashOf(p.Payload) != p.Hash {
			t.Errorf("%s does not say what is approved", p.Payload)
		}
		if err := o.Approve(ctx, o.second, p.ID, p.Hash); err != nil {
			t.Fatal(err)
		}
		c := o.World.Certificate(t, o.cert.ID)
		if c.State != ra.CertRevoking || c.Reason != ra.ReasonKeyCompromise || c.StateNote != "device-lost" || o.Jobs(t, "exchange") != 1 {
			t.Errorf("%s, %s, %s, %d jobs", c.State, c.Reason, c.StateNote, o.Jobs(t, "exchange"))
		}
		if n := o.Count(t, "applications WHERE kind = 'revocation' AND state = 'requested' AND ground = 'device-lost' AND note = 'a colleague telephoned' AND created_by = 'clerk' AND certificate_id = ?",
			string(o.cert.ID)); n != 1 {
			t.Errorf("%d requests", n)
		}
		got, err := o.Proposal(ctx, o.clerk, p.ID)
		if err != nil || got.State != approve.Approved || got.DecidedBy != "second" || got.DecidedAt == nil {
			t.Errorf("%+v, %v", got, err)
		}
		want := []string{"approval.propose done clerk", "revoke.window done second", "approval.approve done second"}
		if acts := o.acts(t); !slices.Equal(acts, want) {
			t.Errorf("the log says %q", acts)
		}
		refused(t, "approved twice", o.Approve(ctx, o.third, p.ID, p.Hash), ra.KindConflict, "moved-on")
	})
}

// HCA-8.1.6: who may not approve, and what may not be approved. Each refusal is in the log, and changes nothing.
func TestRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		p := o.proposed(t)
		refused(t, "one's own", o.Approve(ctx, o.clerk, p.ID, p.Hash), ra.KindRefused, "approval-own")
		refused(t, "one's own, rejected", o.Reject(ctx, o.clerk, p.ID, "no"), ra.KindRefused, "approval-own")
		refused(t, "another institution", o.Approve(ctx, o.other, p.ID, p.Hash), ra.KindNotFound, "not-found")
		refused(t, "another institution rejects", o.Reject(ctx, o.other, p.ID, "no"), ra.KindNotFound, "not-found")
		refused(t, "a program", o.Approve(ctx, ra.Actor{Kind: ra.ActorSystem, ID: "job"}, p.ID, p.Hash), ra.KindRefused, "approval-person")
		refused(t, "another hash", o.Approve(ctx, o.second, p.ID, approve.HashOf([]byte("else"))), ra.KindRefused, "approval-differs")
		refused(t, "no hash", o.Approve(ctx, o.second, p.ID, ""), ra.KindRefused, "approval-differs")
		refused(t, "somebody else's withdrawn", o.Withdraw(ctx, o.second, p.ID), ra.KindRefused, "approval-not-own")
		refused(t, "rejected without a reason", o.Reject(ctx, o.second, p.ID, " \n"), ra.KindMalformed, "note")
		_, err := o.ProposeRevocation(ctx, o.clerk, o.cert.ID, "device-lost", "again")
		refused(t, "proposed twice", err, ra.KindConflict, "already-proposed")
		if n := o.Count(t, "audit_events WHERE outcome = 'refused'"); n != 10 {
			t.Errorf("%d refusals are in the log", n)
		}
		o.untouched(t, "refused")
		if err := o.Approve(ctx, o.third, p.ID, p.Hash); err != nil {
			t.Errorf("the approver of the whole window: %v", err)
		}
	})
}

// HCA-8.1.6: what was changed in the database since it was proposed is not carried out, whoever changed it.
func TestChangedPayload(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t))
	p := o.proposed(t)
	victim := o.Issue(t, o.doctor, o.Phone(t, storetest.Window, o.doctor), 2, nil)
	forged := bytes.ReplaceAll(p.Payload, []byte(o.cert.ID), []byte(victim.ID))
	put := func(payload []byte, hash, object string) {
		t.Helper()
		sealed, err := storetest.Sealer().Seal("proposals.payload/"+p.ID, payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.DB.Gorm.Exec("UPDATE proposals SET payload = ?, hash = ?, object = ?", sealed, hash, object).Error; err != nil {
			t.Fatal(err)
		}
	}
	put(forged, p.Hash, p.Object)
	refused(t, "payload", o.Approve(ctx, o.second, p.ID, p.Hash), ra.KindRefused, "approval-changed")
	put(forged, approve.HashOf(forged), p.Object)
	refused(t, "payload and hash", o.Approve(ctx, o.second, p.ID, approve.HashOf(forged)), ra.KindRefused, "approval-changed")
	put(forged, approve.HashOf(forged), "certificate/"+string(victim.ID))
	refused(t, "all of it, after the page was loaded", o.Approve(ctx, o.second, p.ID, p.Hash), ra.KindRefused, "approval-differs")
	put(append(p.Payload, ' '), approve.HashOf(p.Payload), p.Object)
	refused(t, "a blank", o.Approve(ctx, o.second, p.ID, p.Hash), ra.KindRefused, "approval-changed")
	put(p.Payload, p.Hash, p.Object)
	o.untouched(t, "forged")
	// Nor can the rows say that somebody approved his own.
	if err := o.DB.Gorm.Exec("UPDATE proposals SET state = 'approved', decided_by = proposed_by").Error; err == nil {
		t.Error("the database takes an approval of one's own")
	}
}

// HCA-8.1.6: a certificate that changed its state since it was proposed is not revoked on that approval.
func TestObjectChanged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		p := o.proposed(t)
		if err := o.revoke.Suspend(ctx, o.clerk, o.cert.ID, "lost at a congress"); err != nil {
			t.Fatal(err)
		}
		refused(t, "suspended meanwhile", o.Approve(ctx, o.second, p.ID, p.Hash), ra.KindRefused, "approval-object-changed")
		if s := o.World.Certificate(t, o.cert.ID).State; s != ra.CertSuspended {
			t.Errorf("it is %s", s)
		}
		if err := o.Withdraw(ctx, o.clerk, p.ID); err != nil {
			t.Fatal(err)
		}
		p = o.proposed(t)
		if err := o.Approve(ctx, o.second, p.ID, p.Hash); err != nil {
			t.Error(err)
		}
	})
}

// HCA-8.1.6: after its time nothing is approved, whether the job has ended it yet or not.
func TestExpired(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		p := o.proposed(t)
		o.Clock.Advance(life - time.Second)
		if n, err := o.Expire(ctx); n != 0 || err != nil {
			t.Errorf("a second before: %d, %v", n, err)
		}
		o.Clock.Advance(time.Second)
		refused(t, "after 72 hours", o.Approve(ctx, o.second, p.ID, p.Hash), ra.KindRefused, "approval-expired")
		if n, err := o.Expire(ctx); n != 1 || err != nil {
			t.Errorf("ended: %d, %v", n, err)
		}
		refused(t, "when it was ended", o.Approve(ctx, o.second, p.ID, p.Hash), ra.KindConflict, "moved-on")
		if n, err := o.Expire(ctx); n != 0 || err != nil {
			t.Errorf("ended twice: %d, %v", n, err)
		}
		o.untouched(t, "expired")
		if acts := o.acts(t); !slices.Contains(acts, "approval.expire done lapse") {
			t.Errorf("the log says %q", acts)
		}
	})
}

// HCA-8.1.6: of many who decide at once one wins, and the act is done once or not at all.
func TestRace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		p := o.proposed(t)
		var approved, rejected atomic.Int64
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				who, n := staff("approver-"+string(rune('a'+i)), storetest.Window), &approved
				err := error(nil)
				if i%3 == 2 {
					n = &rejected
					err = o.Reject(ctx, who, p.ID, "it was found")
				} else {
					err = o.Approve(ctx, who, p.ID, p.Hash)
				}
				switch {
				case err == nil:
					n.Add(1)
				case ra.KindOf(err) != ra.KindConflict && ra.AsError(err).Code != "approval-object-changed":
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if approved.Load()+rejected.Load() != 1 || int64(o.Count(t, "applications WHERE kind = 'revocation'")) != approved.Load() || int64(o.Jobs(t, "exchange")) != approved.Load() {
			t.Errorf("%d approved, %d rejected, %d requests, %d jobs", approved.Load(), rejected.Load(), o.Count(t, "applications WHERE kind = 'revocation'"), o.Jobs(t, "exchange"))
		}
		o.Audit(t)
	})
}

// HCA-5.2.2: one person suspends; only two resume.
func TestResumedByTwo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		if _, err := o.ProposeResumption(ctx, o.clerk, o.cert.ID, "not suspended"); ra.KindOf(err) != ra.KindConflict {
			t.Errorf("of a live one: %v", err)
		}
		if err := o.revoke.Suspend(ctx, o.clerk, o.cert.ID, "mislaid"); err != nil {
			t.Fatal(err)
		}
		p, err := o.ProposeResumption(ctx, o.clerk, o.cert.ID, "found in the ward")
		if err != nil {
			t.Fatal(err)
		}
		refused(t, "by one alone", o.Approve(ctx, o.clerk, p.ID, p.Hash), ra.KindRefused, "approval-own")
		if err := o.Approve(ctx, o.second, p.ID, p.Hash); err != nil {
			t.Fatal(err)
		}
		if c := o.World.Certificate(t, o.cert.ID); c.State != ra.CertLive || c.StateNote != "" {
			t.Errorf("%s %q", c.State, c.StateNote)
		}
		if acts := o.acts(t); !slices.Contains(acts, "certificate.resume done second") {
			t.Errorf("the log says %q", acts)
		}
	})
}

// HCA-7.5: an exemption is in force when two persons of the whole window agreed on it, and not before.
func TestExemption(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		admin, until := staff("admin", ""), o.Clock.Now().AddDate(0, 1, 0).Truncate(time.Second)
		good := policy.Exemption{Limit: 8, Until: until, Reply: "衛部醫字第1150042號"}
		for name, e := range map[string]policy.Exemption{"five": {Limit: 5, Until: until, Reply: "x"}, "twenty-one": {Limit: 21, Until: until, Reply: "x"},
			"past": {Limit: 8, Until: o.Clock.Now(), Reply: "x"}, "no reply": {Limit: 8, Until: until, Reply: " "},
			"long reply": {Limit: 8, Until: until, Reply: strings.Repeat("x", 65)}, "two lines": {Limit: 8, Until: until, Reply: "x\ny"}} {
			if _, err := o.ProposeExemption(ctx, admin, o.doctor, e); ra.KindOf(err) != ra.KindMalformed || ra.AsError(err).Clause != "HCA-7.5" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := o.ProposeExemption(ctx, o.clerk, o.doctor, good); ra.KindOf(err) != ra.KindRefused {
			t.Errorf("by an institution: %v", err)
		}
		p, err := o.ProposeExemption(ctx, admin, o.doctor, good)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, "an institution's approver", o.Approve(ctx, o.second, p.ID, p.Hash), ra.KindNotFound, "not-found")
		if e, err := o.Exemption(ctx, o.doctor); e != nil || err != nil {
			t.Errorf("before the approval: %v, %v", e, err)
		}
		if err := o.Approve(ctx, o.third, p.ID, p.Hash); err != nil {
			t.Fatal(err)
		}
		e, err := o.Exemption(ctx, o.doctor)
		if err != nil || e == nil || e.Limit != 8 || !e.Until.Equal(until) || e.Reply != good.Reply {
			t.Fatalf("%+v, %v", e, err)
		}
		// One that was proposed before another was recorded does not write over it.
		first, err := o.ProposeExemption(ctx, admin, o.doctor, policy.Exemption{Limit: 12, Until: until, Reply: "115-2"})
		if err != nil {
			t.Fatal(err)
		}
		o.Exempt(t, o.doctor, 9, until)
		refused(t, "recorded meanwhile", o.Approve(ctx, o.third, first.ID, first.Hash), ra.KindRefused, "approval-object-changed")
		o.Clock.Advance(32 * 24 * time.Hour)
		if e, err := o.Exemption(ctx, o.doctor); e != nil || err != nil {
			t.Errorf("after its end: %v, %v", e, err)
		}
	})
}

// HCA-8.1.6: an institution sees its own proposals alone; the list holds what waits and what was decided apart.
func TestLists(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t))
	p := o.proposed(t)
	count := func(actor ra.Actor, q approve.Query) int {
		t.Helper()
		list, err := o.Proposals(ctx, actor, q)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if count(o.second, approve.Query{State: approve.Proposed}) != 1 || count(o.third, approve.Query{Object: p.Object}) != 1 || count(o.other, approve.Query{}) != 0 ||
		count(o.second, approve.Query{Settled: true}) != 0 {
		t.Error("while it waits")
	}
	if err := o.Reject(ctx, o.second, p.ID, "the phone was found"); err != nil {
		t.Fatal(err)
	}
	o.untouched(t, "rejected")
	got, err := o.Proposal(ctx, o.third, p.ID)
	if err != nil || got.Reason != "the phone was found" || count(o.second, approve.Query{State: approve.Proposed}) != 0 || count(o.second, approve.Query{Settled: true}) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	o.proposed(t) // what was decided does not stand in the way of another
}
