package revoke_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// desk is a counter where a doctor with one certificate comes to have it revoked.
type desk struct {
	*storetest.World
	*revoke.Service
	clerk ra.Actor
	cert  ra.Certificate
}

func newDesk(t testing.TB, db *store.DB) *desk {
	t.Helper()
	d := &desk{World: storetest.NewWorld(t, db), clerk: ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Institution: storetest.Window, Session: "session"}}
	d.Service = revoke.NewService(store.RevokeStore{Store: d.Store}, storetest.Accepts{},
		revoke.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute)}, d.Clock.Now, rand.Reader)
	doctor := d.Doctor(t, "陳小華", "1001")
	d.cert = d.Issue(t, doctor, d.Phone(t, storetest.Window, doctor), 1, nil)
	return d
}

func (d *desk) begin(t testing.TB) ra.Application {
	t.Helper()
	a, err := d.Begin(context.Background(), d.clerk, d.cert.ID, ra.ReasonSuperseded, "")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (d *desk) sign(a ra.Application) error {
	_, err := d.Sign(context.Background(), d.clerk, a.ID, enrol.Signature{CMS: []byte("signed")})
	return err
}

// HCA-5.2.1, HCA-7.2: the text names the certificate and the reason; the signature stops the certificate at once, and its
// request is committed with it. The place stays held until the HCA has confirmed (HCA-7.5).
func TestByTheHolder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		a := d.begin(t)
		for _, line := range []string{"醫事人員行動憑證廢止 HCA mobile certificate revocation v1", "application: " + string(a.ID), "nonce: " + a.Nonce, "holder: 1001",
			"certificate: " + d.cert.Serial, "issuer-key: " + d.cert.IssuerKey, "reason: superseded"} {
			if !bytes.Contains(append([]byte("\n"), a.Text...), []byte("\n"+line+"\n")) && !bytes.HasSuffix(a.Text, []byte("\n"+line)) {
				t.Errorf("the line %q is not in\n%s", line, a.Text)
			}
		}
		if s := d.World.Certificate(t, d.cert.ID).State; s != ra.CertLive {
			t.Errorf("stopped before the signature: %s", s)
		}
		if err := d.sign(a); err != nil {
			t.Fatal(err)
		}
		got := d.World.Certificate(t, d.cert.ID)
		if got.State != ra.CertRevoking || got.Reason != ra.ReasonSuperseded || d.Jobs(t, "exchange") != 1 || len(d.Slots(t, d.cert.PersonID)) != 1 {
			t.Errorf("%s, %q, %d jobs, places %v", got.State, got.Reason, d.Jobs(t, "exchange"), d.Slots(t, d.cert.PersonID))
		}
		if err := d.sign(a); ra.AsError(err).Code != "nonce-used" || ra.AsError(err).Clause != "HCA-8.1.4" {
			t.Errorf("signed a second time: %v", err)
		}
		if _, err := d.Begin(context.Background(), d.clerk, d.cert.ID, ra.ReasonSuperseded, ""); ra.KindOf(err) != ra.KindConflict {
			t.Errorf("begun a second time: %v", err)
		}
		d.Audit(t)
	})
}

// What cannot be begun, and what cannot be signed.
func TestRefused(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	ctx := context.Background()
	stranger := d.clerk
	stranger.Institution = storetest.Clinic
	if _, err := d.Begin(ctx, stranger, d.cert.ID, ra.ReasonSuperseded, ""); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("from another institution: %v", err)
	}
	for _, reason := range []ra.RevocationReason{"", "removeFromCRL", "certificateHold", "whim"} {
		if _, err := d.Begin(ctx, d.clerk, d.cert.ID, reason, ""); ra.KindOf(err) != ra.KindMalformed {
			t.Errorf("reason %q: %v", reason, err)
		}
	}
	a := d.begin(t)
	other := d.clerk
	other.Session = "another"
	if _, err := d.Sign(ctx, other, a.ID, enrol.Signature{CMS: []byte("signed")}); ra.AsError(err).Clause != "HCA-8.1.4" {
		t.Errorf("from another session: %v", err)
	}
	if _, err := d.Sign(ctx, d.clerk, a.ID, enrol.Signature{}); ra.AsError(err).Clause != "HCA-5.2.1" {
		t.Errorf("without a signature: %v", err)
	}
	d.Clock.Advance(5 * time.Minute)
	if err := d.sign(a); ra.AsError(err).Code != "application-expired" {
		t.Errorf("after its time: %v", err)
	}
	if s := d.World.Certificate(t, d.cert.ID).State; s != ra.CertLive {
		t.Errorf("what was refused stopped the certificate: %s", s)
	}
	// HCA-5.2.1: an enrolment is no revocation, whatever its number.
	e := d.Insert(t, d.Draft(t, d.cert.PersonID, &storetest.Phone{ID: d.cert.DeviceID}))
	if _, err := d.Sign(ctx, d.clerk, e.ID, enrol.Signature{CMS: []byte("signed")}); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("an enrolment signed as a revocation: %v", err)
	}
}

// HCA-5.2.2: many that start the revocation of one certificate at once make one request, and none for what does not hold
// any more or is not a ground.
func TestProved(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		ctx := context.Background()
		sweep := ra.Actor{Kind: ra.ActorSweep, ID: "sweep"}
		yes := func() (bool, error) { return true, nil }
		failed := errors.New("register")
		for name, c := range map[string]struct {
			ground string
			prove  func() (bool, error)
			fails  bool
		}{
			"not proved any more": {"device-lost", func() (bool, error) { return false, nil }, false},
			"cannot be proved":    {"device-lost", func() (bool, error) { return false, failed }, true},
			"no ground":           {"whim", yes, true},
		} {
			started, err := d.Proved(ctx, sweep, d.cert.ID, c.ground, "note", c.prove)
			if started || (err != nil) != c.fails {
				t.Errorf("%s: %v, %v", name, started, err)
			}
		}
		if n := d.Count(t, "applications WHERE kind = 'revocation'"); n != 0 {
			t.Fatalf("%d requests", n)
		}
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 10 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				started, err := d.Proved(ctx, sweep, d.cert.ID, "device-lost", "note", yes)
				if err != nil {
					t.Error(err)
				}
				if started {
					won.Add(1)
				}
			}()
		}
		wg.Wait()
		got := d.World.Certificate(t, d.cert.ID)
		if won.Load() != 1 || d.Count(t, "applications WHERE kind = 'revocation'") != 1 || d.Jobs(t, "exchange") != 1 {
			t.Errorf("%d started, %d requests, %d jobs", won.Load(), d.Count(t, "applications WHERE kind = 'revocation'"), d.Jobs(t, "exchange"))
		}
		if got.State != ra.CertRevoking || got.Reason != ra.ReasonKeyCompromise || got.StateNote != "device-lost" {
			t.Errorf("%s, %q, %q", got.State, got.Reason, got.StateNote)
		}
	})
}
