package admin

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/enrol"
	"certwindow/ra/revoke"
	"certwindow/web/admin/mask"
)

var deskRoutes = []route{
	{method: get, path: "/counter", handle: (*page).desk, roles: counter},
	{method: post, path: "/counter/card", handle: (*page).readCard, roles: counter},
	{method: post, path: "/counter/confirm", handle: (*page).confirmCard, roles: counter},
	{method: post, path: "/counter/register", handle: (*page).registerByCard, roles: counter},
	{method: post, path: "/counter/change-card", handle: (*page).proposeCardChange, roles: counter},
	{method: post, path: "/counter/device", handle: (*page).deskDevice, roles: counter},
	{method: post, path: "/counter/bind", handle: (*page).deskOffer, roles: counter},
	{method: post, path: "/counter/bind/decide", handle: (*page).deskDecide, roles: counter},
	{method: post, path: "/counter/begin", handle: (*page).deskBegin, roles: counter},
	{method: post, path: "/counter/revoke", handle: (*page).deskRevoke, roles: counter},
}

// Cards are whose card is whose; devices.Service is one.
type Cards interface {
	ReadCard(ctx context.Context, actor ra.Actor, r devices.CardReading) (string, error)
	Reading(ctx context.Context, actor ra.Actor, id string) (devices.CardReading, error)
	CardOf(ctx context.Context, actor ra.Actor, person ra.PersonID) (devices.CardLink, bool, error)
	ConfirmCard(ctx context.Context, actor ra.Actor, person ra.PersonID, reading, document string) error
}

// deskData is the counter between "next, please" and the text that is signed. Its state is the address and the
// database, so that a reload shows the same.
type deskData struct {
	Stage     string // next, unknown, person
	Insertion string // of the card that was read, as the component asserts it
	Reading   string
	CardErrs  []cardError
	Documents []option

	// A card of nobody who is registered.
	Name, Holder string // of the card: the holder stands before the clerk, so the name is shown
	Institutions []option

	// A person.
	Person       personLine
	Checked      bool // the card was linked to him before
	CheckedAt    string
	Devices      []option
	Device       *devices.Device // the one that is chosen
	Binding      bindingData
	Scopes, Keys []option
	Certificates []ra.Certificate
	Renewals     []renewalLine
	Reasons      []option
	Platforms    []option
}

// desk shows where the counter stands: nobody yet, a card of nobody, or a person.
func (p *page) desk() error {
	card, person := p.QueryParam("card"), ra.PersonID(p.QueryParam("person"))
	var r devices.CardReading
	var err error
	if card != "" {
		if r, err = p.site.Cards.Reading(p.ctx(), p.actor(), card); err != nil {
			return err
		}
	}
	switch {
	case person != "":
		return p.showPerson(person, r, bindingData{}, nil)
	case card != "":
		return p.unknownCard(r, nil)
	}
	return p.showDesk(deskData{Stage: "next"}, url.Values{}, nil, http.StatusOK)
}

func (p *page) showDesk(d deskData, form url.Values, failed error, status int) error {
	for _, c := range cardCodes {
		d.CardErrs = append(d.CardErrs, cardError{c, p.words().say("card." + c)})
	}
	v := view{Title: "desk.title", Form: form, Scripts: []string{"card.js", "servisign.js", "binding.js", "desk.js"}, Data: d}
	if failed != nil {
		v.Form = p.form()
		return p.again(failed, "desk", v, deskFields)
	}
	return p.show(status, "desk", v)
}

// deskFields are the fields that a refusal is about.
var deskFields = map[string][2]string{"document-not-checked": {"document", "desk.document"}, "nobody-by-this-id": {"national_id", "person.national-id"},
	"national-id": {"national_id", "person.national-id"}, "device-missing": {"device", "application.device"}, "scope-not-approved": {"scope", "application.scope"},
	"device-code": {"code", "device.code"}, "code": {"code", "device.code"}, "model": {"model", "device.model"}, "email": {"email", "person.email"},
	"carrier-key-mismatch": {"key", "application.key"}, "card-digits-differ": {"national_id", "person.national-id"}}

