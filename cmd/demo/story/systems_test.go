package story

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

// systems proves by the window's own records what TellSystems was told: that each hash was signed once, and that what was
// refused left its row under its clause.
func systems(t *testing.T, address string) {
	t.Run("EachHashSignedOnce", func(t *testing.T) { eachHashOnce(t, address) })
	t.Run("RefusalsLeaveRows", func(t *testing.T) { refusalsLeaveRows(t, address) })
}

// HCA-6.3.5, HCA-7.2: the rows of the audit log say of every hash at most once that it was signed, as many times as signatures
// were handed out and no other time, and no signature is kept after that.
func eachHashOnce(t *testing.T, address string) {
	signed := map[string]map[int]bool{}
	for _, r := range ask(t, address, `SELECT details FROM audit_events WHERE act = 'sign.release' AND outcome = 'done'`) {
		var d struct{ Authorisation, Signed string }
		if err := json.Unmarshal([]byte(r[0]), &d); err != nil {
			t.Fatal(err)
		}
		from, to, ok := strings.Cut(d.Signed, "-")
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if !ok || err1 != nil || err2 != nil {
			t.Fatalf("the row says %q", d.Signed)
		}
		if signed[d.Authorisation] == nil {
			signed[d.Authorisation] = map[int]bool{}
		}
		for n := first; n <= last; n++ {
			if signed[d.Authorisation][n] {
				t.Errorf("hash %d of %s was signed twice", n, d.Authorisation)
			}
			signed[d.Authorisation][n] = true
		}
	}
	whole, stopped := 0, 0
	for _, r := range ask(t, address, `SELECT h.authorisation_id, h.state, COUNT(*), COUNT(h.signature), MAX(a.hash_count) FROM signature_hashes h
		JOIN signature_authorisations a ON a.id = h.authorisation_id WHERE a.client <> 'device' GROUP BY h.authorisation_id, h.state`) {
		count, _ := strconv.Atoi(r[2])
		switch {
		case r[1] == "collected" && r[2] == "200" && r[4] == "200":
			whole++
		case r[1] == "refused" && r[4] == "500":
			stopped++
		}
		if r[1] == "collected" && (count != len(signed[r[0]]) || r[3] != "0") {
			t.Errorf("%s: %d hashes signed, %d collected, %s signatures kept", r[0], len(signed[r[0]]), count, r[3])
		}
		if r[1] == "signed" {
			t.Errorf("%s: %d signatures were not collected", r[0], count)
		}
	}
	if whole != 1 || stopped != 2 {
		t.Errorf("%d batches of 200 were collected whole, %d of 500 were stopped", whole, stopped)
	}
}

// HCA-8.1.6: what was refused to phones and systems is in the audit log, under the rule that refused.
func refusalsLeaveRows(t *testing.T, address string) {
	for _, want := range []struct {
		act, clause string
		least       int
	}{
		{"sign.release", "HCA-7.2", 2}, {"sign.request", "HCA-7.2", 1}, {"sign.hash", "HCA-6.3.7", 3}, {"sign.release", "HCA-6.3.7", 3}, {"sign.request", "HCA-6.3.7", 3},
		{"sign.collect", "HCA-6.3.7", 1}, {"sign.collect", "HCA-6.3.5", 1}, {"oauth.use", "", 2}, {"oauth.token", "", 1},
	} {
		rows := ask(t, address, `SELECT act FROM audit_events WHERE outcome = 'refused' AND act = '`+want.act+`' AND clause = '`+want.clause+`'`)
		if len(rows) < want.least {
			t.Errorf("%s %s: %d rows of refusals, at least %d are due", want.act, want.clause, len(rows), want.least)
		}
	}
}
