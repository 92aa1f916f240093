package admin

import (
	"strconv"
	"strings"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/overview"
	"certwindow/ra/sweep"
	"certwindow/web/admin/mask"
)

// reportColumns are the columns that reports have, for their words.
var reportColumns = []string{"clause", "rule", "state", "by", "tests", "missing", "began", "ended", "looked", "findings", "kind", "result", "serial", "what", "action",
	"error", "person", "limit", "until", "reply", "proposed", "act", "about", "who", "decided", "decider", "hash", "at", "object", "outcome", "details", "seq", "address"}

// fillClauses lists every clause with what enforces it and what proves that.
func (p *page) fillClauses(s *sheet) error {
	p.columns(s, sheetColumn{"clause", 2, false}, sheetColumn{"rule", 4, false}, sheetColumn{"state", 1.5, false}, sheetColumn{"by", 5, false}, sheetColumn{"tests", 5, false}, sheetColumn{"missing", 3, false})
	w := p.words()
	for _, e := range policy.Clauses() {
		s.Rows = append(s.Rows, []sheetCell{{Text: string(e.ID)}, {Text: ruleOf(e.ID, p.lang)}, {Text: w.say("clause." + strings.ReplaceAll(e.State(), " ", "-"))},
			{Text: symbolLines(e.EnforcedBy)}, {Text: symbolLines(e.Tests)}, {Text: e.Missing}})
	}
	return nil
}

// symbolLines writes names of the program, a line each, without what all of them begin with.
func symbolLines(names []string) string {
	lines := make([]string, 0, len(names))
	for _, n := range names {
		lines = append(lines, strings.TrimPrefix(n, "certwindow/"))
	}
	return strings.Join(lines, "\n")
}

// sweepResult says how a run ended.
func (p *page) sweepResult(r sweep.Report) string {
	w := p.words()
	switch {
	case r.FinishedAt == nil:
		return w.say("sweep.running")
	case r.OverCap:
		return w.say("sweep.over-cap")
	}
	return w.say("sweep.done")
}

func (p *page) sweepKind(r sweep.Report) string {
	if r.DryRun {
		return p.words().say("sweep.dry")
	}
	return p.words().say("sweep.real")
}

// fillSweeps lists the inventories (HCA-3.6).
func (p *page) fillSweeps(s *sheet) error {
	p.columns(s, sheetColumn{"began", 2, false}, sheetColumn{"ended", 2, false}, sheetColumn{"kind", 2, false}, sheetColumn{"looked", 2, true}, sheetColumn{"findings", 2, true}, sheetColumn{"result", 4, false})
	list, err := p.site.Records.Sweeps(p.ctx(), p.who.Staff.Institution, s.From, s.until(), mostRowsOfReport+1)
	if err != nil {
		return err
	}
	for _, r := range list {
		ended := ""
		if r.FinishedAt != nil {
			ended = stampOf(*r.FinishedAt)
		}
		s.Rows = append(s.Rows, []sheetCell{{stampOf(r.StartedAt), "/reports/sweeps/" + r.ID}, {Text: ended}, {Text: p.sweepKind(r)}, {Text: thousands(r.Looked)},
			{Text: thousands(len(r.Findings))}, {Text: p.sweepResult(r)}})
	}
	return nil
}

// sweepReport shows what one inventory found.
func (p *page) sweepReport() error {
	r, err := p.site.Records.Sweep(p.ctx(), p.who.Staff.Institution, p.Param("id"))
	if err != nil {
		return err
	}
	s := &sheet{Name: "sweep", Path: "/reports/sweeps/" + r.ID}
	p.columns(s, sheetColumn{"serial", 4, false}, sheetColumn{"what", 4, false}, sheetColumn{"action", 3, false}, sheetColumn{"error", 4, false})
	w := p.words()
	s.Fields = []fact{{w.say("sheet.col.began"), stampOf(r.StartedAt)}, {w.say("sheet.col.kind"), p.sweepKind(r)}, {w.say("sheet.col.looked"), thousands(r.Looked)},
		{w.say("sheet.col.result"), p.sweepResult(r)}}
	if r.FinishedAt != nil {
		s.Fields = append(s.Fields, fact{w.say("sheet.col.ended"), stampOf(*r.FinishedAt)})
	}
	if r.Note != "" && p.who.Staff.Institution == "" {
		s.Fields = append(s.Fields, fact{w.say("application.note"), r.Note})
	}
	for _, f := range r.Findings {
		what := f.What
		for _, family := range []string{"finding.", "ground."} {
			if m, ok := w.find(family + f.What); ok {
				what = m
			}
		}
		s.Rows = append(s.Rows, []sheetCell{{f.Serial, "/certificates/" + string(f.Certificate)}, {Text: what}, {Text: w.say("action." + f.Action)}, {Text: f.Error}})
	}
	return p.give(s, view{Title: "sheet.sweep", Heading: w.say("report.sweep-of", stampOf(r.StartedAt)), Up: "/reports/sweeps", UpTitle: "sheet.sweeps"})
}

