package enrol_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/store/storetest"
)

// HCA-2.2, HCA-5.1.2, HCA-5.1.3, HCA-3.5, HCA-3.7: what can be refused before the card is asked is refused then, leaves nothing
// but its row in the log, and is judged again when the signature comes.
func TestRefusedAtBothEnds(t *testing.T) {
	for name, c := range map[string]struct {
		clause, code string
		change       func(d *desk)
	}{
		"scope withdrawn":        {"HCA-5.1.2", "scope-not-approved", func(d *desk) { d.Register.SetScopes() }},
		"not a user":             {"HCA-5.1.3", "not-a-device-user", func(d *desk) { d.Register.SetUsers(d.phone.ID, "another") }},
		"device lost":            {"HCA-5.1.3", "device-lost", func(d *desk) { d.device(func(x *ra.DeviceFacts) { x.State = ra.DeviceLost }) }},
		"device moved":           {"HCA-3.7", "device-of-another-institution", func(d *desk) { d.device(func(x *ra.DeviceFacts) { x.Institution = storetest.Clinic }) }},
		"person inactive":        {"HCA-3.7", "person-inactive", func(d *desk) { d.Register.Person(d.doctor, func(p *ra.PersonFacts) { p.Active = false }) }},
		"person left":            {"HCA-3.7", "not-a-member", func(d *desk) { d.Register.Person(d.doctor, func(p *ra.PersonFacts) { p.Institutions = nil }) }},
		"institution suspended":  {"HCA-3.7", "institution-inactive", func(d *desk) { d.hospital(func(i *ra.InstitutionFacts) { i.Active = false }) }},
		"agreement ended":        {"HCA-3.7", "agreement-ended", func(d *desk) { d.hospital(agreementEnded) }},
		"agreement never signed": {"HCA-3.7", "agreement-missing", func(d *desk) { d.hospital(func(i *ra.InstitutionFacts) { i.IsWindow = false }) }},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, storetest.SQLite(t))
			a := d.begin(t)
			c.change(d)
			_, err := d.Begin(context.Background(), d.clerk, d.form())
			refusal(t, err, c.clause, c.code)
			if n := d.Count(t, "applications"); n != 1 {
				t.Errorf("%d applications", n)
			}
			_, err = d.sign(a)
			refusal(t, err, c.clause, c.code)
			got := d.World.Application(t, a.ID)
			if got.State != ra.AppAwaitingSignature || got.Slot != nil || got.Consent != nil {
				t.Errorf("a refused signature changed the application: %+v", got)
			}
			rows := d.Audit(t)
			if n := d.Count(t, "audit_events WHERE outcome = 'refused' AND clause = ? AND code = ?", c.clause, c.code); n != 2 {
				t.Errorf("%d refusals in the log of %d rows", n, len(rows))
			}
		})
	}
}

func (d *desk) device(change func(*ra.DeviceFacts)) { d.Register.Device(d.phone.ID, change) }

func (d *desk) hospital(change func(*ra.InstitutionFacts)) {
	d.Register.Institution(storetest.Window, change)
}

func agreementEnded(i *ra.InstitutionFacts) {
	i.IsWindow, i.Agreement, i.AgreedFrom, i.AgreedTo = false, true, storetest.Noon.AddDate(-1, 0, 0), storetest.Noon.Add(-time.Hour)
}

// What a clerk asks for in the form itself.
func TestRefusedForms(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	for name, c := range map[string]struct {
		clause, code string
		change       func(*enrol.New)
	}{
		"no scope":              {"HCA-5.1.2", "scope-not-approved", func(n *enrol.New) { n.Scope = nil }},
		"one scope of two":      {"HCA-5.1.2", "scope-not-approved", func(n *enrol.New) { n.Scope = []string{"EMR-SIGN", "PAYROLL"} }},
		"another institution":   {"HCA-8.1.6", "not-yours", func(n *enrol.New) { n.Institution = storetest.Clinic }},
		"unknown person":        {"", "not-found", func(n *enrol.New) { n.Person = "nobody" }},
		"unknown device":        {"", "not-found", func(n *enrol.New) { n.Device = "nothing" }},
		"weak algorithm":        {"", "algorithm", func(n *enrol.New) { n.Algorithm = "RSA-1024" }},
		"unknown carrier":       {"HCA-3.5", "", func(n *enrol.New) { n.Carrier = "laptop" }},
		"chip key on no chip":   {"HCA-6.2", "", func(n *enrol.New) { n.KeyDesign, n.Carrier = ra.KeyChip, ra.CarrierDevice }},
		"unknown design of key": {"HCA-6.0", "", func(n *enrol.New) { n.KeyDesign = "cloud" }},
	} {
		form := d.form()
		c.change(&form)
		_, err := d.Begin(context.Background(), d.clerk, form)
		e := ra.AsError(err)
		if err == nil || (c.code != "" && (e.Code != c.code || string(e.Clause) != c.clause)) {
			t.Errorf("%s: %v, want %s %s", name, err, c.clause, c.code)
		}
	}
	if n := d.Count(t, "applications") + d.Count(t, "nonces"); n != 0 {
		t.Errorf("refused forms left %d rows", n)
	}
}

