package admin

import (
	"fmt"
	"net/http"
	"slices"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/settings"
)

// settingRow is a setting with its place among them, and who decided it.
type settingRow struct {
	settings.Line
	at        int
	Who, Path string // who decided, and the approval's page
}

// settingList are the limits that a window may tighten (HCA-9).
var settingList = &list[settingRow]{
	path:   "settings",
	title:  "settings.title",
	none:   "list.none-filtered",
	hint:   "settings.text",
	orders: []order{{"rule", false}, {"decided", true}},
	filters: []filter{{name: "changed", label: "setting.decided", kind: "select", options: func(p *page) []option {
		return []option{{Label: p.words().say("filter.all")}, {Value: "yes", Label: p.words().say("setting.changed")}}
	}}},
	columns: []column[settingRow]{
		{label: "setting.name", class: "words", by: "rule", cell: func(p *page, r settingRow) cell {
			return leading("/settings/"+string(r.Name), p.words().say("setting."+string(r.Name)))
		}},
		{label: "setting.rule", class: "code", cell: func(_ *page, r settingRow) cell { return plain(string(r.Clause)) }},
		{label: "setting.value", class: "code", cell: func(p *page, r settingRow) cell { return plain(p.words().fact("value", r.Value)) }},
		{label: "setting.bounds", class: "code", cell: func(p *page, r settingRow) cell { return plain(p.bounds(r)) }},
		{label: "setting.decided", class: "when", by: "decided", cell: func(p *page, r settingRow) cell {
			if r.Decided == nil {
				return plain(p.words().say("setting.start"))
			}
			return p.when(r.Decided.SetAt)
		}},
		{label: "setting.by", class: "short", cell: func(_ *page, r settingRow) cell { return cell{Text: r.Who, Path: r.Path} }},
	},
	read: func(p *page, a asked) ([]settingRow, error) {
		all, err := p.settingRows(a.get("changed") == "yes")
		return pageOf(all, a, settingMark), err
	},
	count: func(p *page, a asked) (int, error) {
		all, err := p.settingRows(a.get("changed") == "yes")
		return len(all), err
	},
	mark: settingMark,
}

func settingMark(by string, r settingRow) ra.Mark {
	m := ra.Mark{ID: fmt.Sprintf("%03d", r.at)}
	if by == "decided" && r.Decided != nil {
		m.Key = r.Decided.SetAt.UTC().Format("2006-01-02T15:04:05.000000")
	}
	return m
}

// bounds are the rule's own, in words.
func (p *page) bounds(r settingRow) string {
	if r.Kind == policy.MarkSetting {
		return p.words().fact("value", "no") + " / " + p.words().fact("value", "yes")
	}
	return r.Bounds
}

// settingRows are all settings, or those that two persons have decided.
func (p *page) settingRows(decided bool) (out []settingRow, err error) {
	lines, err := p.site.Settings.Lines(p.ctx())
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for i, l := range lines {
		if decided && l.Decided == nil {
			continue
		}
		r := settingRow{Line: l, at: i}
		if l.Decided != nil {
			r.Who = p.account(names, l.Decided.SetBy)
			if l.Decided.Approval != "" {
				r.Path = "/approvals/" + l.Decided.Approval
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// setting is one setting with its rule, its bounds and its history.
func (p *page) setting() error {
	all, err := p.settingRows(false)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(r settingRow) bool { return string(r.Name) == p.Param("name") })
	if i < 0 {
		return ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such setting.")
	}
	r := all[i]
	events, err := p.history(settings.Object(r.Name))
	if err != nil {
		return err
	}
	waiting, err := p.approvalsOf(settings.Object(r.Name))
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "setting", view{Title: "setting.one", Heading: p.words().say("setting." + string(r.Name)), Up: "/settings", UpTitle: "settings.title",
		Data: map[string]any{"Setting": r, "Bounds": p.bounds(r), "Rule": ruleOf(r.Clause, p.lang), "Approvals": waiting, "History": events}})
}
