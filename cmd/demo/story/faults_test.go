package story

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/demo/stage"
)

// applied has somebody's card consent to a key in the HSM; the request to the HCA follows by itself.
func applied(t *testing.T, s *Story, who person) (application string) {
	t.Helper()
	application, _, err := s.consent(t.Context(), wish{who, s.tablet, []string{"EMR-SIGN"}, "hsm"})
	if err != nil {
		t.Fatal(err)
	}
	return application
}

// shows waits until an application's page shows all of these.
func shows(t *testing.T, s *Story, application string, wanted ...string) {
	t.Helper()
	until(t, 10*time.Second, "the application's page shows "+strings.Join(wanted, ", "), func() (bool, string) {
		p, err := s.clerk.get(t.Context(), "/applications/"+application)
		if err != nil {
			return false, err.Error()
		}
		_, main, _ := strings.Cut(p.body, "<main")
		for _, w := range wanted {
			if !strings.Contains(main, w) {
				return false, main
			}
		}
		return true, ""
	})
}

// ends waits until an application comes to its end by itself.
func ends(t *testing.T, s *Story, application, state string) {
	t.Helper()
	got, err := s.clerk.poll(t.Context(), "/counter/"+application+"/state", "completed", "refused", "disputed")
	if err != nil || got["state"] != state {
		t.Errorf("the application is %v, not %s: %v", got["state"], state, err)
	}
}

// holdsSlot tells whether an application occupies one of the five (HCA-7.5).
func holdsSlot(t *testing.T, address, application string) bool {
	t.Helper()
	rows := ask(t, address, `SELECT id FROM applications WHERE slot IS NOT NULL AND id = '`+application+`'`)
	return len(rows) == 1
}

// health is what /healthz and /readyz say.
func health(t *testing.T, st *stage.Stage) (alive int, ready int, failing []string) {
	t.Helper()
	client, err := st.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	get := func(path string) (int, []byte) {
		res, err := client.Get(st.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, raw
	}
	alive, _ = get("/healthz")
	ready, raw := get("/readyz")
	var doc struct{ Failing []string }
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return alive, ready, doc.Failing
}

// red waits until the server says that it is alive, and not ready because of what; green that it is ready again.
func red(t *testing.T, st *stage.Stage, what string) {
	t.Helper()
	until(t, 20*time.Second, "not ready for want of "+what, func() (bool, string) {
		alive, ready, failing := health(t, st)
		if alive != http.StatusOK {
			t.Fatalf("without %s the server is not alive: %d", what, alive)
		}
		return ready == http.StatusServiceUnavailable && len(failing) == 1 && failing[0] == what, strings.Join(failing, ", ")
	})
}

func green(t *testing.T, st *stage.Stage) {
	t.Helper()
	until(t, 20*time.Second, "ready again", func() (bool, string) {
		_, ready, failing := health(t, st)
		return ready == http.StatusOK, strings.Join(failing, ", ")
	})
}

// HCA-3.3: whatever the HCA does, a certificate is taken only where it fits its request, what is not known stays
// open and visible, and what was out of order goes on by itself once it is mended.
func TestFaults(t *testing.T) {
	t.Parallel()
	st, s := prepared(t, stage.Options{})
	address := onSQLite(st)
	set := func(t *testing.T, faults ...fault) {
		t.Helper()
		for _, f := range faults {
			if err := st.Fault(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() {
			if err := st.Mend(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("Refused", func(t *testing.T) {
		set(t, fault{"refuse", 1, 0})
		a := applied(t, s, s.wang)
		ends(t, s, a, "refused")
		shows(t, s, a, "hca-refused", "refused, as told")
		if holdsSlot(t, address, a) {
			t.Error("a definite no holds one of the five")
		}
	})
	for _, kind := range []string{"wrong-key", "wrong-person"} {
		t.Run(kind, func(t *testing.T) {
			set(t, fault{kind, 1, 0})
			a := applied(t, s, s.wang)
			ends(t, s, a, "disputed")
			shows(t, s, a, "hca-mismatch")
			if !holdsSlot(t, address, a) {
				t.Error("a certificate that may exist holds none of the five")
			}
			if home, err := s.clerk.get(t.Context(), "/"); err != nil || !strings.Contains(home.body, "a person must look") {
				t.Errorf("the home page does not ask for a person to look: %v", err)
			}
		})
	}
	for _, kind := range []string{"wrong-transaction", "wrong-nonce", "unsigned", "other-signer"} {
		t.Run(kind, func(t *testing.T) {
			who := map[bool]person{true: s.wang, false: s.chen}[strings.HasPrefix(kind, "wrong")]
			set(t, fault{kind, -1, 0})
			a := applied(t, s, who)
			shows(t, s, a, ">Sent<", `class="code">hca-`)
			if n := len(ask(t, address, `SELECT id FROM certificates WHERE application_id = '`+a+`'`)); n != 0 || !holdsSlot(t, address, a) {
				t.Errorf("%d certificates were taken from an answer that proves nothing; slot held: %v", n, holdsSlot(t, address, a))
			}
			if err := st.Mend(t.Context()); err != nil {
				t.Fatal(err)
			}
			ends(t, s, a, "completed")
		})
	}
	t.Run("AnswersTwice", func(t *testing.T) {
		set(t, fault{"answer-twice", 1, 0})
		a := applied(t, s, s.chen)
		ends(t, s, a, "completed")
		onceEachOf(t, st, address, a)
	})
	t.Run("Slow", func(t *testing.T) {
		set(t, fault{"slow", 1, 1500 * time.Millisecond})
		a := applied(t, s, s.chen)
		shows(t, s, a, ">Sent<")
		ends(t, s, a, "completed")
		onceEachOf(t, st, address, a)
	})
	t.Run("Down", func(t *testing.T) { down(t, st, s, address) })
}

// down takes the whole HCA away: the window says so, keeps what it is asked, and goes on by itself (HCA-3.1).
func down(t *testing.T, st *stage.Stage, s *Story, address string) {
	ctx := t.Context()
	if err := st.Fault(ctx, fault{"closed", -1, 0}); err != nil {
		t.Fatal(err)
	}
	application := applied(t, s, s.chen)
	shows(t, s, application, ">Sent<", "hca-network")
	st.StopHCA()
	red(t, st, "hca")
	shows(t, s, application, ">Sent<", "hca-network")
	if out, err := st.Run(ctx, "certwindow", "doctor", "--config", st.Config(), "--json"); exitCode(err) != 1 || !strings.Contains(string(out), `"healthy":false`) {
		t.Errorf("the doctor finds nothing wrong: %d %s", exitCode(err), out)
	}
	if err := st.StartHCA(ctx); err != nil {
		t.Fatal(err)
	}
	green(t, st)
	ends(t, s, application, "completed")
	onceEachOf(t, st, address, application)
}

func onceEachOf(t *testing.T, st *stage.Stage, address, application string) {
	t.Helper()
	if n := readJournal(t, st).issued[application]; n != 1 {
		t.Errorf("the HCA issued %d certificates", n)
	}
	if n := len(ask(t, address, `SELECT id FROM certificates WHERE application_id = '`+application+`'`)); n != 1 {
		t.Errorf("there are %d certificates", n)
	}
}
