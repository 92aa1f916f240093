package policy

import (
	"testing"
	"time"
)

// HCA-5.1.1, HCA-3.7, HCA-7.3: the registered person, with their own card, in practice at the institution.
func TestPerson(t *testing.T) {
	for _, c := range []struct {
		name   string
		a      Applicant
		clause Clause
		code   string
	}{
		{"may apply", Applicant{true, true, true, true}, "", ""},
		{"no facts", Applicant{}, "HCA-5.1.1", "holder-differs"},
		{"stopped", Applicant{false, true, true, true}, "HCA-3.7", "person-inactive"},
		{"of another institution", Applicant{true, false, true, true}, "HCA-3.7", "not-a-member"},
		{"somebody else's card", Applicant{true, true, false, true}, "HCA-5.1.1", "holder-differs"},
		{"another name", Applicant{true, true, true, false}, "HCA-7.3", "name-differs"},
	} {
		t.Run(c.name, func(t *testing.T) { wantDecision(t, Person(c.a), c.clause, c.code) })
	}
}

// HCA-2.3, HCA-3.7: licence in force, and either the window itself or under a running agreement.
func TestInstitutionMayEnrol(t *testing.T) {
	from, to := noon.Add(-time.Hour), noon.Add(time.Hour)
	agreed := Institution{Active: true, Agreement: true, AgreedFrom: from, AgreedTo: to}
	for _, c := range []struct {
		name string
		i    Institution
		at   time.Time
		code string
	}{
		{"under an agreement", agreed, noon, ""},
		{"at its first moment", agreed, from, ""},
		{"before it", agreed, from.Add(-time.Nanosecond), "agreement-not-begun"},
		{"at its end", agreed, to, "agreement-ended"},
		{"until ended", Institution{Active: true, Agreement: true, AgreedFrom: from}, noon.AddDate(50, 0, 0), ""},
		{"without dates", Institution{Active: true, Agreement: true}, noon, "agreement-missing"},
		{"without agreement", Institution{Active: true, AgreedFrom: from, AgreedTo: to}, noon, "agreement-missing"},
		{"the window itself", Institution{Active: true, IsWindow: true}, noon, ""},
		{"the window, its licence gone", Institution{IsWindow: true}, noon, "institution-inactive"},
		{"suspended under an agreement", Institution{Agreement: true, AgreedFrom: from, AgreedTo: to}, noon, "institution-inactive"},
	} {
		t.Run(c.name, func(t *testing.T) { wantDecision(t, InstitutionMayEnrol(c.i, c.at), "HCA-3.7", c.code) })
	}
}

// HCA-3.1, HCA-3.8: each thing that is wrong with the window or its dedicated certificate, and whether it stops
// enrolment and revocation.
func TestWindowMay(t *testing.T) {
	good := WindowStanding{Acknowledged: true, OwnInstitution: true, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour),
		RevocationKnown: true, KeyMatches: true}
	with := func(change func(*WindowStanding)) WindowStanding {
		w := good
		change(&w)
		return w
	}
	for _, c := range []struct {
		name          string
		w             WindowStanding
		at            time.Time
		clause        Clause
		enrol, revoke string
	}{
		{"all well", good, noon, "", "", ""},
		{"first moment", good, good.NotBefore, "", "", ""},
		{"last moment", good, good.NotAfter, "", "", ""},
		{"no facts", WindowStanding{}, noon, "HCA-3.1", "dedicated-of-another-institution", "dedicated-of-another-institution"},
		{"suspended still revokes", with(func(w *WindowStanding) { w.Suspended = true }), noon, "HCA-3.8", "window-suspended", ""},
		{"status unknown still revokes", with(func(w *WindowStanding) { w.RevocationKnown = false }), noon, "HCA-3.1", "dedicated-status-unknown", ""},
		{"not acknowledged", with(func(w *WindowStanding) { w.Acknowledged = false }), noon, "HCA-3.1", "dedicated-not-acknowledged", "dedicated-not-acknowledged"},
		{"another institution's", with(func(w *WindowStanding) { w.OwnInstitution = false }), noon, "HCA-3.1", "dedicated-of-another-institution", "dedicated-of-another-institution"},
		{"another key", with(func(w *WindowStanding) { w.KeyMatches = false }), noon, "HCA-3.1", "dedicated-key-mismatch", "dedicated-key-mismatch"},
		{"revoked", with(func(w *WindowStanding) { w.Revoked = true }), noon, "HCA-3.1", "dedicated-revoked", "dedicated-revoked"},
		{"not yet valid", good, good.NotBefore.Add(-time.Nanosecond), "HCA-3.1", "dedicated-not-yet-valid", "dedicated-not-yet-valid"},
		{"expired", good, good.NotAfter.Add(time.Nanosecond), "HCA-3.1", "dedicated-expired", "dedicated-expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantDecision(t, WindowMayEnrol(c.w, c.at), c.clause, c.enrol)
			wantDecision(t, WindowMayRevoke(c.w, c.at), c.clause, c.revoke)
		})
	}
}
