package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/custody"
)

var ceremonyRoutes = []route{
	{method: get, path: "/ceremonies", handle: (*page).ceremonies, roles: slices.Concat(managed, approvers)},
	{method: post, path: "/ceremonies", handle: (*page).proposeCeremony, roles: managers},
	{method: get, path: "/ceremonies/:id/record", handle: (*page).ceremonyRecord, roles: slices.Concat(managed, approvers)},
}

// KeyPlace is a token that holds the master key (HCA-6.3.3).
type KeyPlace struct {
	Label, Module, Serial string
	Software              bool // no hardware: development only (HCA-6.3.1)
}

// MasterKey is one generation of the master key.
type MasterKey struct {
	Generation int
	Held       bool // the token holds it
	Rollover   bool // its keys can move to the newest
	Keys       int  // holders' keys that are wrapped under it
}

// Vault is the master key's keeping.
type Vault interface {
	Place() KeyPlace
	Generations(ctx context.Context) ([]MasterKey, error)
	Ceremonies(ctx context.Context) ([]custody.Ceremony, error)
}

// States of a ceremony that was approved.
var ceremonyStates = []string{"approved", "begun", "finished", "expired"}

// ceremonyLine is a ceremony as the page lists it.
type ceremonyLine struct {
	custody.Ceremony
	State, Who string
	Custodians []string // who were there, with their components' check values
	Check      string   // of the master key
}

func (p *page) ceremonies() error { return p.ceremoniesWith(nil) }

// ceremoniesWith shows where the master key is held and what was done with it (HCA-6.3.3), after an error with what was typed.
func (p *page) ceremoniesWith(failed error) error {
	if p.who.Staff.Institution != "" {
		return ra.Errorf(ra.KindForbidden, "not-yours", nil, "This is the business of the window's own staff. Nothing was changed.")
	}
	keys, err := p.site.Vault.Generations(p.ctx())
	if err != nil {
		return ra.Errorf(ra.KindUnavailable, "hsm", err, "The hardware security module does not answer.")
	}
	list, err := p.site.Vault.Ceremonies(p.ctx())
	if err != nil {
		return err
	}
	names := map[string]string{}
	var lines []ceremonyLine
	for _, c := range list {
		l := ceremonyLine{Ceremony: c, State: ceremonyState(c, p.site.Now()), Who: p.account(names, c.ApprovedBy)}
		l.read()
		lines = append(lines, l)
	}
	newest := 0
	for _, k := range keys {
		newest = max(newest, k.Generation)
	}
	v := view{Title: "ceremonies.title", Data: map[string]any{"Place": p.site.Vault.Place(), "Keys": keys, "Newest": newest, "List": lines, "Kinds": choices(p, "ceremony.kind.", custody.Kinds)[1:]}}
	if failed == nil {
		v.Form = url.Values{"kind": {string(custody.Create)}, "generation": {strconv.Itoa(newest + 1)}}
		return p.show(http.StatusOK, "ceremonies", v)
	}
	return p.again(failed, "ceremonies", v, map[string][2]string{"ceremony-unknown": {"kind", "ceremony.kind"}, "ceremony-generation": {"generation", "ceremony.generation"},
		"ceremony-keys-left": {"generation", "ceremony.generation"}, "ceremony-custodians": {"custodians", "ceremony.custodians"}, "note": {"note", "ceremony.note"}})
}

func ceremonyState(c custody.Ceremony, now time.Time) string {
	switch {
	case c.FinishedAt != nil:
		return "finished"
	case !now.Before(c.ExpiresAt):
		return "expired"
	case c.BegunAt != nil:
		return "begun"
	}
	return "approved"
}

// read takes out of the record what an auditor asks for first. What it says is proved by its signature alone, which
// certwindow ceremony verify judges.
func (l *ceremonyLine) read() {
	var record struct {
		Transcript struct {
			Custodians []struct {
				Name  string `json:"name"`
				Check string `json:"check_value"`
			} `json:"custodians"`
			Check string `json:"master_check_value"`
		} `json:"transcript"`
	}
	if json.Unmarshal(l.Record, &record) != nil {
		return
	}
	l.Check = record.Transcript.Check
	for _, c := range record.Transcript.Custodians {
		l.Custodians = append(l.Custodians, c.Name+" "+c.Check)
	}
}

func (p *page) proposeCeremony() error {
	generation, _ := strconv.Atoi(strings.TrimSpace(p.FormValue("generation"))) // what is no number is out of bounds
	plan := custody.Plan{Kind: custody.Kind(p.FormValue("kind")), Generation: generation, Note: strings.TrimSpace(p.FormValue("note"))}
	for name := range strings.FieldsFuncSeq(p.FormValue("custodians"), func(r rune) bool { return strings.ContainsRune(";,、；，\r\n", r) }) {
		if name = strings.TrimSpace(name); name != "" {
			plan.Custodians = append(plan.Custodians, name)
		}
	}
	x, err := p.site.Approvals.Propose(p.ctx(), p.actor(), approve.HoldCeremony, plan.Object(), "", plan.Facts())
	if err != nil {
		return p.ceremoniesWith(err)
	}
	return p.done("/approvals/"+x.ID, "proposed")
}

// ceremonyRecord is the signed record itself, for whoever judges it off line.
func (p *page) ceremonyRecord() error {
	if p.who.Staff.Institution != "" {
		return ra.Errorf(ra.KindForbidden, "not-yours", nil, "This is the business of the window's own staff.")
	}
	list, err := p.site.Vault.Ceremonies(p.ctx())
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.Approval == p.Param("id") && len(c.Record) > 0 {
			p.Response().Header().Set("Content-Disposition", `attachment; filename="`+string(c.Kind)+"-"+strconv.Itoa(c.Generation)+`.record"`)
			return p.Blob(http.StatusOK, "application/octet-stream", c.Record)
		}
	}
	return ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such record.")
}
