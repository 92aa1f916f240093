package story

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"certwindow/cmd/demo/stage"
)

// replicas proves that what may happen once happens once, whichever of two servers is asked.
func replicas(t *testing.T, st *stage.Stage, s *Story, w *watcher, address string) {
	t.Run("OneSession", func(t *testing.T) { oneSession(t, st, s) })
	t.Run("OneUseOfARequest", func(t *testing.T) { oneUse(t, st, s, w) })
	t.Run("OneUseOfAMessage", func(t *testing.T) { oneMessage(t, st, s) })
	t.Run("OneAnswerToAKey", func(t *testing.T) { oneAnswer(t, st, s) })
	t.Run("FiveCertificates", func(t *testing.T) { fiveCertificates(t, st, s, address) })
	t.Run("OneSweep", func(t *testing.T) { oneSweep(t, st, s, address) })
}

// HCA-8.1.1: a session begun at one server is good at the other, and ended at one it is ended at both.
func oneSession(t *testing.T, st *stage.Stage, s *Story) {
	account, err := s.hire(t.Context(), "counter2", "李櫃檯", "clerk", stage.Window)
	if err != nil {
		t.Fatal(err)
	}
	c, err := signIn(t.Context(), st, account)
	if err != nil {
		t.Fatal(err)
	}
	first, second := c.at(st, 0), c.at(st, 1)
	for i, who := range []*clerk{first, second} {
		if p, err := who.get(t.Context(), "/persons"); err != nil || p.url.Path != "/persons" {
			t.Errorf("server %d sends the clerk to %v: %v", i+1, p.url, err)
		}
	}
	if _, err := first.post(t.Context(), "/logout", url.Values{}); err != nil {
		t.Fatal(err)
	}
	if p, err := second.get(t.Context(), "/persons"); err != nil || p.url.Path != "/login" {
		t.Errorf("signed out at one server, the other shows %v: %v", p.url, err)
	}
}

// HCA-8.1.4: a signed request that one server took is refused by the other.
func oneUse(t *testing.T, st *stage.Stage, s *Story, w *watcher) {
	req, err := s.spare.phone.signed(t.Context(), http.MethodGet, "/device", nil, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got := deliver(t, s.spare.phone, st.URL, req); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	x := caught(t, w, http.MethodGet, "/device")
	for i := range 2 {
		if got := deliver(t, s.spare.phone, st.Replica(i), again(t, st, x, x.Sent)); got.code != "nonce-used" {
			t.Errorf("server %d took it again: %d %s", i+1, got.status, got.body)
		}
	}
}

// HCA-8.1.4: a card's message handed to both servers at the same moment is taken by one of them.
func oneMessage(t *testing.T, st *stage.Stage, s *Story) {
	application, text, err := s.begin(t.Context(), wish{s.wang, s.spare, []string{"EMR-SIGN"}, "app"})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.cards.sign(t.Context(), s.wang.card, text)
	if err != nil {
		t.Fatal(err)
	}
	errs := atBoth(func(i int) error {
		_, err := s.clerk.at(st, i).post(context.Background(), "/counter/"+application+"/sign",
			url.Values{"signature": {signed.Signature}, "insertion": {signed.Insertion}})
		return err
	})
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("one of two servers takes a message, not: %v; %v", errs[0], errs[1])
	}
	if _, err := s.clerk.post(t.Context(), "/applications/"+application+"/cancel", url.Values{}); err != nil {
		t.Fatal(err)
	}
}

func atBoth(do func(i int) error) (errs [2]error) {
	var both sync.WaitGroup
	for i := range errs {
		both.Go(func() { errs[i] = do(i) })
	}
	both.Wait()
	return errs
}

