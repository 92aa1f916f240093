package admin

import (
	"context"
	"math"
	"net/url"
	"slices"
	"time"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/revoke"
)

// Renewals tell which certificates are renewed, and by what; renew.Service does.
type Renewals interface {
	Renewals(ctx context.Context, of []ra.CertificateID) (map[ra.CertificateID]ra.Renewal, error)
}

// renewalLine is a certificate that it is time to renew.
type renewalLine struct {
	Certificate ra.Certificate
	Device      string           // that it is on, by its code
	Days        int              // left, begun ones counted
	Application ra.ApplicationID // that renews it already; empty: none
	Begin       string           // where the application is begun, with the same device, scope and key; empty: not for this one to begin
}

// renewals are those of a list of certificates that it is time to renew, the one that ends first before the others
// (HCA-7.2). One that a newer certificate has followed is not among them, nor one whose phone was lost, replaced or
// copied: that one is being revoked, and its holder applies on another phone.
func (p *page) renewals(list []ra.Certificate) (out []renewalLine, err error) {
	var ids []ra.CertificateID
	for _, c := range list {
		if by, due := policy.RenewBy(c.NotAfter, p.site.Now()); due && c.State == ra.CertLive {
			code, bound := p.bound(c.DeviceID)
			if !bound {
				continue
			}
			out = append(out, renewalLine{Certificate: c, Device: code, Days: int(math.Ceil(by.Sub(p.site.Now()).Hours() / 24))})
			ids = append(ids, c.ID)
		}
	}
	known, err := p.site.Renewals.Renewals(p.ctx(), ids)
	if err != nil {
		return nil, err
	}
	out = slices.DeleteFunc(out, func(l renewalLine) bool { return known[l.Certificate.ID].Done() })
	slices.SortFunc(out, func(a, b renewalLine) int { return a.Certificate.NotAfter.Compare(b.Certificate.NotAfter) })
	for i, l := range out {
		if r, is := known[l.Certificate.ID]; is && r.Begun() {
			out[i].Application = r.Application
		} else if p.may(get, "/applications/new") {
			out[i].Begin = "/applications/new?" + url.Values{"renews": {string(l.Certificate.ID)}}.Encode()
		}
	}
	return out, nil
}

// bound tells what a device is called and whether a certificate on it can be renewed there. One that the reader may not see
// goes by its id.
func (p *page) bound(id ra.DeviceID) (code string, bound bool) {
	d, _, err := p.site.Registry.Device(p.ctx(), p.actor(), id)
	if err != nil {
		return string(id), true
	}
	return d.Code, d.State == ra.DeviceBound
}

// deskRenewals are the same at the counter, where the person is, with the card that was read.
func (p *page) deskRenewals(person ra.PersonID, list []ra.Certificate) ([]renewalLine, error) {
	out, err := p.renewals(list)
	for i, l := range out {
		if l.Begin != "" {
			out[i].Begin = p.at(person, l.Certificate.DeviceID) + "&" + url.Values{"renews": {string(l.Certificate.ID)}}.Encode()
		}
	}
	return out, err
}

// pattern is the certificate whose device, scope and key a new application begins with: the one that it renews, or one of
// a phone that was replaced. There may be none.
func (p *page) pattern(person ra.PersonID) (c ra.Certificate, found bool, err error) {
	id := p.FormValue("renews")
	if id == "" {
		id = p.FormValue("like")
	}
	if id == "" {
		return c, false, nil
	}
	c, err = p.site.Revocations.Certificate(p.ctx(), p.actor(), ra.CertificateID(id))
	if err != nil || person != "" && c.PersonID != person {
		return ra.Certificate{}, false, err
	}
	return c, true, nil
}

// applied is what an application form begins with, after a certificate.
func (p *page) applied(c ra.Certificate) url.Values {
	device := c.DeviceID
	if d := p.FormValue("device"); d != "" {
		device = ra.DeviceID(d)
	}
	return url.Values{"device": {string(device)}, "scope": c.Scope, "key": {string(c.KeyDesign)}, "algorithm": {"P-256"}, "renews": {p.FormValue("renews")}}
}

// anewLine is a certificate of a phone that was replaced, whose holder applies for the next one on the new phone.
type anewLine struct {
	Certificate ra.Certificate
	Name        string // its holder, masked
	Begin       string // empty: not for this one to begin, or the new phone is not bound yet
}

// anew are the certificates of the phone whose place this one took, as far as their holders use this one and have none of
// their kind on it yet: nothing moves by itself (HCA-6.1).
func (p *page) anew(d deviceData) (out []anewLine, err error) {
	if d.Replaces == "" {
		return nil, nil
	}
	old, err := p.site.Revocations.Certificates(p.ctx(), p.actor(), revoke.Query{Device: d.Replaces, Brief: true, Limit: pageRows})
	if err != nil {
		return nil, err
	}
	for _, c := range old {
		i := slices.IndexFunc(d.Users, func(u userLine) bool { return u.Person == c.PersonID })
		has := slices.ContainsFunc(d.Certificates, func(x ra.Certificate) bool {
			return x.PersonID == c.PersonID && x.KeyDesign == c.KeyDesign && slices.Equal(x.Scope, c.Scope)
		})
		if i < 0 || has || !p.site.Now().Before(c.NotAfter) || c.RevokedAt != nil && c.RevokedAt.Before(d.CreatedAt) {
			continue
		}
		l := anewLine{Certificate: c, Name: d.Users[i].Name}
		if d.State == ra.DeviceBound && p.may(get, "/applications/new") {
			l.Begin = "/applications/new?" + url.Values{"like": {string(c.ID)}, "device": {string(d.ID)}}.Encode()
		}
		out = append(out, l)
	}
	return out, nil
}

// copiedTasks are the phones of which a copy was found (HCA-7.3): each stands there until it is bound anew or taken out of
// use.
func (p *page) copiedTasks() ([]task, error) {
	if !p.among(mendsApplications) {
		return nil, nil
	}
	const shown = 5
	list, err := p.site.Registry.Devices(p.ctx(), p.actor(), devices.DeviceQuery{Copied: true, Limit: countUpTo + 1})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	w := p.words()
	x := task{Bad: true, Text: w.say("task.copied", w.count(min(len(list), countUpTo), len(list) > countUpTo)), Path: "/devices?state=registered", Rule: "HCA-7.3"}
	for _, d := range list[:min(len(list), shown)] {
		since := time.Time{}
		if d.CopiedAt != nil {
			since = *d.CopiedAt
		}
		x.Lines = append(x.Lines, taskLine{w.say("copied.line", d.Code), "/devices/" + string(d.ID), since})
	}
	return []task{x}, nil
}
