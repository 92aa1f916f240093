package admin

import (
	"certwindow/ra"
	"certwindow/ra/revoke"
)

// certificateLine is a certificate as its list shows it.
type certificateLine struct {
	ra.Certificate
	Holder string // masked
}

var keyDesigns = []ra.KeyDesign{ra.KeyApp, ra.KeyChip, ra.KeyHSM}

var certificateList = &list[certificateLine]{
	path:   "certificates",
	title:  "certificates.title",
	none:   "certificates.none",
	bulk:   bulkAddress,
	orders: []order{{"id", true}, {"until", false}},
	filters: []filter{
		{name: "state", label: "state", kind: "select", options: func(p *page) []option { return choices(p, "state.certificate.", certificateStates) }},
		{name: "key", label: "application.key", kind: "select", options: func(p *page) []option { return choices(p, "key-short.", keyDesigns) }},
		{name: "serial", label: "certificate.serial", kind: "text"},
		{name: "institution", label: "list.institution", kind: "text"},
		{name: "from", label: "certificate.until-from", kind: "day"},
		{name: "to", label: "certificate.until-to", kind: "day"},
		{name: "person", label: "list.about-person", kind: "about", shown: (*page).personName},
		{name: "device", label: "list.about-device", kind: "about", shown: (*page).deviceCode},
	},
	columns: []column[certificateLine]{
		{label: "certificate.serial", class: "code serials", cell: func(_ *page, c certificateLine) cell { return leading("/certificates/"+string(c.ID), c.Serial) }},
		{label: "state", cell: func(p *page, c certificateLine) cell { return p.state("certificate", string(c.State)) }},
		{label: "application.person", class: "short", cell: func(_ *page, c certificateLine) cell { return leading("/persons/"+string(c.PersonID), c.Holder) }},
		{label: "application.institution", class: "code", cell: func(p *page, c certificateLine) cell { return p.institutionCell(c.Institution) }},
		{label: "application.scope", cell: func(_ *page, c certificateLine) cell { return joined(c.Scope) }},
		{label: "application.key", cell: func(p *page, c certificateLine) cell { return p.word("key-short", string(c.KeyDesign)) }},
		{label: "certificate.issued", class: "when", by: "id", cell: func(p *page, c certificateLine) cell { return p.when(c.CreatedAt) }},
		{label: "certificate.until", class: "when", by: "until", cell: func(p *page, c certificateLine) cell { return p.when(c.NotAfter) }},
	},
	arrange: func(a asked) string {
		if a.get("from") != "" || a.get("to") != "" {
			return "until" // else the rows of a month would be picked one by one out of those of all years
		}
		return ""
	},
	read: readCertificates,
	count: func(p *page, a asked) (int, error) {
		return p.site.Revocations.CountCertificates(p.ctx(), p.actor(), certificateQuery(a))
	},
	mark: func(by string, c certificateLine) ra.Mark {
		if by == "until" {
			return ra.Mark{Key: ra.MarkTime(c.NotAfter), ID: string(c.ID)}
		}
		return ra.Mark{ID: string(c.ID)}
	},
}

func certificateQuery(a asked) revoke.Query {
	return revoke.Query{State: ra.CertificateState(a.get("state")), KeyDesign: ra.KeyDesign(a.get("key")), Serial: serial(a.get("serial")),
		Institution: ra.InstitutionCode(a.get("institution")), Person: ra.PersonID(a.get("person")), Device: ra.DeviceID(a.get("device")),
		From: a.day("from", 0), To: a.day("to", 1), Order: a.order, Brief: true, Limit: a.limit}
}

func readCertificates(p *page, a asked) ([]certificateLine, error) {
	found, err := p.site.Revocations.Certificates(p.ctx(), p.actor(), certificateQuery(a))
	if err != nil {
		return nil, err
	}
	names, err := holders(p, found, func(c ra.Certificate) ra.PersonID { return c.PersonID })
	out := make([]certificateLine, 0, len(found))
	for _, c := range found {
		out = append(out, certificateLine{c, names[c.PersonID]})
	}
	return out, err
}