// A request repeated under its idempotency key has one effect and one answer, at whichever server, and the key is
// good for no other request.
func oneAnswer(t *testing.T, st *stage.Stage, s *Story) {
	ctx, phone := t.Context(), s.spare.phone
	application, message, err := s.consent(ctx, wish{s.wang, s.spare, []string{"EMR-SIGN"}, "app"})
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := phone.challenge(ctx, application)
	if err != nil {
		t.Fatal(err)
	}
	body, err := keyRequest(challenge, message, phone)
	if err != nil {
		t.Fatal(err)
	}
	where, key := "/applications/"+application+"/request", rand.Text()
	send := func(i int, body map[string][]byte) answer {
		req, err := phone.signed(ctx, http.MethodPost, where, body, key, time.Now())
		if err != nil {
			t.Error(err)
			return answer{}
		}
		return deliver(t, s.spare.phone, st.Replica(i), req)
	}
	var got [2]answer
	atBoth(func(i int) error {
		for got[i] = send(i, body); got[i].code == "under-way"; got[i] = send(i, body) {
			pause(ctx, 50*time.Millisecond)
		}
		return nil
	})
	if got[0].status >= 300 || got[0].status != got[1].status || !bytes.Equal(got[0].body, got[1].body) {
		t.Errorf("the same request has two answers:\n%d %s\n%d %s", got[0].status, got[0].body, got[1].status, got[1].body)
	}
	other, err := keyRequest(challenge, message, phone)
	if err != nil {
		t.Fatal(err)
	}
	if bad := send(1, other); bad.status < 400 {
		t.Errorf("the key of one request let another in: %d %s", bad.status, bad.body)
	}
	if _, err := s.completed(ctx, application); err != nil {
		t.Fatal(err)
	}
	if n := readJournal(t, st).issued[application]; n != 1 {
		t.Errorf("the HCA issued %d certificates for one application", n)
	}
}

// HCA-7.5: of eight consents that reach two servers at once, those are taken that make five.
func fiveCertificates(t *testing.T, st *stage.Stage, s *Story, address string) {
	ctx := t.Context()
	const live = `SELECT id, slot FROM applications WHERE kind = 'enrolment' AND slot IS NOT NULL AND person_id = '`
	before := len(ask(t, address, live+s.wang.id+"'"))
	type consented struct{ application, message, insertion string }
	var all []consented
	for range 8 {
		application, text, err := s.begin(ctx, wish{s.wang, s.spare, []string{"EMR-SIGN"}, "hsm"})
		if err != nil {
			break // the five are counted with what waits for its card
		}
		signed, err := s.cards.sign(ctx, s.wang.card, text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, consented{application, signed.Signature, signed.Insertion})
	}
	if len(all) < 5-before {
		t.Fatalf("%d places were taken, and only %d applications could be begun", before, len(all))
	}
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, x := range all {
		group.Go(func() {
			_, errs[i] = s.clerk.at(st, i%2).post(context.Background(), "/counter/"+x.application+"/sign",
				url.Values{"signature": {x.message}, "insertion": {x.insertion}})
		})
	}
	group.Wait()
	taken := 0
	for i, err := range errs {
		var r *refusal
		switch {
		case err == nil:
			taken++
			if err := s.spare.phone.enrol(ctx, all[i].application); err != nil {
				t.Error(err)
			}
			if _, err := s.completed(ctx, all[i].application); err != nil {
				t.Error(err)
			}
		case !errors.As(err, &r) || r.clause != "HCA-7.5":
			t.Errorf("refused otherwise than by the five: %v", err)
		}
	}
	places := map[string]bool{}
	for _, r := range ask(t, address, live+s.wang.id+"'") {
		places[r[1]] = true
	}
	if taken != 5-before || len(places) != 5 {
		t.Errorf("%d were taken before and %d of %d now; places %v", before, taken, len(all), places)
	}
}

// HCA-3.6: two sweeps at the same moment, beside two servers, revoke each certificate once.
func oneSweep(t *testing.T, st *stage.Stage, s *Story, address string) {
	ctx := t.Context()
	if _, err := s.clerk.post(ctx, "/devices/"+s.spare.id+"/report", url.Values{"event": {"lose"}}); err != nil {
		t.Fatal(err)
	}
	errs := atBoth(func(int) error {
		_, err := st.Run(context.Background(), "certwindow", "sweep", "--config", st.Config(), "--json")
		return err
	})
	if errs[0] != nil && errs[1] != nil {
		t.Fatalf("neither sweep ran: %v; %v", errs[0], errs[1])
	}
	certificates := ask(t, address, `SELECT id, serial FROM certificates WHERE device_id = '`+s.spare.id+`'`)
	if len(certificates) == 0 {
		t.Fatal("the phone has no certificate")
	}
	for _, c := range certificates {
		if err := s.revoked(ctx, c[0]); err != nil {
			t.Error(err)
		}
		if n := readJournal(t, st).revoked[c[1]]; n != 1 {
			t.Errorf("the HCA revoked serial %s %d times", c[1], n)
		}
		if n := len(ask(t, address, `SELECT id FROM applications WHERE kind = 'revocation' AND certificate_id = '`+c[0]+`'`)); n != 1 {
			t.Errorf("certificate %s has %d revocations", c[0], n)
		}
	}
}
