package story

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"certwindow/cmd/demo/stage"
	"certwindow/devices/appcred"
)

// register is the first scene: who there is, what they carry, and whose key is whose.
func (s *Story) register() scene {
	s.wang = person{name: "王小明", nationalID: "A123456789", holder: "8800000000000017", card: "card-wang", email: "wang@hospital.example"}
	s.chen = person{name: "陳美玉", nationalID: "B223456780", holder: "8800000000000025", card: "card-chen", email: "chen@hospital.example"}
	s.iphone, s.tablet, s.spare = device{code: "IPHONE-0001"}, device{code: "TABLET-0007"}, device{code: "PHONE-0042"}
	return scene{"An institution, its staff, two holders with IC cards, and their devices", []act{
		{"hcasim card personalises the IC cards", s.makeCards},
		{"certwindow staff create made the administrator, who signs in with password and TOTP", s.adminSignsIn},
		{"he makes the first approver; certwindow staff code hands over the half he may not see", s.firstApprover},
		{"he registers the institution and two scopes, and with the approver a clerk", s.registerInstitution},
		{"he puts the reviewed app on file for both platforms, and the approver approves it (HCA-2.6)", s.approveApps},
		{"the clerk signs in and must change the initial password", s.clerkSignsIn},
		{"the clerk registers two persons", s.registerPersons},
		{"the clerk registers an iPhone, a shared tablet with two users, and a spare phone", s.registerDevices},
		{"the iPhone is bound: it reads the QR, makes its key, both screens show", s.bind(&s.iphone)},
		{"the tablet is bound: both screens show", s.bind(&s.tablet)},
		{"the spare phone is bound: both screens show", s.bind(&s.spare)},
		{"the counter opens an account for each holder, who signs in and sets a password of his own (HCA-8.2.6)", s.openAccounts},
	}}
}

// Cards that are not a holder's own good one.
const (
	cardRevoked  = "card-revoked"
	cardHospital = "card-hospital"
)

func (s *Story) makeCards(ctx context.Context) (string, error) {
	for _, c := range []struct{ label, name, serial, kind string }{
		{s.wang.card, s.wang.name, s.wang.holder, "person"}, {s.chen.card, s.chen.name, s.chen.holder, "person"},
		{cardRevoked, s.wang.name, s.wang.holder, "person"}, {cardHospital, "示範醫院", stage.Window, "institution"},
	} {
		if err := s.st.Card(ctx, c.label, c.name, c.serial, c.kind); err != nil {
			return "", err
		}
	}
	return "four cards in SoftHSM tokens; cardagent serves them as " + s.st.Agent, s.st.StartAgent(ctx)
}

func (s *Story) adminSignsIn(ctx context.Context) (_ string, err error) {
	s.admin, err = signIn(ctx, s.st, s.st.Admin)
	return "", err
}

func (s *Story) registerInstitution(ctx context.Context) (string, error) {
	if _, err := s.admin.post(ctx, "/institutions/new", url.Values{"code": {stage.Window}, "name": {"示範醫院"}, "window": {"yes"}}); err != nil {
		return "", err
	}
	for code, name := range map[string]string{"EMR-SIGN": "電子病歷簽章", "E-PRESCRIPTION": "電子處方箋"} {
		if _, err := s.admin.post(ctx, "/scopes/new", url.Values{"code": {code}, "name": {name}}); err != nil {
			return "", err
		}
	}
	a, err := s.hire(ctx, "counter1", "張櫃檯", "clerk", stage.Window)
	s.clerk = &clerk{who: a}
	return "", err
}

func (s *Story) clerkSignsIn(ctx context.Context) (_ string, err error) {
	s.clerk, err = signIn(ctx, s.st, s.clerk.who)
	return "", err
}

