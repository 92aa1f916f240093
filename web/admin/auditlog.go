package admin

import (
	"net/http"
	"strconv"

	"certwindow/policy"
)

var auditRoutes = []route{
	{method: get, path: "/audit", handle: (*page).audit, roles: auditors},
}

func (p *page) audit() error {
	before, err := strconv.ParseInt(p.QueryParam("before"), 10, 64)
	if err != nil || before < 0 {
		before = 0
	}
	q := LogQuery{Institution: p.who.Staff.Institution, Object: p.QueryParam("object"), Clause: policy.Clause(p.QueryParam("clause")), Before: before, Limit: pageRows + 1}
	rows, err := p.site.AuditLog(p.ctx(), q)
	if err != nil {
		return err
	}
	more := ""
	if len(rows) > pageRows {
		rows = rows[:pageRows]
		query := p.QueryParams()
		query.Set("before", strconv.FormatInt(rows[pageRows-1].Seq, 10))
		query.Del("done")
		more = "/audit?" + query.Encode()
	}
	return p.show(http.StatusOK, "audit", view{Title: "audit.title", Form: p.QueryParams(), Data: map[string]any{"List": p.events(rows), "More": more}})
}
