package sweep_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
	"certwindow/ra/sweep"
)

// HCA-3.6: a fault in a feed must not wipe out a hospital. Over the cap nothing is revoked, the report and the log say so;
// what merely has to be recorded is recorded all the same.
func TestBlastCap(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		var lost []ra.Certificate
		for i := range 10 {
			c := w.holder(t, i)
			if i < 3 {
				deviceState(ra.DeviceLost)(w, c)
				lost = append(lost, c)
			}
		}
		old := w.Issue(t, w.doctor, w.Phone(t, storetest.Window, w.doctor), 1, func(c *ra.Certificate) { c.NotAfter = w.Clock.Now().Add(-time.Second) })
		for _, cfg := range []sweep.Config{{CapPercent: 100, CapAbsolute: 2}, {CapPercent: 10, CapAbsolute: 100}, {}} {
			r, err := w.service(cfg, "replica").Run(context.Background(), false)
			if err != nil || !r.OverCap || r.Note == "" || r.FinishedAt == nil {
				t.Errorf("%+v: %+v, %v", cfg, r, err)
			}
			for _, f := range r.Findings {
				if f.Action == "revoke" {
					t.Errorf("%+v: it revoked", cfg)
				}
			}
		}
		for _, c := range lost {
			if s := w.Certificate(t, c.ID).State; s != ra.CertLive {
				t.Errorf("a certificate is %s", s)
			}
		}
		if s := w.Certificate(t, old.ID).State; s != ra.CertExpired {
			t.Errorf("the expired certificate is %s", s)
		}
		if n := w.Count(t, "audit_events WHERE act = 'sweep.finish' AND outcome = 'refused' AND code = 'sweep-over-cap'"); n != 3 {
			t.Errorf("%d alarms in the log", n)
		}
		// Within the cap they go.
		if r, err := w.service(sweep.Config{CapPercent: 30, CapAbsolute: 3}, "replica").Run(context.Background(), false); err != nil || r.OverCap {
			t.Errorf("%+v, %v", r, err)
		}
		for _, c := range lost {
			if s := w.Certificate(t, c.ID).State; s != ra.CertRevoking {
				t.Errorf("a certificate is %s", s)
			}
		}
	})
}

// interrupted is a revoker whose process is stopped after some revocations.
type interrupted struct {
	sweep.Revoker
	left int
	stop context.CancelFunc
}

func (i *interrupted) Proved(ctx context.Context, actor ra.Actor, id ra.CertificateID, ground, note string, prove func() (bool, error)) (bool, error) {
	if i.left == 0 {
		i.stop()
		return false, ctx.Err()
	}
	i.left--
	return i.Revoker.Proved(ctx, actor, id, ground, note, prove)
}

// HCA-3.6: a run that was interrupted goes on: every certificate is looked at once, every finding carried out once, and
// the report tells of all of it.
func TestResume(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		var lost []ra.Certificate
		for i := range 6 {
			c := w.holder(t, i)
			deviceState(ra.DeviceLost)(w, c)
			lost = append(lost, c)
		}
		ctx, stop := context.WithCancel(context.Background())
		good := w.revoker
		w.revoker = &interrupted{Revoker: good, left: 2, stop: stop}
		if _, err := w.service(all, "first").Run(ctx, false); err == nil {
			t.Fatal("the run was not interrupted")
		}
		if n := w.Count(t, "certificates WHERE state = 'revoking'"); n != 2 {
			t.Fatalf("%d were revoked before it was", n)
		}
		// Meanwhile one of the six was found again, and one more phone was lost.
		deviceState(ra.DeviceBound)(w, lost[5])
		late := w.holder(t, 7)
		deviceState(ra.DeviceLost)(w, late)
		w.revoker = good
		r, err := w.service(all, "second").Run(context.Background(), false)
		if err != nil || r.Looked != 7 || len(r.Findings) != 7 {
			t.Fatalf("%+v, %v", r, err)
		}
		for _, f := range r.Findings {
			c := w.Certificate(t, f.Certificate)
			revoked := c.State == ra.CertRevoking
			if revoked == (f.Certificate == lost[5].ID) {
				t.Errorf("a certificate is %s", c.State)
			}
			if (f.Action == "revoke") != revoked || f.Error != "" {
				t.Errorf("the report says %q %q of one that is %s", f.Action, f.Error, c.State)
			}
		}
		if n, j := w.Count(t, "applications WHERE kind = 'revocation'"), w.Jobs(t, "exchange"); n != 6 || j != 6 {
			t.Errorf("%d requests, %d jobs", n, j)
		}
		if runs := w.Count(t, "sweep_runs WHERE finished_at IS NULL"); runs != 0 {
			t.Errorf("%d runs are left unfinished", runs)
		}
	})
}

// pausing is a revoker that holds its run up until it is told to go on.
type pausing struct {
	sweep.Revoker
	reached, goOn chan struct{}
}

func (p *pausing) Proved(ctx context.Context, actor ra.Actor, id ra.CertificateID, ground, note string, prove func() (bool, error)) (bool, error) {
	close(p.reached)
	<-p.goOn
	return p.Revoker.Proved(ctx, actor, id, ground, note, prove)
}

// HCA-3.6: exactly one runner across replicas; when it dies, another takes over after the lease's end.
func TestOneRunner(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		c := w.holder(t, 1)
		deviceState(ra.DeviceLost)(w, c)
		good := w.revoker
		p := &pausing{Revoker: good, reached: make(chan struct{}), goOn: make(chan struct{})}
		w.revoker = p
		done := make(chan error)
		first := w.service(all, "first")
		go func() {
			_, err := first.Run(context.Background(), false)
			done <- err
		}()
		<-p.reached
		w.revoker = good
		for _, dry := range []bool{true, false} {
			if _, err := w.service(all, "second").Run(context.Background(), dry); !errors.Is(err, sweep.ErrBusy) {
				t.Errorf("a second runner (dry: %v): %v", dry, err)
			}
		}
		close(p.goOn)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := w.service(all, "second").Run(context.Background(), false); err != nil {
			t.Errorf("after the first: %v", err)
		}
		w.Update(t, func(tx *store.Tx) error { // a replica that died in its run
			_, err := tx.TakeLease("sweep", "dead", w.Clock.Now(), w.Clock.Now().Add(2*time.Minute))
			return err
		})
		if _, err := w.service(all, "second").Run(context.Background(), false); !errors.Is(err, sweep.ErrBusy) {
			t.Errorf("while a dead replica's lease runs: %v", err)
		}
		w.Clock.Advance(2 * time.Minute)
		if _, err := w.service(all, "second").Run(context.Background(), false); err != nil {
			t.Errorf("after its end: %v", err)
		}
	})
}

// A window with more certificates than a page holds is walked whole.
func TestPages(t *testing.T) {
	w := newWard(t, storetest.SQLite(t))
	phone := w.Phone(t, storetest.Window, w.doctor)
	var last ra.Certificate
	for i := range 401 {
		w.Clock.Advance(time.Millisecond)
		last = w.Issue(t, w.doctor, phone, i+1, nil)
	}
	w.revoked[last.Serial] = true
	if r := w.run(t, false); r.Looked != 401 || len(r.Findings) != 1 || r.Findings[0].Certificate != last.ID {
		t.Errorf("looked at %d, found %+v", r.Looked, r.Findings)
	}
}
