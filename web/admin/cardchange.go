package admin

import (
	"maps"
	"slices"
	"strings"
	"time"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/web/admin/mask"
)

// CardChanges is the act by which two persons give somebody another card (HCA-7.3). in reaches the register inside the
// transaction of the approval.
func CardChanges(registry *devices.Service, in func(approve.Tx) (devices.Tx, error), now func() time.Time) map[approve.Act]approve.Executor {
	check := func(tx approve.Tx, actor ra.Actor, object string, facts approve.Facts) (devices.Tx, devices.CardChange, error) {
		c := devices.CardChange{Reading: facts["reading"], Document: facts["document"]}
		person, ok := strings.CutPrefix(object, "person/")
		c.Person = ra.PersonID(person)
		register, err := in(tx)
		if err != nil {
			return nil, c, err
		}
		old, next, err := registry.CheckCardChange(register, actor.Institution, c)
		if err != nil {
			return nil, c, err
		}
		if !ok || !maps.Equal(facts, cardFacts(c, old, next)) {
			return nil, c, ra.Refuse("HCA-8.1.6", "approval-object-changed", "What this is about has changed since it was proposed. Nothing was done; propose it anew.", nil)
		}
		return register, c, nil
	}
	return map[approve.Act]approve.Executor{approve.ChangeCard: {
		Check: func(tx approve.Tx, actor ra.Actor, object string, facts approve.Facts) error {
			_, _, err := check(tx, actor, object, facts)
			return err
		},
		CarryOut: func(tx approve.Tx, a approve.Approval) error {
			register, c, err := check(tx, a.Actor, a.Proposal.Object, a.Facts)
			if err != nil {
				return err
			}
			if err := registry.ChangeCard(register, c, a.Proposal.ProposedBy, a.Proposal.ID); err != nil {
				return err
			}
			e := a.Event("card.change", a.Proposal.Object)
			e.At, e.Clause, e.Details["document"] = now(), "HCA-7.3", c.Document
			return tx.Audit(e)
		},
	}}
}

// cardFacts are what an approver of a change is shown: both cards masked, and the document that was checked.
func cardFacts(c devices.CardChange, old, next string) approve.Facts {
	return approve.Facts{"card-before": mask.Card(old), "card-after": mask.Card(next), "document": c.Document, "reading": c.Reading}
}

// proposeCardChange asks a second person to give somebody the card that is in the reader.
func (p *page) proposeCardChange() error {
	id := strings.ToUpper(strings.TrimSpace(p.FormValue("national_id")))
	r, err := p.site.Cards.Reading(p.ctx(), p.actor(), p.FormValue("card"))
	if err != nil {
		return err
	}
	found, err := p.site.Registry.Persons(p.ctx(), p.actor(), devices.PersonQuery{NationalID: id, Limit: 1})
	if err != nil {
		return err
	}
	if id == "" || len(found) == 0 {
		return p.unknownCard(r, ra.Errorf(ra.KindMalformed, "nobody-by-this-id", nil, "Nobody with this national id is registered. Nothing was changed."))
	}
	x := found[0]
	c := devices.CardChange{Person: x.ID, Reading: r.ID, Document: p.document()}
	proposal, err := p.site.Approvals.Propose(p.ctx(), p.actor(), approve.ChangeCard, "person/"+string(x.ID), p.institutionOf(x), cardFacts(c, x.Holder, r.Holder))
	if err != nil {
		return p.unknownCard(r, err)
	}
	return p.done("/approvals/"+proposal.ID, "proposed")
}

// document is the identity document that the clerk says was checked; empty when it is none of those that are known.
func (p *page) document() string {
	if v := p.FormValue("document"); slices.Contains(devices.Documents, v) {
		return v
	}
	return ""
}

// institutionOf is the institution that a person's business at this counter belongs to: the clerk's own, or the one at
// which the person has practised longest.
func (p *page) institutionOf(x devices.Person) ra.InstitutionCode {
	if at := p.actor().Institution; at != "" {
		return at
	}
	for _, m := range x.Memberships {
		if m.Until == nil {
			return m.Institution
		}
	}
	return ""
}
