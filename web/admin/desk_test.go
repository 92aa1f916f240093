package admin

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/web/session"
)

// readCard posts a card's certificate as the counter's script does, and gives the id of the reading.
func (b *browser) readCard(c *cardtest.Card, insertion string) string {
	b.h.t.Helper()
	rec := b.post("/counter/card", url.Values{"certificate": {base64.StdEncoding.EncodeToString(c.Cert.Raw)}, "card": {"TP1"}, "insertion": {insertion}})
	var to struct{ Location string }
	if rec.Code != http.StatusOK || json.Unmarshal(rec.Body.Bytes(), &to) != nil {
		b.h.t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	u, err := url.Parse(to.Location)
	b.h.ok(err)
	return u.Query().Get("card")
}

// refusedWith wants a page that refuses with a code's words.
func (b *browser) refusedWith(path string, form url.Values, code string) {
	b.h.t.Helper()
	rec := b.post(path, form)
	if text, _ := b.h.site.words[chinese].find("code." + code); rec.Code < 400 || text == "" || !strings.Contains(rec.Body.String(), text) {
		b.h.t.Errorf("%s, wanted %s: %d", path, code, rec.Code)
	}
}

// HCA-5.1.1, HCA-7.3, HCA-8.1.5: a card of nobody goes to registering with the name and holder of its certificate; its
// first use needs the identity document, and name and last digits that agree.
func TestACardIsLinkedToItsHolder(t *testing.T) {
	h := build(t)
	b := h.signIn(session.Clerk)
	h.cards["x"] = h.pki.Card(t, cardtest.CardOptions{Name: "王大明", Holder: "0000000112345678"})
	card := b.readCard(h.cards["x"], "i1")
	page := b.get("/counter?card=" + card)
	if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "王大明") || strings.Contains(page.Body.String(), "0000000112345678") {
		t.Fatalf("%d: the page does not show whose the card is, or shows all of its number", page.Code)
	}
	form := url.Values{"card": {card}, "national_id": {"A123456789"}, "institution": {string(ownCode)}}
	b.refusedWith("/counter/register", form, "document-not-checked")
	form.Set("document", "forged-paper")
	b.refusedWith("/counter/register", form, "document-not-checked")
	form.Set("document", "national-id-card")
	rec := b.post("/counter/register", form)
	at := rec.Header().Get("Location")
	if rec.Code != http.StatusSeeOther || !strings.HasPrefix(at, "/counter?") {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	body := b.get(at).Body.String()
	if !strings.Contains(body, "王○明") || strings.Contains(body, "A123456789") || !strings.Contains(body, "/counter/device") {
		t.Error("the person is not at the counter, masked, with a device to register")
	}
	to, err := url.Parse(at)
	h.ok(err)
	link, ok, err := h.registry.CardOf(t.Context(), operator, ra.PersonID(to.Query().Get("person")))
	if err != nil || !ok || link.Document != "national-id-card" || link.CheckedBy == "" || link.Holder != "0000000112345678" {
		t.Errorf("%+v %v %v", link, ok, err)
	}
	if again := b.readCard(h.cards["x"], "i2"); !strings.Contains(b.get("/counter?person="+to.Query().Get("person")+"&card="+again).Body.String(), "王○明") {
		t.Error("a second reading does not find him")
	}
	other := h.signInAs(h.hire(session.NewStaff{Account: "other.clerk", Role: session.Clerk}))
	if rec := other.get("/counter?card=" + card); rec.Code != http.StatusNotFound {
		t.Errorf("another clerk sees what this one read: %d", rec.Code)
	}
}

// HCA-7.3: a first use is refused, with the reason, when name or last digits differ.
func TestACardThatDoesNotAgreeIsRefused(t *testing.T) {
	h := build(t)
	b := h.signIn(session.Clerk)
	id, err := h.registry.RegisterPerson(t.Context(), operator, devices.Person{NationalID: "A123456789", Name: "王大明", Holder: "H-1"}, ownCode)
	h.ok(err)
	staff := h.actorOf(session.Clerk)
	for code, r := range map[string]devices.CardReading{
		"card-another-persons": {Name: "王大明", Holder: "H-2"},
		"card-name-differs":    {Name: "王大銘", Holder: "H-1"},
		"card-digits-differ":   {Name: "王大明", Holder: "H-1", Digits: "6780"},
	} {
		reading, err := h.registry.ReadCard(t.Context(), staff, r)
		h.ok(err)
		b.refusedWith("/counter/confirm", url.Values{"person": {string(id)}, "card": {reading}, "document": {"passport"}}, code)
	}
	reading, err := h.registry.ReadCard(t.Context(), staff, devices.CardReading{Name: "王大明", Holder: "H-1", Digits: "6789"})
	h.ok(err)
	if rec := b.post("/counter/confirm", url.Values{"person": {string(id)}, "card": {reading}, "document": {"passport"}}); rec.Code != http.StatusSeeOther {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	b.refusedWith("/counter/confirm", url.Values{"person": {string(id)}, "card": {reading}, "document": {"passport"}}, "card-linked")
}

// HCA-7.3, HCA-8.1.6: a person's card is changed by two, and then the old card signs nothing any more.
func TestTwoPersonsChangeACard(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	b := h.signIn(session.Clerk)
	begun := b.post("/applications/new", url.Values{"person": {string(p)}, "device": {string(d)}, "scope": {"EMR-SIGN"}, "key": {"app"}, "algorithm": {"P-256"}}).Header().Get("Location")
	text := shownText(t, b.get(begun).Body.String())

	old := h.cards["0000000112345678"]
	h.cards["new"] = h.pki.Card(t, cardtest.CardOptions{Name: "王大明", Holder: "0000000187654321"})
	card := b.readCard(h.cards["new"], "i1")
	form := url.Values{"card": {card}, "national_id": {"A123456789"}}
	b.refusedWith("/counter/change-card", form, "document-not-checked")
	form.Set("document", "passport")
	at := b.propose("/counter/change-card", form)
	a := h.signIn(session.Approver)
	body := a.get(at).Body.String()
	if strings.Contains(body, "0000000187654321") || strings.Contains(body, "0000000112345678") || !strings.Contains(body, "4321") {
		t.Error("the approver is not shown both cards masked")
	}
	hash := hashField.FindStringSubmatch(body)
	if rec := a.post(at+"/approve", url.Values{"hash": {hash[1]}}); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	x, err := h.registry.Person(t.Context(), operator, p)
	h.ok(err)
	link, _, err := h.registry.CardOf(t.Context(), operator, p)
	if err != nil || x.Holder != "0000000187654321" || link.Holder != x.Holder || link.Approval == "" {
		t.Errorf("%s %+v %v", x.Holder, link, err)
	}
	cms := old.Sign(t, []byte(text), h.now(), "")
	if rec := b.post(begun+"/sign", url.Values{"signature": {base64.StdEncoding.EncodeToString(cms)}, "insertion": {"i1"}}); rec.Code != 422 {
		t.Errorf("the old card signed: %d", rec.Code)
	}
	form.Set("card", b.readCard(h.cards["new"], "i2"))
	b.refusedWith("/counter/change-card", form, "card-same")
	list, err := h.approve.Proposals(t.Context(), operator, approve.Query{Object: "person/" + string(p), Limit: 5})
	if err != nil || len(list) != 1 {
		t.Errorf("%d proposals, %v", len(list), err)
	}
}

// HCA-5.1.1, HCA-8.1.3: the other component's bare signature is wrapped by the window, marked, and judged like any
// other; over another text, or beside another card's certificate, it is refused.
func TestCounterTakesABareSignature(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	h.person("陳志明", "B123456780", "0000000112345699", ownCode)
	b := h.signIn(session.Clerk)
	own, other := h.cards["0000000112345678"], h.cards["0000000112345699"]
	at := b.post("/applications/new", url.Values{"person": {string(p)}, "device": {string(d)}, "scope": {"EMR-SIGN"}, "key": {"app"}, "algorithm": {"P-256"}}).Header().Get("Location")
	text := shownText(t, b.get(at).Body.String())
	send := func(signer, shown *cardtest.Card, content string) int {
		sum := sha256.Sum256([]byte(content))
		value, err := signer.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
		h.ok(err)
		return b.post(at+"/sign", url.Values{"component": {"servisign"}, "signature": {base64.StdEncoding.EncodeToString(value)},
			"certificate": {base64.StdEncoding.EncodeToString(shown.Cert.Raw)}, "insertion": {"page-1"}}).Code
	}
	for what, status := range map[string]int{"another text": send(own, own, text+"x"), "another's certificate": send(own, other, text), "another's card": send(other, other, text)} {
		if status != 422 {
			t.Errorf("%s: %d", what, status)
		}
	}
	if status := send(own, own, text); status != 200 {
		t.Fatalf("%d", status)
	}
	a, err := h.enrol.Application(t.Context(), operator, ra.ApplicationID(strings.TrimPrefix(at, "/counter/")))
	if err != nil || !a.ConsentBare || a.State != ra.AppAwaitingKey || a.Insertion != "page-1" {
		t.Errorf("%+v %v", a, err)
	}
}

// HCA-8.1.2: the card that the counter began with has to stay in: a signature from another insertion is refused, the
// same insertion serves no other person, and a removal that the page tells of ends the operation.
func TestTheCardStaysFromBeginningToEnd(t *testing.T) {
	h := build(t)
	wang, chen := h.person("王大明", "A123456789", "0000000112345678", ownCode), h.person("陳志明", "B123456780", "0000000112345699", ownCode)
	d, e := h.boundDevice("D-1", wang, ownCode), h.boundDevice("D-2", chen, ownCode)
	b := h.signIn(session.Clerk)
	card := b.readCard(h.cards["0000000112345678"], "stay-1")
	wish := url.Values{"person": {string(wang)}, "card": {card}, "device": {string(d)}, "scope": {"EMR-SIGN"}, "key": {"app"}}
	at := b.post("/counter/begin", wish).Header().Get("Location")
	cms := h.cards["0000000112345678"].Sign(t, []byte(shownText(t, b.get(at).Body.String())), h.now(), "")
	signed := url.Values{"signature": {base64.StdEncoding.EncodeToString(cms)}, "insertion": {"stay-2"}}
	if rec := b.post(at+"/sign", signed); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-8.1.2") {
		t.Errorf("from another insertion: %d %s", rec.Code, rec.Body)
	}
	other := url.Values{"person": {string(chen)}, "card": {b.readCard(h.cards["0000000112345699"], "stay-1")}, "device": {string(e)}, "scope": {"EMR-SIGN"}, "key": {"app"}}
	if rec := b.post("/counter/begin", other); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-8.1.2") {
		t.Errorf("another person in the same insertion: %d", rec.Code)
	}
	if rec := b.post(at+"/removed", nil); rec.Code != 200 || !strings.Contains(rec.Body.String(), string(ra.AppVoided)) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	signed.Set("insertion", "stay-1")
	if rec := b.post(at+"/sign", signed); rec.Code == 200 {
		t.Error("signed after the removal")
	}
	// A revocation that is begun at the counter is tied to the card in the reader as well.
	c := h.certificate(wang, d, ownCode, ra.CertLive)
	end := url.Values{"person": {string(wang)}, "card": {b.readCard(h.cards["0000000112345678"], "stay-3")}, "certificate": {string(c)}, "reason": {"superseded"}}
	at = b.post("/counter/revoke", end).Header().Get("Location")
	cms = h.cards["0000000112345678"].Sign(t, []byte(shownText(t, b.get(at).Body.String())), h.now(), "")
	signed = url.Values{"signature": {base64.StdEncoding.EncodeToString(cms)}, "insertion": {"stay-4"}}
	if rec := b.post(at+"/sign", signed); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-8.1.2") {
		t.Errorf("a revocation from another insertion: %d %s", rec.Code, rec.Body)
	}
	signed.Set("insertion", "stay-3")
	if rec := b.post(at+"/sign", signed); rec.Code != 200 || h.count("audit_events WHERE act = 'revoke.consent' AND outcome = 'done' AND details LIKE '%\"form\":\"cms\"%'") != 1 {
		t.Errorf("a revocation from the same insertion: %d %s", rec.Code, rec.Body)
	}
}
