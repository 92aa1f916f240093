package ra

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"certwindow/policy"
)

var update = flag.Bool("update", false, "write docs/states.md anew")

// moment is when the machines are asked.
var moment = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// expectation is a machine written down a second time by hand: one line a state, "state: event>state …".
// Whatever is not in it must be refused.
type expectation map[string]map[string]string

func expect(t *testing.T, table string) expectation {
	t.Helper()
	x := expectation{}
	for line := range strings.Lines(strings.TrimSpace(table)) {
		state, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || x[state] != nil {
			t.Fatalf("line %q", line)
		}
		x[state] = map[string]string{}
		for _, f := range strings.Fields(rest) {
			event, to, ok := strings.Cut(f, ">")
			if !ok {
				t.Fatalf("step %q", f)
			}
			x[state][event] = to
		}
	}
	return x
}

// prove asks a machine about every state and event, known and unknown, and compares with what was expected.
func prove[S, E ~string](t *testing.T, x expectation, events []E, next func(S, E) (S, error)) {
	t.Helper()
	states := []S{"", "unknown", "COMPLETED", "Live"}
	for s := range x {
		states = append(states, S(s))
	}
	for _, s := range states {
		for _, e := range append([]E{"", "unknown", "SEND"}, events...) {
			to, err := next(s, e)
			want, ok := x[string(s)][string(e)]
			switch {
			case ok && err != nil:
				t.Errorf("%q on %q refused: %v; want %q", e, s, err, want)
			case ok && string(to) != want:
				t.Errorf("%q on %q leads to %q, want %q", e, s, to, want)
			case !ok && err == nil:
				t.Errorf("%q on %q leads to %q, want a refusal", e, s, to)
			case !ok && to != s:
				t.Errorf("%q on %q is refused but changes to %q", e, s, to)
			case !ok && KindOf(err) != KindConflict && KindOf(err) != KindRefused:
				t.Errorf("%q on %q gave kind %v", e, s, KindOf(err))
			}
		}
	}
	for s, steps := range x {
		for _, to := range steps {
			if x[to] == nil {
				t.Errorf("%q leads to %q, which has no line", s, to)
			}
		}
	}
}

var certEvents = []CertificateEvent{CertSuspend, CertResume, CertRevoke, CertConfirm, CertExpire}

// HCA-7.2, HCA-5.2.2: every state of a certificate with every event, before and after its end.
func TestNextCertificate(t *testing.T) {
	const within = `
live:      suspend>suspended revoke>revoking confirm>revoked
suspended: resume>live revoke>revoking confirm>revoked
revoking:  confirm>revoked
revoked:
expired:`
	const past = `
live:      suspend>suspended revoke>revoking confirm>revoked expire>expired
suspended: resume>live revoke>revoking confirm>revoked expire>expired
revoking:  confirm>revoked expire>expired
revoked:
expired:`
	for _, c := range []struct {
		name     string
		notAfter time.Time
		table    string
	}{
		{"within", moment.Add(time.Hour), within},
		{"at the last moment", moment, within},
		{"just past", moment.Add(-time.Nanosecond), past},
		{"long past", moment.AddDate(-1, 0, 0), past},
	} {
		t.Run(c.name, func(t *testing.T) {
			prove(t, expect(t, c.table), certEvents, func(s CertificateState, e CertificateEvent) (CertificateState, error) {
				return NextCertificate(s, e, c.notAfter, moment)
			})
		})
	}
	valid := map[CertificateState]bool{CertLive: true, CertSuspended: true, CertRevoking: true, CertRevoked: false, CertExpired: false, "": false, "unknown": false}
	for s, want := range valid {
		if s.Valid() != want {
			t.Errorf("%q valid: %v, want %v", s, s.Valid(), want)
		}
	}
}

// HCA-7.5: a certificate that stopped counting never counts again.
func TestCertificateNeverReturns(t *testing.T) {
	for s := range certificateMachine {
		for e, to := range certificateMachine[s] {
			if !s.Valid() && to.Valid() {
				t.Errorf("%q brings a %q certificate back to %q", e, s, to)
			}
		}
	}
}

// HCA-4.1: every state of a device with every event.
func TestNextDevice(t *testing.T) {
	prove(t, expect(t, `
registered: bind>bound lose>lost break>broken retire>retired
bound:      bind>bound unbind>registered lose>lost break>broken retire>retired
lost:       find>registered retire>retired
broken:     repair>registered lose>lost retire>retired
retired:`),
		[]DeviceEvent{DeviceBind, DeviceUnbind, DeviceLose, DeviceFind, DeviceBreak, DeviceRepair, DeviceRetire}, NextDevice)
	for s, steps := range deviceMachine {
		for e, to := range steps {
			if to == DeviceBound && e != DeviceBind {
				t.Errorf("%q on %q binds a device without its screens being compared", e, s)
			}
		}
	}
}

// HCA-5.2.2: every ground's reason is one that the window can send, and the codes are RFC 5280's.
func TestReasonCodes(t *testing.T) {
	for name, want := range map[RevocationReason]int{
		"unspecified": 0, "keyCompromise": 1, "affiliationChanged": 3, "superseded": 4, "cessationOfOperation": 5, "privilegeWithdrawn": 9,
	} {
		if got, ok := name.Code(); !ok || got != want {
			t.Errorf("%s is %d, %v; want %d", name, got, ok, want)
		}
	}
	// certificateHold and removeFromCRL would undo a revocation, cACompromise and aACompromise are not the window's to say.
	for _, name := range []RevocationReason{"", "cACompromise", "certificateHold", "removeFromCRL", "aACompromise", "KeyCompromise"} {
		if got, ok := name.Code(); ok {
			t.Errorf("%q has code %d", name, got)
		}
	}
	for _, g := range policy.Grounds() {
		if _, ok := RevocationReason(g.Reason).Code(); !ok {
			t.Errorf("ground %s has reason %s, which has no code", g.Name, g.Reason)
		}
	}
}

// docs/states.md is what the machines are; -update writes it.
func TestDiagramsPage(t *testing.T) {
	file := filepath.Join("..", "docs", "states.md")
	want := Diagrams()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/states.md is not what the machines say: run go test ./ra -run TestDiagramsPage -update")
	}
}

// Every step is drawn once, and every end is an end.
func TestDiagramsAreWhole(t *testing.T) {
	steps, ends := 0, 0
	count := func(n int) {
		steps += n
		if n == 0 {
			ends++
		}
	}
	for _, m := range []machine[ApplicationState, ApplicationEvent]{enrolmentMachine, revocationMachine} {
		for _, to := range m {
			count(len(to))
		}
	}
	for _, to := range certificateMachine {
		count(len(to))
	}
	for _, to := range deviceMachine {
		count(len(to))
	}
	page := Diagrams()
	if n := len(regexp.MustCompile(`(?m)^    [a-z_]+ --> [a-z_]+: [a-z-]+$`).FindAllString(page, -1)); n != steps {
		t.Errorf("%d steps drawn, want %d", n, steps)
	}
	if n := strings.Count(page, "--> [*]"); n != ends {
		t.Errorf("%d ends drawn, want %d", n, ends)
	}
	if strings.Count(page, "```mermaid\nstateDiagram-v2\n") != 4 {
		t.Error("want four drawings")
	}
}
