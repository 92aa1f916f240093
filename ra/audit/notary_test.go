package audit_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/audit"
	"certwindow/ra/cms"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-8.1.6: a checkpoint signs the log's end; without a new row there is no new one; an export holds them all.
func TestCheckpoints(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		if s := d.sign(t); s.Seq != 0 || !bytes.Equal(s.Hash, audit.Genesis) {
			t.Errorf("of an empty log: %+v", s.Checkpoint)
		}
		d.log(t, 3)
		first := d.sign(t)
		d.Clock.Advance(time.Hour)
		again := d.sign(t)
		if first.Seq != 3 || !bytes.Equal(first.Signed, again.Signed) {
			t.Errorf("a second checkpoint of the same row: %+v, %+v", first.Checkpoint, again.Checkpoint)
		}
		c, err := audit.OpenCheckpoint(first.Signed, storedCert(d))
		if err != nil || c.Seq != 3 || c.Window != string(storetest.Window) || !c.At.Equal(storetest.Noon.Add(3*time.Minute).Truncate(time.Second)) {
			t.Errorf("%+v, %v", c, err)
		}
		rows := d.Audit(t)
		if !bytes.Equal(c.Hash, rows[2].Hash) {
			t.Error("the checkpoint has another hash than the row")
		}
		d.log(t, 600) // more than a page
		var out bytes.Buffer
		e, err := d.Export(context.Background(), &out, 1)
		if err != nil || e.To != 603 || e.Checkpoints != 3 {
			t.Fatalf("%+v, %v", e, err)
		}
		r, err := audit.Verify(&out, storedCert(d), nil)
		if err != nil || r.Rows != 603 || r.Seq != 603 || r.Checkpoints != 3 || !bytes.Equal(r.Hash, e.Hash) {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// HCA-8.1.6: the window does not vouch for a log that somebody rewrote before the last checkpoint, nor for one that
// does not hold together after it, and does not export it either.
func TestNoCheckpointOfBrokenLog(t *testing.T) {
	for name, c := range map[string]struct {
		change  []string
		rewrite bool
	}{
		"row edited":             {change: []string{"UPDATE audit_events SET actor = 'x' WHERE seq = 8"}},
		"row removed":            {change: []string{"DELETE FROM audit_events WHERE seq = 8"}},
		"end cut":                {change: []string{"DELETE FROM audit_events WHERE seq = 9"}},
		"end cut with its head":  {change: []string{"DELETE FROM audit_events WHERE seq > 3"}, rewrite: true},
		"rewritten as a whole":   {change: []string{"UPDATE audit_events SET actor = 'x' WHERE seq = 2"}, rewrite: true},
		"signed row removed":     {change: []string{"DELETE FROM audit_events WHERE seq = 5"}},
		"checkpoint of a fake":   {change: []string{"UPDATE audit_checkpoints SET signed = substr(signed, 1, 200)"}},
		"head moved":             {change: []string{"UPDATE audit_head SET seq = 99"}},
		"everything was deleted": {change: []string{"DELETE FROM audit_events"}, rewrite: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, storetest.SQLite(t))
			d.log(t, 5)
			d.sign(t)
			d.log(t, 4)
			d.exec(t, c.change...)
			if c.rewrite {
				d.rewrite(t)
			}
			if s, err := d.Checkpoint(context.Background()); err == nil {
				t.Errorf("signed: %+v", s.Checkpoint)
			}
			if _, err := d.Export(context.Background(), io.Discard, 1); err == nil {
				t.Error("exported")
			}
		})
	}
}

// HCA-3.1: after a renewal the log goes on; a certificate that nobody pinned signs nothing.
func TestRenewedCertificate(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	d.log(t, 2)
	d.sign(t)
	d.log(t, 2)
	next := newCredential(t)
	if _, err := d.notary(next, next.cert).Checkpoint(context.Background()); err == nil || !strings.Contains(err.Error(), "renewal") {
		t.Errorf("the last checkpoint was taken without its certificate: %v", err)
	}
	n := d.notary(next, next.cert, d.cert)
	var out bytes.Buffer
	if _, err := n.Export(context.Background(), &out, 1); err != nil {
		t.Fatal(err)
	}
	if r, err := audit.Verify(bytes.NewReader(out.Bytes()), append(storedCert(d), next.cert), nil); err != nil || r.Checkpoints != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := audit.Verify(bytes.NewReader(out.Bytes()), storedCert(d), nil); err == nil {
		t.Error("a seal under a certificate that is not pinned was taken")
	}
}

// HCA-8.1.6: what a stranger sends, broken UTF-8 and NUL included, is logged, and the log can be exported.
func TestStrangersText(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		d.Update(t, func(tx *store.Tx) error {
			return tx.Audit(ra.Event{At: d.Clock.Now(), Actor: ra.Actor{Kind: ra.ActorStaff, ID: "a\xff\x00b", RequestID: "\xf0\x28"}, Act: "staff.login",
				Object: "staff/\x00", Outcome: ra.OutcomeRefused, Details: map[string]string{"k\xff": "v\xfe\u2028"}})
		})
		if _, err := audit.Verify(bytes.NewReader(d.export(t, 1)), storedCert(d), nil); err != nil {
			t.Error(err)
		}
	})
}

// A checkpoint is good for nothing but what it says: another statement under the same key is none.
func TestOpenCheckpointRefuses(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	d.log(t, 1)
	good := string(mustContent(t, d.sign(t).Signed))
	for name, content := range map[string]string{
		"another format": strings.Replace(good, "checkpoint v1", "export v1", 1),
		"unknown field":  strings.Replace(good, `"seq"`, `"more":1,"seq"`, 1),
		"doubled field":  strings.Replace(good, `"seq":1`, `"seq":1,"seq":1`, 1),
		"other spelling": strings.Replace(good, `"seq"`, `"Seq"`, 1),
		"short hash":     strings.Replace(good, `"hash":"`, `"hash":"00`, 1),
		"another time":   strings.Replace(good, `"at":"2026`, `"at":"2027`, 1),
		"negative":       strings.Replace(good, `"seq":1`, `"seq":-1`, 1),
		"no JSON":        "x",
		"something more": good + "{}",
	} {
		signed, err := cms.Sign([]byte(content), d.key, d.cert.Raw, cms.SignOptions{SigningTime: d.Clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if c, err := audit.OpenCheckpoint(signed, storedCert(d)); err == nil || content == good {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if _, err := audit.OpenCheckpoint(nil, storedCert(d)); err == nil {
		t.Error("nothing is a checkpoint")
	}
}

// A log that fails while it is exported leaves no export that is taken for whole.
func TestExportFails(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	d.log(t, 3)
	if _, err := d.Export(context.Background(), failing{}, 1); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
	for _, from := range []int64{0, -1, 4} {
		if _, err := d.Export(context.Background(), io.Discard, from); err == nil {
			t.Errorf("exported from row %d of three", from)
		}
	}
}

var errFull = errors.New("the disk is full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

func mustContent(t testing.TB, signed []byte) []byte {
	t.Helper()
	sd, err := cms.Open(signed, cms.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return sd.Content
}
