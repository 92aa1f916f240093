package card

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// events listens to /events as a page of the origin does.
func (r *rig) events(t *testing.T, origin string) (next func() []Presence, resp *http.Response) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", r.http.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", origin)
	if resp, err = http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	scan := bufio.NewScanner(resp.Body)
	return func() []Presence {
		t.Helper()
		for scan.Scan() {
			if data, ok := strings.CutPrefix(scan.Text(), "data: "); ok {
				var list []Presence
				if err := json.Unmarshal([]byte(data), &list); err != nil {
					t.Fatal(err)
				}
				return list
			}
		}
		t.Fatal("the stream ended: ", scan.Err())
		return nil
	}, resp
}

func (m *softModule) pull()   { m.set(func(m *softModule) { m.slots[0].Present = false }) }
func (m *softModule) insert() { m.set(func(m *softModule) { m.slots[0].Present = true }) }

// HCA-8.1.2: a page hears of each removal and insertion; the same card put in again is another insertion.
func TestEvents(t *testing.T) {
	r := newRig(t, nil)
	next, resp := r.events(t, testSite)
	if o := resp.Header.Get("Access-Control-Allow-Origin"); o != testSite {
		t.Errorf("the page cannot read the stream: %q", o)
	}
	list := next()
	for len(list) == 0 { // the first look may not have been taken yet
		list = next()
	}
	if len(list) != 1 || !list[0].Present || list[0].SlotDescription != "Reader 0" {
		t.Fatalf("at first: %+v", list)
	}
	first := list[0].Insertion
	if a := r.ask(t, "POST", "/sign", form()); a.Insertion != first {
		t.Errorf("the signature names insertion %q, not %q", a.Insertion, first)
	}
	r.mod.pull()
	if list = next(); list[0].Present || list[0].Insertion != "" {
		t.Errorf("taken out: %+v", list)
	}
	r.mod.insert()
	if list = next(); !list[0].Present || list[0].Insertion == first || len(list[0].Insertion) != 32 {
		t.Errorf("put in again: %+v, before %s", list, first)
	}
	second := list[0].Insertion
	r.mod.set(func(m *softModule) {
		token := *m.slots[0].Token
		token.Serial = "TP00000000000000"
		m.slots[0].Token = &token
	})
	if list = next(); !list[0].Present || list[0].Insertion == second {
		t.Errorf("another card between two looks: %+v", list)
	}
	r.mod.set(func(m *softModule) { m.slots = nil })
	if list = next(); len(list) != 0 {
		t.Errorf("reader unplugged: %+v", list)
	}
}

func TestEventsForTrustedSitesOnly(t *testing.T) {
	r := newRig(t, nil)
	resp, body := r.call(t, "GET", "/events", "", "Origin", "https://evil.example")
	var a answer
	if err := json.Unmarshal(body, &a); err != nil || a.RetCode != CodeUntrustedSite || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s, CORS %q", body, resp.Header.Get("Access-Control-Allow-Origin"))
	}
}

func TestEventStreamsAreCounted(t *testing.T) {
	r := newRig(t, nil)
	for range maxStreams {
		next, _ := r.events(t, testSite)
		next()
	}
	if a := r.ask(t, "GET", "/events", ""); a.RetCode != CodeTimeout {
		t.Errorf("stream %d: %08x", maxStreams+1, a.RetCode)
	}
}

