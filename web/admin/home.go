package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/enrol"
	"certwindow/ra/overview"
	"certwindow/web/admin/mask"
	"certwindow/web/session"
)

var homeRoutes = []route{
	{method: get, path: "/", handle: (*page).home, roles: anyone},
}

// Overview is what the home page counts; overview.Service is one. None of it makes a page wait for long.
type Overview interface {
	Tally(ctx context.Context, actor ra.Actor) (overview.Tally, bool)
	Health(ctx context.Context) ([]overview.Health, bool)
	Duties(ctx context.Context, actor ra.Actor) (overview.Duties, error)
	DedicatedUntil() time.Time
}

// task is one thing that somebody should do something about, or know.
type task struct {
	Bad   bool // it is wrong already, and does not only wait
	Text  string
	Path  string
	Rule  string // the clause it comes from
	Lines []taskLine
}

type taskLine struct {
	Text, Path string
	Since      time.Time
}

// Who is told of what: those who can act on it, or have to know.
var (
	mendsApplications = []session.Role{session.Clerk, session.InstitutionAdmin, session.Helpdesk, session.WindowAdmin}
	runsTheWindow     = []session.Role{session.WindowAdmin, session.Auditor}
)

// countUpTo is how far the home page counts.
const countUpTo = 100

// silentDays is after how many days without a word a bound device is asked after (HCA-3.6).
func (p *page) silentDays() int { return p.site.Settings.Now().Number(policy.SilentDays) }

// sweepLate is after how long without an inventory something must be wrong (HCA-3.6): it runs at least daily.
const sweepLate = 48 * time.Hour

// unsignedLate is how old the last checkpoint of the audit log may be while there are rows after it (HCA-8.1.6).
const unsignedLate = time.Hour

// waiting is one line of the home page: how many applications stand in a state. Count is exact, unless More.
type waiting struct {
	State ra.ApplicationState
	Count int
	More  bool
}

// homeData is what the home page shows.
type homeData struct {
	Remind  bool
	Tasks   []task
	Waiting []waiting
	Charts  []figure
	At      time.Time         // of the charts; zero: not counted yet
	Health  []overview.Health // nil: not for this role, or not asked yet
	Asked   bool
}

func (p *page) home() error {
	d := homeData{Remind: p.remindPassword()}
	for _, s := range applicationStates[:5] {
		found, err := p.site.Enrolments.Applications(p.ctx(), p.actor(), enrol.Query{State: s, Limit: countUpTo + 1})
		if err != nil {
			return err
		}
		d.Waiting = append(d.Waiting, waiting{s, min(len(found), countUpTo), len(found) > countUpTo})
	}
	tally, counted := p.site.Overview.Tally(p.ctx(), p.actor())
	for _, tasks := range []func() ([]task, error){p.approvalTasks, p.dutyTasks, func() ([]task, error) { return p.expiryTasks(tally), nil }, p.silentTasks, p.copiedTasks} {
		more, err := tasks()
		if err != nil {
			return err
		}
		d.Tasks = append(d.Tasks, more...)
	}
	health, asked := p.site.Overview.Health(p.ctx())
	d.Tasks = append(d.Tasks, p.healthTasks(health)...)
	slices.SortStableFunc(d.Tasks, func(a, b task) int {
		switch {
		case a.Bad == b.Bad:
			return 0
		case a.Bad:
			return -1
		}
		return 1
	})
	if d.Asked = p.among(runsTheWindow) && p.who.Staff.Institution == ""; d.Asked && asked {
		d.Health = health
	}
	if counted {
		var err error
		if d.Charts, err = p.charts(tally); err != nil {
			return err
		}
		d.At = tally.At
	}
	return p.show(http.StatusOK, "home", view{Title: "home.title", Data: d})
}

func (p *page) among(roles []session.Role) bool { return slices.Contains(roles, p.who.Staff.Role) }

// approvalTasks are the acts that wait for a second person: for an approver those he may decide, for others their
// own.
func (p *page) approvalTasks() ([]task, error) {
	list, err := p.site.Approvals.Proposals(p.ctx(), p.actor(), approve.Query{State: approve.Proposed, Limit: countUpTo + 1})
	if err != nil {
		return nil, err
	}
	approver := p.may(post, "/approvals/:id/approve") && !p.who.Staff.Contractor
	more := len(list) > countUpTo
	list = slices.DeleteFunc(list, func(x approve.Proposal) bool {
		own := x.ProposedBy == string(p.who.Staff.ID)
		return own == approver && !p.among(runsTheWindow)
	})
	if len(list) == 0 {
		return nil, nil
	}
	slices.Reverse(list) // the one that waits longest first
	w := p.words()
	x := task{Text: w.say("task.approvals-own", w.count(len(list), more)), Path: "/approvals", Rule: "HCA-8.1.6"}
	if approver {
		x.Text = w.say("task.approvals", w.count(len(list), more))
	}
	for _, a := range list[:min(len(list), overview.Shown)] {
		x.Lines = append(x.Lines, taskLine{w.say("approval.act." + string(a.Act)), "/approvals/" + a.ID, a.ProposedAt})
	}
	return []task{x}, nil
}