// HCA-3.1, HCA-3.8: a window that HCA suspended, or whose dedicated certificate does not stand, enrols nobody.
func TestWindowWithoutStanding(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	a := d.begin(t)
	suspended := func(ctx context.Context) policy.WindowStanding {
		s := storetest.Good(ctx)
		s.Suspended = true
		return s
	}
	d.serve(storetest.Accepts{}, nil, suspended)
	_, err := d.Begin(context.Background(), d.clerk, d.form())
	refusal(t, err, "HCA-3.8", "window-suspended")
	_, err = d.sign(a)
	refusal(t, err, "HCA-3.8", "window-suspended")
}

// HCA-8.1.4: a message is good once, for its time, for its session; a second signature changes nothing.
func TestReplay(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	a := d.begin(t)
	other := d.clerk
	other.Session = "another"
	_, err := d.Sign(context.Background(), other, a.ID, enrol.Signature{CMS: []byte("signed")})
	refusal(t, err, "HCA-8.1.4", "nonce-elsewhere")
	first, err := d.sign(a)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.sign(a)
	refusal(t, err, "HCA-8.1.4", "nonce-used")
	if again := d.World.Application(t, a.ID); again.State != ra.AppAwaitingKey || *again.Slot != *first.Slot {
		t.Errorf("after the replay: %+v", again)
	}
	late := d.begin(t)
	d.Clock.Advance(5 * time.Minute)
	_, err = d.sign(late)
	refusal(t, err, "HCA-8.1.4", "application-expired")
	if n := len(d.Slots(t, d.doctor)); n != 1 {
		t.Errorf("%d places are held", n)
	}
}

// HCA-8.1.3: the text says what the register says, and nothing that was registered can forge a line of it.
func TestText(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	a := d.begin(t)
	for _, line := range []string{"application: " + string(a.ID), "nonce: " + a.Nonce, "issued: 2026-11-22T04:00:00Z", "expires: 2026-11-22T04:05:00Z",
		"window: 0101090517", "institution: 0101090517", "holder: 1234567890123456", "name: 陳小華", "device-key: " + a.DeviceKey, "carrier: device",
		"scope: EMR-SIGN", "key: app"} {
		if !bytes.Contains(a.Text, []byte("\n"+line+"\n")) {
			t.Errorf("the line %q is not in\n%s", line, a.Text)
		}
	}
	for _, name := range []string{"陳小華\nscope: PAYROLL", "陳\u202e小華", "陳\u2028小華"} {
		d.Register.Person(d.doctor, func(p *ra.PersonFacts) { p.Name = name })
		if _, err := d.Begin(context.Background(), d.clerk, d.form()); ra.KindOf(err) != ra.KindMalformed {
			t.Errorf("the name %q: %v", name, err)
		}
	}
}

// HCA-3.7: another institution's clerk sees no application, signs none and withdraws none.
func TestAnotherInstitution(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	a := d.begin(t)
	stranger := d.clerk
	stranger.Institution = storetest.Clinic
	ctx := context.Background()
	_, read := d.Service.Application(ctx, stranger, a.ID)
	_, sign := d.Sign(ctx, stranger, a.ID, enrol.Signature{CMS: []byte("signed")})
	for what, err := range map[string]error{"read": read, "sign": sign, "cancel": d.Cancel(ctx, stranger, a.ID)} {
		if ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	page, err := d.Applications(ctx, stranger, enrol.Query{Institution: storetest.Window})
	if err != nil || len(page) != 0 {
		t.Errorf("%d applications listed, %v", len(page), err)
	}
	if s := d.World.Application(t, a.ID).State; s != ra.AppAwaitingSignature {
		t.Errorf("state %s", s)
	}
}

// HCA-8.1.6: each act leaves one row that says who, what and to what end, and no row names the person.
func TestAuditOfAnEnrolment(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	a := d.signed(t)
	der, sig := d.request(t, a, nil)
	if _, err := d.SubmitRequest(context.Background(), ra.Actor{Kind: ra.ActorDevice, ID: string(d.phone.ID)}, d.phone.ID, a.ID, der, sig, nil); err != nil {
		t.Fatal(err)
	}
	rows := d.Audit(t)
	var acts []string
	for _, r := range rows {
		acts = append(acts, r.Act+" "+r.Outcome)
		if r.Object != "application/"+string(a.ID) || r.Institution != string(storetest.Window) {
			t.Errorf("a row about something else: %+v", r)
		}
		if all := strings.Join([]string{r.Details, r.Object, r.Actor}, " "); strings.Contains(all, "陳小華") || strings.Contains(all, "1234567890123456") {
			t.Errorf("a row names the person: %+v", r)
		}
	}
	if got := strings.Join(acts, ", "); got != "enrol.begin done, enrol.consent done, enrol.key done" {
		t.Errorf("acts: %s", got)
	}
}