// fillExemptions lists who may hold more than five (HCA-7.5).
func (p *page) fillExemptions(s *sheet) error {
	p.columns(s, sheetColumn{"person", 3, false}, sheetColumn{"limit", 1, true}, sheetColumn{"until", 2, false}, sheetColumn{"reply", 3, false}, sheetColumn{"state", 2, false})
	list, err := p.site.Records.Exemptions(p.ctx(), mostRowsOfReport+1)
	if err != nil {
		return err
	}
	w := p.words()
	for _, x := range list {
		who, err := p.site.Registry.Person(p.ctx(), p.actor(), x.PersonID)
		if ra.KindOf(err) == ra.KindNotFound && err != nil {
			continue // another institution's
		}
		if err != nil {
			return err
		}
		state := w.say("exemption.holds")
		if !p.site.Now().Before(x.Until) {
			state = w.say("exemption.over")
		}
		s.Rows = append(s.Rows, []sheetCell{{mask.Name(who.Name), "/persons/" + string(x.PersonID)}, {Text: strconv.Itoa(x.Limit)}, {Text: stampOf(x.Until)}, {Text: x.Reply}, {Text: state}})
	}
	return nil
}

// fillApprovals lists what two persons decided, and what waits.
func (p *page) fillApprovals(s *sheet) error {
	p.columns(s, sheetColumn{"proposed", 2, false}, sheetColumn{"act", 3, false}, sheetColumn{"about", 4, false}, sheetColumn{"who", 2, false}, sheetColumn{"state", 1.5, false},
		sheetColumn{"decider", 2, false}, sheetColumn{"decided", 2, false}, sheetColumn{"hash", 3, false})
	w, q := p.words(), approve.Query{Limit: 100}
	for len(s.Rows) <= mostRowsOfReport {
		list, err := p.site.Approvals.Proposals(p.ctx(), p.actor(), q)
		if err != nil {
			return err
		}
		lines, err := p.approvalLines(list)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if l.ProposedAt.Before(s.From) {
				return nil // the newest come first
			}
			if !l.ProposedAt.Before(s.until()) {
				continue
			}
			decided := ""
			if l.DecidedAt != nil {
				decided = stampOf(*l.DecidedAt)
			}
			s.Rows = append(s.Rows, []sheetCell{{stampOf(l.ProposedAt), "/approvals/" + l.ID}, {Text: w.say("approval.act." + string(l.Act))}, {l.About, l.AboutPath}, {Text: l.Who},
				{Text: w.say("state.approval." + string(l.State))}, {Text: l.Decider}, {Text: decided}, {Text: l.Hash[:min(16, len(l.Hash))]}})
		}
		if len(list) < q.Limit {
			return nil
		}
		q.Before = list[len(list)-1].ID
	}
	return nil
}

// Acts that reports look for.
var (
	// lookupActs are those by which somebody saw more of a person than the masked form (HCA-8.1.5).
	lookupActs = []string{"person.unmask", "person.unmask-list", "person.copy", "evidence.export", "dispute.export"}
	// masterKeyActs are those that need the HSM's master key (HCA-6.3.2, HCA-6.3.3, HCA-6.3.4).
	masterKeyActs = []string{"enrol.key", "sign.hash", "ceremony.master", "ceremony.backup", "ceremony.restore", "ceremony.rollover", "ceremony.begin", "ceremony.finish"}
	exportActs    = []string{"report.export", "audit.export", "evidence.export", "dispute.export", "list.export"}
)

func (p *page) fillLookups(s *sheet) error   { return p.fillActs(s, lookupActs) }
func (p *page) fillMasterKey(s *sheet) error { return p.fillActs(s, masterKeyActs) }
func (p *page) fillExports(s *sheet) error   { return p.fillActs(s, exportActs) }

// fillActs lists rows of the audit log.
func (p *page) fillActs(s *sheet, acts []string) error {
	p.columns(s, sheetColumn{"seq", 1, true}, sheetColumn{"at", 2, false}, sheetColumn{"who", 2, false}, sheetColumn{"address", 2, false}, sheetColumn{"act", 3, false}, sheetColumn{"object", 4, false},
		sheetColumn{"outcome", 1.5, false}, sheetColumn{"details", 4, false})
	rows, err := p.site.Records.Acts(p.ctx(), overview.ActQuery{Acts: acts, Institution: p.who.Staff.Institution, From: s.From, To: s.until(), Limit: mostRowsOfReport + 1})
	if err != nil {
		return err
	}
	w := p.words()
	for _, e := range p.events(rows) {
		s.Rows = append(s.Rows, []sheetCell{{Text: strconv.FormatInt(e.Seq, 10)}, {Text: stampOf(e.At)}, {e.Who, e.WhoPath}, {Text: e.Address}, {Text: w.act(e.Act)}, {e.Object, e.Path},
			{Text: w.say("state.outcome." + e.Outcome)}, {Text: strings.Join(e.Notes, "\n")}})
	}
	return nil
}
