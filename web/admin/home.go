package admin

import (
	"net/http"

	"certwindow/ra"
	"certwindow/ra/enrol"
)

var homeRoutes = []route{
	{method: get, path: "/", handle: (*page).home, roles: anyone},
}

// waiting is one line of the home page: how many applications stand in a state. Count is exact, unless More.
type waiting struct {
	State ra.ApplicationState
	Count int
	More  bool
}

// countUpTo is how far the home page counts.
const countUpTo = 100

func (p *page) home() error {
	var list []waiting
	for _, s := range []ra.ApplicationState{ra.AppDisputed, ra.AppAwaitingSignature, ra.AppAwaitingKey, ra.AppRequested, ra.AppSent} {
		found, err := p.site.Enrolments.Applications(p.ctx(), p.actor(), enrol.Query{State: s, Limit: countUpTo + 1})
		if err != nil {
			return err
		}
		list = append(list, waiting{s, min(len(found), countUpTo), len(found) > countUpTo})
	}
	approvals, more, err := p.waitingApprovals()
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "home", view{Title: "home.title", Data: map[string]any{"Waiting": list, "Approvals": approvals, "MoreApprovals": more,
		"Remind": p.remindPassword()}})
}
