package policy

import (
	"testing"
	"time"
)

// HCA-7.2, HCA-7.3: the key works only while the certificate is in force, for its holder, on its device.
func TestUsable(t *testing.T) {
	good := Use{State: "live", NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), DeviceState: "bound", SameBinding: true, SamePerson: true}
	with := func(change func(*Use)) Use {
		u := good
		change(&u)
		return u
	}
	state := func(s string) Use { return with(func(u *Use) { u.State = s }) }
	device := func(s string) Use { return with(func(u *Use) { u.DeviceState = s }) }
	for _, c := range []struct {
		name   string
		u      Use
		at     time.Time
		clause Clause
		code   string
	}{
		{"in force", good, noon, "", ""},
		{"first moment", good, good.NotBefore, "", ""},
		{"last moment", good, good.NotAfter, "", ""},
		{"no facts", Use{}, noon, "HCA-7.2", "certificate-not-issued"},
		{"not issued", state(""), noon, "HCA-7.2", "certificate-not-issued"},
		{"suspended", state("suspended"), noon, "HCA-7.2", "certificate-suspended"},
		{"revocation not confirmed", state("revoking"), noon, "HCA-7.2", "certificate-revoked"},
		{"revoked", state("revoked"), noon, "HCA-7.2", "certificate-revoked"},
		{"marked expired", state("expired"), noon, "HCA-7.2", "certificate-expired"},
		{"unknown state", state("LIVE"), noon, "HCA-7.2", "certificate-state-unknown"},
		{"not yet valid", good, good.NotBefore.Add(-time.Nanosecond), "HCA-7.2", "certificate-not-yet-valid"},
		{"expired though marked live", good, good.NotAfter.Add(time.Nanosecond), "HCA-7.2", "certificate-expired"},
		{"somebody else", with(func(u *Use) { u.SamePerson = false }), noon, "HCA-7.3", "person-differs"},
		{"bound anew", with(func(u *Use) { u.SameBinding = false }), noon, "HCA-7.3", "device-bound-again"},
		{"device unbound", device("registered"), noon, "HCA-7.3", "device-not-bound"},
		{"device lost", device("lost"), noon, "HCA-7.3", "device-lost"},
		{"device broken", device("broken"), noon, "HCA-7.3", "device-broken"},
		{"device retired", device("retired"), noon, "HCA-7.3", "device-retired"},
		{"device unknown", device(""), noon, "HCA-7.3", "device-state-unknown"},
	} {
		t.Run(c.name, func(t *testing.T) { wantDecision(t, Usable(c.u, c.at), c.clause, c.code) })
	}
}

// HCA-8.1.4: a message is good for five minutes at most, from its issue until but not at its end.
func TestMessageLife(t *testing.T) {
	issued := noon
	for _, c := range []struct {
		name string
		life time.Duration
		at   time.Time
		code string
	}{
		{"at once", MaxMessageLife, issued, ""},
		{"at the last moment", MaxMessageLife, issued.Add(MaxMessageLife - 1), ""},
		{"at its end", MaxMessageLife, issued.Add(MaxMessageLife), "message-expired"},
		{"after a shorter life", time.Minute, issued.Add(time.Minute), "message-expired"},
		{"before its issue", MaxMessageLife, issued.Add(-1), "message-not-yet-valid"},
		{"too long a life", MaxMessageLife + 1, issued, "message-life-invalid"},
		{"no life", 0, issued, "message-life-invalid"},
		{"ended before it began", -time.Minute, issued, "message-life-invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantDecision(t, MessageLife(issued, issued.Add(c.life), c.at), "HCA-8.1.4", c.code)
		})
	}
	wantDecision(t, MessageLife(time.Time{}, time.Time{}, noon), "HCA-8.1.4", "message-life-invalid")
	wantDecision(t, MessageLife(time.Time{}, noon.Add(time.Minute), noon), "HCA-8.1.4", "message-life-invalid")
}

// HCA-8.1.1: ten minutes without use end a session, twelve hours end it anyhow, and a setting only tightens.
func TestSession(t *testing.T) {
	start := noon.Add(-time.Hour)
	for _, c := range []struct {
		name              string
		started, lastUsed time.Time
		idle              time.Duration
		code              string
	}{
		{"just used", start, noon, 0, ""},
		{"almost idle", start, noon.Add(-MaxIdle + 1), 0, ""},
		{"ten minutes idle", start, noon.Add(-MaxIdle), 0, "session-idle"},
		{"never used since long", noon.AddDate(0, 0, -1), noon.Add(-MaxIdle), 0, "session-idle"},
		{"tightened", start, noon.Add(-2 * time.Minute), 2 * time.Minute, "session-idle"},
		{"within what was tightened", start, noon.Add(-2*time.Minute + 1), 2 * time.Minute, ""},
		{"loosened in vain", start, noon.Add(-MaxIdle), time.Hour, "session-idle"},
		{"a negative setting", start, noon.Add(-MaxIdle), -time.Hour, "session-idle"},
		{"twelve hours", noon.Add(-MaxSession), noon, 0, "session-too-long"},
		{"almost twelve hours", noon.Add(-MaxSession + 1), noon, 0, ""},
		{"another replica's clock is ahead", start, noon.Add(30 * time.Second), 0, ""},
		{"used in the future", start, noon.Add(2 * time.Minute), 0, "session-times-invalid"},
		{"begun in the future", noon.Add(2 * time.Minute), noon.Add(2 * time.Minute), 0, "session-times-invalid"},
		{"used before it began", noon, noon.Add(-time.Minute), 0, "session-times-invalid"},
		{"no times", time.Time{}, time.Time{}, 0, "session-idle"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantDecision(t, Session(c.started, c.lastUsed, noon, c.idle, 0), "HCA-8.1.1", c.code)
		})
	}
}
