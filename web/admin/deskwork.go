package admin

import (
	"net/http"
	"net/url"
	"strings"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/enrol"
)

// at is the counter's address for the person, card and device of a form.
func (p *page) at(person ra.PersonID, device ra.DeviceID) string {
	q := url.Values{"person": {string(person)}}
	if card := p.FormValue("card"); card != "" {
		q.Set("card", card)
	}
	if device != "" {
		q.Set("device", string(device))
	}
	return "/counter?" + q.Encode()
}

// reread is the card of the form, for the answer to a refusal. A form may name none.
func (p *page) reread() (r devices.CardReading, err error) {
	if card := p.FormValue("card"); card != "" {
		r, err = p.site.Cards.Reading(p.ctx(), p.actor(), card)
	}
	return r, err
}

// refuseAt shows a refusal at the counter, where the person is.
func (p *page) refuseAt(person ra.PersonID, failed error) error {
	r, err := p.reread()
	if err != nil {
		return err
	}
	return p.showPerson(person, r, bindingData{}, failed)
}

// confirmCard records that the identity document was checked at a card's first use (HCA-7.3).
func (p *page) confirmCard() error {
	person := ra.PersonID(p.FormValue("person"))
	if err := p.site.Cards.ConfirmCard(p.ctx(), p.actor(), person, p.FormValue("card"), p.document()); err != nil {
		return p.refuseAt(person, err)
	}
	return p.Redirect(http.StatusSeeOther, p.at(person, ""))
}

// registerByCard registers the holder of a card by the name and holder identifier of its certificate, and links the
// card to him. A person who is known by the national id becomes a member of the institution as well.
func (p *page) registerByCard() error {
	r, err := p.site.Cards.Reading(p.ctx(), p.actor(), p.FormValue("card"))
	if err != nil {
		return err
	}
	if p.document() == "" {
		return p.unknownCard(r, ra.Refuse("HCA-7.3", "document-not-checked", "The person's identity document must be checked before the card's first use. Nothing was changed.", nil))
	}
	id := strings.ToUpper(strings.TrimSpace(p.FormValue("national_id")))
	if r.Digits != "" && !strings.HasSuffix(id, r.Digits) {
		return p.unknownCard(r, ra.Refuse("HCA-7.3", "card-digits-differ", "The last digits on the card are not those of the national id. Nothing was changed.", nil))
	}
	person, err := p.site.Registry.RegisterPerson(p.ctx(), p.actor(), devices.Person{NationalID: id, Name: r.Name, Holder: r.Holder,
		Email: strings.TrimSpace(p.FormValue("email")), Phone: strings.TrimSpace(p.FormValue("phone")), Locale: chinese}, ra.InstitutionCode(p.FormValue("institution")))
	if err != nil {
		return p.unknownCard(r, err)
	}
	if _, linked, err := p.site.Cards.CardOf(p.ctx(), p.actor(), person); err != nil || linked {
		if err != nil {
			return err
		}
		return p.Redirect(http.StatusSeeOther, p.at(person, ""))
	}
	return p.confirmRegistered(person)
}

func (p *page) confirmRegistered(person ra.PersonID) error {
	if err := p.site.Cards.ConfirmCard(p.ctx(), p.actor(), person, p.FormValue("card"), p.document()); err != nil {
		return p.refuseAt(person, err)
	}
	return p.Redirect(http.StatusSeeOther, p.at(person, ""))
}

// deskDevice registers a device of the person without leaving the counter (HCA-4.1).
func (p *page) deskDevice() error {
	person := ra.PersonID(p.FormValue("person"))
	x, err := p.site.Registry.Person(p.ctx(), p.actor(), person)
	if err != nil {
		return err
	}
	id, err := p.site.Registry.RegisterDevice(p.ctx(), p.actor(), devices.NewDevice{Code: p.FormValue("code"), Institution: p.institutionOf(x),
		Platform: ra.Platform(p.FormValue("platform")), Model: strings.TrimSpace(p.FormValue("model")), Users: []ra.PersonID{person}})
	if err != nil {
		return p.refuseAt(person, err)
	}
	return p.Redirect(http.StatusSeeOther, p.at(person, id))
}

// deskOffer shows the QR that a phone is bound by. It is shown in this answer alone: its code is kept hashed.
func (p *page) deskOffer() error {
	person, device := ra.PersonID(p.FormValue("person")), ra.DeviceID(p.FormValue("device"))
	o, err := p.site.Registry.OfferBinding(p.ctx(), p.actor(), device)
	if err != nil {
		return p.refuseAt(person, err)
	}
	b, err := p.bindingOf(device)
	if err != nil {
		return err
	}
	if err := p.withQR(&b, o.Code); err != nil {
		return err
	}
	r, err := p.reread()
	if err != nil {
		return err
	}
	return p.showPerson(person, r, b, nil)
}

// deskDecide confirms a binding whose short code both screens show, or rejects it.
func (p *page) deskDecide() error {
	person, device := ra.PersonID(p.FormValue("person")), ra.DeviceID(p.FormValue("device"))
	var err error
	if p.FormValue("same") == "yes" {
		err = p.site.Registry.ConfirmBinding(p.ctx(), p.actor(), device, p.FormValue("binding"), p.FormValue("short_code"))
	} else {
		err = p.site.Registry.RejectBinding(p.ctx(), p.actor(), device, p.FormValue("binding"))
	}
	if err != nil {
		return p.refuseAt(person, err)
	}
	return p.Redirect(http.StatusSeeOther, p.at(person, device))
}

// deskBegin makes the application and goes on to the text. The signature has to come from the card that is in the
// reader now (HCA-8.1.2).
func (p *page) deskBegin() error {
	person := ra.PersonID(p.FormValue("person"))
	r, err := p.reread()
	if err != nil {
		return err
	}
	n := enrol.New{Person: person, Device: ra.DeviceID(p.FormValue("device")), Scope: p.Request().PostForm["scope"], KeyDesign: ra.KeyDesign(p.FormValue("key")),
		Algorithm: "P-256", Renews: ra.CertificateID(p.FormValue("renews")), Insertion: r.Insertion}
	n.Carrier = carrierOf(n.KeyDesign)
	if n.Device == "" {
		return p.refuseAt(person, ra.Errorf(ra.KindMalformed, "device-missing", nil, "Choose a device. Nothing was begun."))
	}
	d, _, err := p.site.Registry.Device(p.ctx(), p.actor(), n.Device)
	if err != nil {
		return err
	}
	n.Institution = d.Institution
	a, err := p.site.Enrolments.Begin(p.ctx(), p.actor(), n)
	if err != nil {
		return p.refuseAt(person, err)
	}
	return p.Redirect(http.StatusSeeOther, "/counter/"+string(a.ID))
}

// deskRevoke makes the application by which the holder ends one of his certificates, and goes on to its text (HCA-5.2.1). The
// signature has to come from the card that is in the reader now (HCA-8.1.2).
func (p *page) deskRevoke() error {
	r, err := p.reread()
	if err != nil {
		return err
	}
	a, err := p.site.Revocations.Begin(p.ctx(), p.actor(), ra.CertificateID(p.FormValue("certificate")), ra.RevocationReason(p.FormValue("reason")), r.Insertion)
	if err != nil {
		return p.refuseAt(ra.PersonID(p.FormValue("person")), err)
	}
	return p.Redirect(http.StatusSeeOther, "/counter/"+string(a.ID))
}