// dutyTasks are applications that stand still, and what the house itself should have done.
func (p *page) dutyTasks() (out []task, err error) {
	d, err := p.site.Overview.Duties(p.ctx(), p.actor())
	if err != nil {
		return nil, err
	}
	if p.among(mendsApplications) && len(d.Stuck) > 0 {
		x, err := p.stuckTask(d.Stuck)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	if p.among(runsTheWindow) {
		out = append(out, p.sweepTasks(d)...)
		out = append(out, p.houseTasks(d)...)
	}
	return out, nil
}

// stuckTask says of each application that stands still why, as far as the window knows.
func (p *page) stuckTask(stuck []overview.Stuck) (task, error) {
	w := p.words()
	x := task{Bad: true, Text: w.say("task.stuck", w.count(min(len(stuck), overview.Shown), len(stuck) > overview.Shown)), Path: "/applications", Rule: "HCA-3.3"}
	for _, s := range stuck[:min(len(stuck), overview.Shown)] {
		why := w.say("stuck." + string(s.State))
		if m, ok := w.find("code." + s.FailureCode); ok && s.FailureCode != "" {
			why = m
		}
		who, err := p.site.Registry.Person(p.ctx(), p.actor(), s.PersonID)
		if err != nil && ra.KindOf(err) != ra.KindNotFound {
			return x, err
		}
		x.Lines = append(x.Lines, taskLine{w.say("stuck.line", mask.Name(who.Name), w.say("kind."+string(s.Kind)), why), "/applications/" + string(s.ID), s.UpdatedAt})
	}
	return x, nil
}

// sweepTasks are what the last inventory found (HCA-3.6), or that there was none.
func (p *page) sweepTasks(d overview.Duties) []task {
	w := p.words()
	switch r := d.Sweep; {
	case r == nil:
		return []task{{Text: w.say("task.sweep-none"), Path: "/reports/sweeps", Rule: "HCA-3.6"}}
	case p.site.Now().Sub(*r.FinishedAt) > sweepLate:
		return []task{{Bad: true, Text: w.say("task.sweep-late", w.ago(*r.FinishedAt, p.site.Now())), Path: "/reports/sweeps", Rule: "HCA-3.6"}}
	case r.OverCap && p.who.Staff.Institution == "":
		return []task{{Bad: true, Text: w.say("task.sweep-cap", len(r.Findings)), Path: "/reports/sweeps/" + r.ID, Rule: "HCA-3.6"}}
	case len(r.Findings) > 0:
		failed := 0
		for _, f := range r.Findings {
			if f.Error != "" {
				failed++
			}
		}
		return []task{{Bad: failed > 0, Text: w.say("task.sweep-found", len(r.Findings), failed), Path: "/reports/sweeps/" + r.ID, Rule: "HCA-3.6"}}
	}
	return nil
}

// dedicatedWarnings are how many days before its end the dedicated certificate is told of, and told again (HCA-3.1).
var dedicatedWarnings = []int{60, 30, 14, 7, 1}

// houseTasks are the window's own affairs: for those of the whole window.
func (p *page) houseTasks(d overview.Duties) (out []task) {
	if p.who.Staff.Institution != "" {
		return nil
	}
	w, now := p.words(), p.site.Now()
	end := p.site.Overview.DedicatedUntil()
	left := end.Sub(now)
	switch days := int(left / (24 * time.Hour)); {
	case left <= 0:
		out = append(out, task{Bad: true, Text: w.say("task.dedicated-over"), Rule: "HCA-3.1"})
	case days < dedicatedWarnings[0]:
		mark := 0
		for _, m := range dedicatedWarnings {
			if left <= time.Duration(m)*24*time.Hour {
				mark = m
			}
		}
		out = append(out, task{Bad: mark <= 14, Text: w.say("task.dedicated", days, mark), Rule: "HCA-3.1", Path: "/help/dedicated"})
	}
	if n := d.Notices; n.Failing > 0 {
		out = append(out, task{Bad: true, Text: w.say("task.notices", n.Failing, w.ago(n.Oldest, now)), Rule: "HCA-3.4"})
	}
	if c := d.Checkpoint; c.Unsigned > 0 && now.Sub(c.At) > unsignedLate && !c.At.IsZero() {
		out = append(out, task{Bad: true, Text: w.say("task.checkpoint", c.Unsigned, w.ago(c.At, now)), Path: "/audit", Rule: "HCA-8.1.6"})
	}
	return out
}

// expiryTasks say how many certificates end soon, at each of the distances.
func (p *page) expiryTasks(t overview.Tally) []task {
	if !p.among(mendsApplications) {
		return nil
	}
	w, total, parts := p.words(), 0, []string(nil)
	for _, within := range slices.Backward(overview.Horizon) {
		for _, s := range t.Soon {
			if s.Within == within {
				total += s.Count
			}
		}
		if total > 0 {
			parts = append(parts, w.say("task.expiring-within", within, total))
		}
	}
	if total == 0 {
		return nil
	}
	return []task{{Text: w.say("task.expiring", strings.Join(parts, w.say("list.comma"))), Path: "/certificates?state=live", Rule: "HCA-7.2"}}
}

// silentTasks say how many bound devices have not been heard of for long.
func (p *page) silentTasks() ([]task, error) {
	if !p.among(mendsApplications) {
		return nil, nil
	}
	list, err := p.site.Registry.Devices(p.ctx(), p.actor(), devices.DeviceQuery{SilentSince: p.site.Now().AddDate(0, 0, -p.silentDays()), Limit: countUpTo + 1})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	w := p.words()
	return []task{{Text: w.say("task.silent", w.count(min(len(list), countUpTo), len(list) > countUpTo), p.silentDays()), Path: "/devices?silent=1", Rule: "HCA-3.6"}}, nil
}

// healthTasks are the parts of the house that did not answer.
func (p *page) healthTasks(health []overview.Health) (out []task) {
	for _, h := range health {
		if !h.OK {
			out = append(out, task{Bad: true, Text: p.words().say("health.down." + h.Name), Path: "/help/outage"})
		}
	}
	return out
}

// count writes a number, or that there are more.
func (c catalogue) count(n int, more bool) string {
	if more {
		return c.say("count.more", n)
	}
	return thousands(n)
}