// HCA-8.1.2: taking the card out ends the operation, at each of its stages.
func TestRemovalEndsOperation(t *testing.T) {
	t.Run("while the PIN is asked for", func(t *testing.T) {
		r := newRig(t, nil)
		r.prompt.wait, r.prompt.seen = true, make(chan struct{}, 1)
		go func() { <-r.prompt.seen; r.mod.pull() }()
		if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeNoCard {
			t.Errorf("%08x", a.RetCode)
		}
	})
	t.Run("and another card put in", func(t *testing.T) {
		r := newRig(t, nil)
		r.prompt.wait, r.prompt.seen = true, make(chan struct{}, 1)
		go func() {
			<-r.prompt.seen
			r.mod.set(func(m *softModule) {
				token := *m.slots[0].Token
				token.Serial = "TP00000000000000"
				m.slots[0].Token = &token
			})
		}()
		if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeNoCard || r.mod.logins != 0 {
			t.Errorf("%08x, %d logins", a.RetCode, r.mod.logins)
		}
	})
	t.Run("while it signs", func(t *testing.T) {
		r := newRig(t, func(_ *Config, m *softModule) {
			m.onSign = func() error { m.pull(); return &ModuleError{"C_Sign", rvFunctionFailed} }
		})
		if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeNoCard || a.Signature != nil {
			t.Errorf("%08x", a.RetCode)
		}
	})
	t.Run("while it signs, and the reader tells late", func(t *testing.T) {
		r := newRig(t, func(c *Config, m *softModule) {
			c.PollInterval = 50 * time.Millisecond
			m.onSign = func() error {
				time.AfterFunc(60*time.Millisecond, m.pull)
				return &ModuleError{"C_Sign", rvFunctionFailed}
			}
		})
		if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeNoCard {
			t.Errorf("%08x", a.RetCode)
		}
	})
	t.Run("right after it signed", func(t *testing.T) {
		r := newRig(t, func(_ *Config, m *softModule) { m.onSign = func() error { m.pull(); return nil } })
		if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeNoCard || a.Signature != nil {
			t.Errorf("%08x", a.RetCode)
		}
	})
}

// A library that hangs stops nothing but the use of the library, and works again when it comes back.
func TestHungLibrary(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, func(c *Config, m *softModule) { c.ModuleTimeout, m.hang = 100*time.Millisecond, release })
	if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeTimeout {
		t.Errorf("the operation that hangs: %08x", a.RetCode)
	}
	start := time.Now()
	if a := r.ask(t, "GET", "/pkcs11info", ""); a.RetCode != CodeTimeout || time.Since(start) > 2*time.Second {
		t.Errorf("another: %08x after %v", a.RetCode, time.Since(start))
	}
	if resp, _ := r.call(t, "GET", "/popupForm", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("pages: status %d", resp.StatusCode)
	}
	r.mod.set(func(m *softModule) { m.hang = nil })
	close(release)
	deadline := time.Now().Add(5 * time.Second)
	for r.ask(t, "GET", "/pkcs11info", "").RetCode != CodeOK {
		if time.Now().After(deadline) {
			t.Fatal("it does not work again")
		}
	}
}

// Two questions are never on the screen at once.
func TestOneOperationAtATime(t *testing.T) {
	r := newRig(t, nil)
	r.prompt.wait, r.prompt.seen = true, make(chan struct{}, 1)
	first := make(chan answer)
	go func() { first <- r.ask(t, "POST", "/sign", form()) }()
	<-r.prompt.seen
	if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeTimeout {
		t.Errorf("the second: %08x", a.RetCode)
	}
	r.mod.pull()
	<-first
}

// A page that goes away takes its question with it, and a person who does not answer has declined.
func TestQuestionEnds(t *testing.T) {
	r := newRig(t, func(c *Config, _ *softModule) { c.PromptTimeout = 50 * time.Millisecond })
	r.prompt.wait = true
	if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeCancelled {
		t.Errorf("nobody answers: %08x", a.RetCode)
	}
	patient := newRig(t, nil)
	patient.prompt.wait, patient.prompt.seen = true, make(chan struct{}, 2)
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", patient.http.URL+"/sign", bytes.NewBufferString(form()))
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-patient.prompt.seen; leave() }()
	if _, err = http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	patient.prompt.setWait(false)
	deadline := time.Now().Add(5 * time.Second)
	for patient.ask(t, "POST", "/sign", form()).RetCode != CodeOK {
		if time.Now().After(deadline) {
			t.Fatal("the question of a page that left is still there")
		}
	}
}