// readCard takes the certificate that the component gave, finds whose card it is by the keyed hash of its holder
// identifier, and says where to go on. Nothing is trusted by it before the signature.
func (p *page) readCard() error {
	der, err := p.cardBytes("certificate")
	if err != nil {
		return p.refuseSignature(err)
	}
	c, err := p.site.CardClaims(der)
	if err != nil {
		return p.refuseSignature(err)
	}
	insertion := p.FormValue("insertion")
	id, err := p.site.Cards.ReadCard(p.ctx(), p.actor(), devices.CardReading{Holder: c.Holder, Name: c.Name, Digits: c.Digits, Insertion: insertion[:min(len(insertion), 64)]})
	if err != nil {
		return p.refuseSignature(err)
	}
	found, err := p.site.Registry.Persons(p.ctx(), p.actor(), devices.PersonQuery{Holder: c.Holder, Limit: 1})
	if err != nil {
		return p.refuseSignature(err)
	}
	at := url.Values{"card": {id}}
	if len(found) == 1 {
		at.Set("person", string(found[0].ID))
	}
	return p.JSON(http.StatusOK, map[string]string{"location": "/counter?" + at.Encode()})
}

// CardClaims reads what a card's certificate says of its holder, unverified.
type CardClaims func(der []byte) (cardmsg.Claims, error)

// unknownCard offers what can be done with a card of nobody who is registered: register its holder with the name and
// holder identifier of the card, or have a change of card approved.
func (p *page) unknownCard(r devices.CardReading, failed error) error {
	institutions, err := p.institutionChoice()
	if err != nil {
		return err
	}
	d := deskData{Stage: "unknown", Insertion: r.Insertion, Reading: r.ID, Name: r.Name, Holder: mask.Card(r.Holder), Institutions: institutions,
		Documents: p.documents()}
	return p.showDesk(d, url.Values{}, failed, http.StatusOK)
}

func (p *page) documents() []option { return options(p, "document.", devices.Documents) }

// options are the values of a family that one of has to be chosen of.
func options[T ~string](p *page, family string, all []T) []option { return choices(p, family, all)[1:] }

// showPerson shows a person at the counter, with what was read of the card in the reader, if one was.
func (p *page) showPerson(id ra.PersonID, r devices.CardReading, b bindingData, failed error) error {
	x, err := p.site.Registry.Person(p.ctx(), p.actor(), id)
	if err != nil {
		return err
	}
	d := deskData{Stage: "person", Insertion: r.Insertion, Reading: r.ID, Person: line(x), Documents: p.documents(), Binding: b,
		Platforms: options(p, "platform.", []ra.Platform{ra.PlatformIOS, ra.PlatformAndroid}), Reasons: options(p, "reason.", holderReasons)}
	if _, d.Checked, err = p.site.Cards.CardOf(p.ctx(), p.actor(), id); err != nil {
		return err
	}
	form, err := p.deskChoices(&d, x)
	if err != nil {
		return err
	}
	if d.Certificates, err = p.site.Revocations.Certificates(p.ctx(), p.actor(), revoke.Query{Person: id, State: ra.CertLive, Limit: shownRows}); err != nil {
		return err
	}
	if d.Renewals, err = p.deskRenewals(id, d.Certificates); err != nil {
		return err
	}
	return p.showDesk(d, form, failed, http.StatusOK)
}

