package admin

import (
	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/cardmsg/cardtest"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
)

// person registers somebody at an institution, with a card of his own.
func (h *house) person(name, id, holder string, at ra.InstitutionCode) ra.PersonID {
	h.t.Helper()
	p, err := h.registry.RegisterPerson(h.t.Context(), operator, devices.Person{NationalID: id, Name: name, Holder: holder,
		Email: "doctor@example.org", Phone: "0912345678"}, at)
	h.ok(err)
	h.cards[holder] = h.pki.Card(h.t, cardtest.CardOptions{Name: name, Holder: holder})
	h.ok(h.registry.ConfirmCard(h.t.Context(), operator, p, h.reading(operator, name, holder), "passport"))
	return p
}

// reading is a card as a counter reads it.
func (h *house) reading(who ra.Actor, name, holder string) string {
	h.t.Helper()
	id, err := h.registry.ReadCard(h.t.Context(), who, devices.CardReading{Name: name, Holder: holder})
	h.ok(err)
	return id
}

// boundDevice registers a device of a person and binds a phone's key to it.
func (h *house) boundDevice(code string, owner ra.PersonID, at ra.InstitutionCode) ra.DeviceID {
	h.t.Helper()
	ctx := h.t.Context()
	id, err := h.registry.RegisterDevice(ctx, operator, devices.NewDevice{Code: code, Institution: at, Platform: ra.PlatformIOS, Model: "iPhone 17", Users: []ra.PersonID{owner}})
	h.ok(err)
	o, err := h.registry.OfferBinding(ctx, operator, id)
	h.ok(err)
	b, err := h.registry.PresentBinding(ctx, operator, o.Code, devices.WindowKeys{}, h.spki(), "{}", nil)
	h.ok(err)
	h.ok(h.registry.ConfirmBinding(ctx, operator, id, b.ID, b.ShortCode))
	return id
}

func (h *house) spki() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.ok(err)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	h.ok(err)
	return spki
}
