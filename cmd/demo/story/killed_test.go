package story

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"certwindow/cmd/demo/stage"
)

// fault is the simulator's control document.
type fault struct {
	Kind  string        `json:"kind"`
	Count int           `json:"count"`
	Delay time.Duration `json:"delay_ns,omitempty"`
}

// HCA-3.3: a server that is killed at some moment of an enrolment, ten times at random, and started again, brings it to
// its end by itself: exactly one certificate, at the HCA and here, and no notice is lost (HCA-3.4).
func TestKilledServer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	st, s := prepared(t, stage.Options{})
	windows := [][]fault{nil, {{"slow", 1, 300 * time.Millisecond}}, {{"lose-answer", 1, 0}}, {{"slow", 2, 200 * time.Millisecond}, {"lose-answer", 1, 0}},
		{{"pending", 1, 0}}}
	var applications []string
	for i := range 10 {
		who := []person{s.wang, s.chen}[i%2]
		for _, f := range windows[i/2%len(windows)] {
			if err := st.Fault(ctx, f); err != nil {
				t.Fatal(err)
			}
		}
		applications = append(applications, killedWhile(t, st, s, who))
		if err := st.Mend(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range applications {
		began := time.Now()
		until(t, time.Minute, "the tablet's secret for "+a, func() (bool, string) {
			err := s.tablet.phone.enrol(ctx, a)
			return err == nil, errorText(err)
		})
		until(t, 2*time.Minute, "enrolment "+a, func() (bool, string) {
			state, err := s.clerk.poll(ctx, "/counter/"+a+"/state", "completed")
			return err == nil, t.Name() + ": " + errorText(err) + " " + text(state["state"])
		})
		t.Logf("enrolment %d came to its end %s after the last start", i, time.Since(began).Round(time.Millisecond))
	}
	onceEach(t, st, applications)
	noMailLost(t, st)
}

// killedWhile has an enrolment begun and the server killed at some moment of it.
func killedWhile(t *testing.T, st *stage.Stage, s *Story, who person) (application string) {
	t.Helper()
	ctx := t.Context()
	application, shown, err := s.begin(ctx, wish{who, s.tablet, []string{"EMR-SIGN"}, "hsm"})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.cards.sign(ctx, who.card, shown)
	if err != nil {
		t.Fatal(err)
	}
	message, err := signed.message()
	if err != nil {
		t.Fatal(err)
	}
	took := make(chan error, 1)
	go func() {
		err := s.submit(context.Background(), application, message, signed.Insertion)
		if err == nil {
			_ = s.tablet.phone.enrol(context.Background(), application) // it may be killed in the middle of the key, too
		}
		took <- err
	}()
	moment := rand.N(400 * time.Millisecond)
	pause(ctx, moment)
	st.KillServer()
	err = <-took
	if serr := st.StartServer(ctx); serr != nil {
		t.Fatal(serr)
	}
	if err == nil {
		return application
	}
	// The counter has no answer. Either the message was taken, or it can be handed in once more.
	state, perr := s.clerk.poll(ctx, "/counter/"+application+"/state", "awaiting-signature", "awaiting-key", "requested", "sent", "completed")
	if perr != nil {
		t.Fatal(perr)
	}
	if state["state"] == "awaiting-signature" {
		if err := s.submit(ctx, application, message, signed.Insertion); err != nil {
			t.Errorf("killed after %s, before the message was taken, it is not taken now: %v", moment, err)
		}
	}
	return application
}

// onceEach holds the window's register against the HCA's own record.
func onceEach(t *testing.T, st *stage.Stage, applications []string) {
	t.Helper()
	j := readJournal(t, st)
	for _, a := range applications {
		if j.issued[a] != 1 {
			t.Errorf("the HCA issued %d certificates for application %s", j.issued[a], a)
		}
		if n := len(ask(t, onSQLite(st), `SELECT id FROM certificates WHERE application_id = '`+a+`'`)); n != 1 {
			t.Errorf("application %s has %d certificates", a, n)
		}
	}
	if len(j.issued) != len(applications) || len(j.keys) != len(applications) {
		t.Errorf("the HCA issued for %d transactions and %d keys, of %d applications", len(j.issued), len(j.keys), len(applications))
	}
}

// noMailLost holds the notices against the mails that came. A mail whose acknowledgement was cut may come twice.
func noMailLost(t *testing.T, st *stage.Stage) {
	t.Helper()
	var notices []row
	came := map[string]int{}
	until(t, time.Minute, "every notice is sent", func() (bool, string) {
		notices = ask(t, onSQLite(st), `SELECT id, state FROM notices`)
		for _, n := range notices {
			if n[1] != "sent" {
				return false, n[0] + " is " + n[1]
			}
		}
		return true, ""
	})
	twice := 0
	for _, m := range st.Mail.Messages() {
		came[m.ID]++
		if came[m.ID] > 1 {
			twice++
		}
	}
	if len(came) != len(notices) {
		t.Errorf("%d notices, and mails of %d", len(notices), len(came))
	}
	t.Logf("%d notices, %d mails came a second time", len(notices), twice)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