// deskChoices are the person's devices, scopes and key designs, with what was chosen last preselected.
func (p *page) deskChoices(d *deskData, x devices.Person) (url.Values, error) {
	list, err := p.site.Registry.Devices(p.ctx(), p.actor(), devices.DeviceQuery{User: x.ID, Limit: pageRows})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(v devices.Device) bool { return v.State != ra.DeviceBound && v.State != ra.DeviceRegistered })
	last, err := p.lastWish(x)
	if err != nil {
		return nil, err
	}
	renewed, renews, err := p.pattern(x.ID)
	if err != nil {
		return nil, err
	}
	if renews {
		last = ra.Application{DeviceID: renewed.DeviceID, Scope: renewed.Scope, KeyDesign: renewed.KeyDesign, Renews: renewed.ID}
	}
	for _, v := range list {
		label := v.Code + " " + v.Model
		if v.State != ra.DeviceBound {
			label += " · " + p.words().say("state.device."+string(v.State))
		}
		d.Devices = append(d.Devices, option{Value: string(v.ID), Label: label})
	}
	d.Device = chosenDevice(list, ra.DeviceID(p.FormValue("device")), last.DeviceID)
	if d.Device != nil && d.Device.State != ra.DeviceBound && d.Binding.QR == "" {
		if d.Binding, err = p.bindingOf(d.Device.ID); err != nil {
			return nil, err
		}
	}
	scopes, err := p.site.Registry.Scopes(p.ctx())
	if err != nil {
		return nil, err
	}
	d.Scopes = scopeOptions(scopes)
	d.Keys = options(p, "key.", []ra.KeyDesign{ra.KeyApp, ra.KeyHSM})
	form := url.Values{"key": {string(ra.KeyApp)}, "scope": last.Scope}
	if renews {
		form.Set("renews", string(last.Renews))
	}
	if last.KeyDesign != "" {
		form.Set("key", string(last.KeyDesign))
	}
	if len(last.Scope) == 0 && len(d.Scopes) == 1 {
		form.Set("scope", d.Scopes[0].Value)
	}
	if d.Device != nil {
		form.Set("device", string(d.Device.ID))
	}
	return form, nil
}

// chosenDevice is the one that was asked for, else the last that was used, else the first that is bound, else the first.
func chosenDevice(list []devices.Device, asked, last ra.DeviceID) *devices.Device {
	find := func(fits func(devices.Device) bool) *devices.Device {
		if i := slices.IndexFunc(list, fits); i >= 0 {
			return &list[i]
		}
		return nil
	}
	for _, fits := range []func(devices.Device) bool{
		func(v devices.Device) bool { return v.ID == asked },
		func(v devices.Device) bool { return v.ID == last && v.State == ra.DeviceBound },
		func(v devices.Device) bool { return v.State == ra.DeviceBound },
		func(devices.Device) bool { return true },
	} {
		if v := find(fits); v != nil {
			return v
		}
	}
	return nil
}

// lastWish is the person's last enrolment, or the institution's, whose choices are preselected.
func (p *page) lastWish(x devices.Person) (ra.Application, error) {
	for _, q := range []enrol.Query{{Kind: ra.Enrolment, Person: x.ID, Limit: 1}, {Kind: ra.Enrolment, Institution: p.institutionOf(x), Limit: 1}} {
		list, err := p.site.Enrolments.Applications(p.ctx(), p.actor(), q)
		if err != nil {
			return ra.Application{}, err
		}
		if len(list) > 0 {
			a := list[0]
			if a.PersonID != x.ID {
				a.DeviceID = ""
			}
			return a, nil
		}
	}
	return ra.Application{}, nil
}

// bindingOf is where the binding of a device stands, without its QR, which is shown once.
func (p *page) bindingOf(id ra.DeviceID) (d bindingData, err error) {
	if d.Device, _, err = p.site.Registry.Device(p.ctx(), p.actor(), id); err != nil {
		return d, err
	}
	d.Binding, d.Has, err = p.site.Registry.Binding(p.ctx(), p.actor(), id)
	d.Over = d.Has && !p.site.Now().Before(d.Binding.ExpiresAt)
	return d, err
}

// withQR adds the QR of a new one-time code.
func (p *page) withQR(d *bindingData, code string) (err error) {
	d.Text = p.site.BindText(code)
	var svg template.HTML
	svg, err = qrSVG(d.Text)
	d.QR = svg
	return err
}