func (s *Story) registerPersons(ctx context.Context) (string, error) {
	for _, p := range []*person{&s.wang, &s.chen} {
		if err := s.registerPerson(ctx, p); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (s *Story) registerPerson(ctx context.Context, p *person) error {
	page, err := s.clerk.post(ctx, "/persons/new", url.Values{"name": {p.name}, "national_id": {p.nationalID}, "holder": {p.holder},
		"institution": {stage.Window}, "email": {p.email}, "phone": {"0912345678"}, "locale": {"zh-Hant-TW"}})
	if err != nil {
		return err
	}
	p.id = page.id()
	return s.checkCard(ctx, p)
}

// checkCard has the counter read a person's card and says which identity document was checked (HCA-7.3).
func (s *Story) checkCard(ctx context.Context, p *person) error {
	certificate, err := s.cards.certificate(ctx, p.card)
	if err != nil {
		return err
	}
	page, err := s.clerk.post(ctx, "/counter/card", url.Values{"certificate": {certificate}})
	if err != nil {
		return err
	}
	var to struct{ Location string }
	if err := json.Unmarshal([]byte(page.body), &to); err != nil {
		return err
	}
	at, err := url.Parse(to.Location)
	if err != nil {
		return err
	}
	_, err = s.clerk.post(ctx, "/counter/confirm", url.Values{"person": {p.id}, "card": {at.Query().Get("card")}, "document": {"national-id-card"}})
	return err
}

func (s *Story) registerDevices(ctx context.Context) (string, error) {
	for _, d := range []struct {
		d               *device
		platform, model string
		shared          bool
		users           []string
	}{
		{&s.iphone, "ios", "iPhone 17", false, []string{s.wang.id}}, {&s.tablet, "android", "Pixel Tablet", true, []string{s.wang.id, s.chen.id}},
		{&s.spare, "ios", "iPhone 15", false, []string{s.wang.id}},
	} {
		form := url.Values{"code": {d.d.code}, "platform": {d.platform}, "model": {d.model}, "institution": {stage.Window}, "person": {d.users[0]}}
		if d.shared {
			form.Set("shared", "yes")
		}
		page, err := s.clerk.post(ctx, "/devices/new", form)
		if err != nil {
			return "", err
		}
		d.d.id = page.id()
		for _, u := range d.users[1:] {
			if _, err := s.clerk.post(ctx, "/devices/"+d.d.id+"/users", url.Values{"person": {u}}); err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// bind ties a phone's new key to a device: the QR's text goes to the phone as a camera would read it, and the
// clerk confirms only what both screens show alike.
func (s *Story) bind(d *device) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		where := "/devices/" + d.id + "/binding"
		page, err := s.clerk.post(ctx, where, url.Values{})
		if err != nil {
			return "", err
		}
		qr, err := found(page, "data-bind-text")
		if err != nil {
			return "", err
		}
		phone, err := newPhone(s.st, fmt.Sprintf("%s-%d", d.code, time.Now().UnixNano()))
		if err != nil {
			return "", err
		}
		shown, err := phone.bind(ctx, qr)
		if err != nil {
			return "", err
		}
		state, err := s.clerk.poll(ctx, where+"/state", "presented")
		if err != nil {
			return "", err
		}
		if state["short_code"] != shown {
			return "", fmt.Errorf("the counter shows %v, the phone %s", state["short_code"], shown)
		}
		if _, err := s.clerk.post(ctx, where+"/confirm", url.Values{"binding": {state["binding"].(string)}, "short_code": {shown}}); err != nil {
			return "", err
		}
		d.phone = phone
		return shown, phone.waitBound(ctx)
	}
}

// openAccounts opens the holders' accounts, and signs each holder in on his device. On the shared tablet that is 王小明.
func (s *Story) openAccounts(ctx context.Context) (string, error) {
	if err := s.openAccount(ctx, &s.wang, "wang.ming", &s.iphone, &s.tablet, &s.spare); err != nil {
		return "", err
	}
	return "", s.openAccount(ctx, &s.chen, "chen.yu")
}

// openAccount opens one holder's account, sets a password of his own and signs him in on his phones.
func (s *Story) openAccount(ctx context.Context, who *person, name string, phones ...*device) error {
	page, err := s.clerk.post(ctx, "/persons/"+who.id+"/account", url.Values{"account": {name}, "identified": {"yes"}})
	if err != nil {
		return err
	}
	initial, err := found(page, "data-initial-password")
	if err != nil {
		return err
	}
	who.account, who.password = name, appcred.Secret("own password of "+name)
	for i, d := range phones {
		if i == 0 {
			if _, err := d.phone.Login(ctx, name, appcred.Secret(initial)); err != nil {
				return err
			}
			if err := d.phone.ChangePassword(ctx, appcred.Secret(initial), who.password); err != nil {
				return err
			}
		}
		if _, err := d.phone.Login(ctx, name, who.password); err != nil {
			return err
		}
		d.phone.ProveBy(who.password)
	}
	return nil
}
