package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"certwindow/policy"
)

var helpRoutes = []route{
	{method: get, path: "/help", handle: (*page).help, roles: anyone},
	{method: get, path: "/help/computer", handle: (*page).computer, roles: anyone},
	{method: get, path: "/help/:name", handle: (*page).helpTopic, roles: anyone},
}

// topic is one page of help: how a task of the day goes. Its words are help.title, help.about and help.steps, the last
// with a line for each step.
type topic struct {
	Name    string
	Of      []string // the parts of the site that it explains, by the first element of their addresses
	Clauses []policy.Clause
}

// topics are the pages of help in the order of a day's work.
var topics = []topic{
	{"sign-in", []string{"password", "login"}, []policy.Clause{"HCA-8.1.1", "HCA-8.2.6", "HCA-8.2.7"}},
	{"person", []string{"persons"}, []policy.Clause{"HCA-3.7", "HCA-8.1.5"}},
	{"device", []string{"devices"}, []policy.Clause{"HCA-4.1", "HCA-4.2"}},
	{"counter", []string{"counter", "applications"}, []policy.Clause{"HCA-5.1.1", "HCA-5.1.2", "HCA-5.1.3", "HCA-8.1.2", "HCA-8.1.3"}},
	{"revoke", []string{"certificates", "bulks"}, []policy.Clause{"HCA-5.2.1", "HCA-5.2.2"}},
	{"approval", []string{"approvals"}, []policy.Clause{"HCA-5.2.2", "HCA-7.5", "HCA-8.1.6"}},
	{"search", []string{"search"}, []policy.Clause{"HCA-8.1.5"}},
	{"institution", []string{"institutions", "scopes"}, []policy.Clause{"HCA-3.7", "HCA-5.1.2"}},
	{"staff", []string{"staff"}, []policy.Clause{"HCA-3.2", "HCA-8.1.6"}},
	{"exchange", []string{"exchange"}, []policy.Clause{"HCA-3.3"}},
	{"dedicated", nil, []policy.Clause{"HCA-3.1"}},
	{"outage", nil, []policy.Clause{"HCA-3.4"}},
	{"audit", []string{"audit", "reports"}, []policy.Clause{"HCA-3.6", "HCA-8.1.6"}},
}

func topicNames() (out []string) {
	for _, t := range topics {
		out = append(out, t.Name)
	}
	return out
}

// helpPath is the help that fits the present page.
func (p *page) helpPath() string {
	first, _, _ := strings.Cut(strings.TrimPrefix(p.Request().URL.Path, "/"), "/")
	for _, t := range topics {
		if slices.Contains(t.Of, first) {
			return "/help/" + t.Name
		}
	}
	return "/help"
}

func (p *page) help() error {
	return p.show(http.StatusOK, "help", view{Title: "help.title", Data: topicNames()})
}

// helpRule is a clause in plain words.
type helpRule struct {
	Clause policy.Clause
	Text   string
}

func (p *page) rules(ids []policy.Clause) (out []helpRule) {
	for _, id := range ids {
		out = append(out, helpRule{id, ruleOf(id, p.lang)})
	}
	return out
}

func (p *page) helpTopic() error {
	i := slices.Index(topicNames(), p.Param("name"))
	if i < 0 {
		return echo.ErrNotFound
	}
	w, t := p.words(), topics[i]
	return p.show(http.StatusOK, "help-topic", view{Title: "help.title", Heading: w.say("help.title." + t.Name), Up: "/help", UpTitle: "help.title",
		Data: map[string]any{"About": w.say("help.about." + t.Name), "Steps": strings.Split(w.say("help.steps."+t.Name), "\n"), "Rules": p.rules(t.Clauses)}})
}

// computerTests are the parts that the page of the computer tests, in the order in which one needs the other.
var computerTests = []string{"browser", "permission", "component", "trust", "reader", "card"}

// computerWords are what the tests can find, with words of computer.found.
var computerWords = []string{"waiting", "browser-ok", "browser-insecure", "permission-granted", "permission-prompt", "permission-denied", "permission-needless", "permission-unknown",
	"component-none", "component-blocked", "component-denied", "component-hipki", "component-servisign", "trust-ok", "trust-none", "trust-unknown", "reader-none", "reader-ok",
	"reader-unknown", "card-none", "card-ok", "card-several", "skipped"}

// browserPolicy is the file by which a hospital lets this site reach the card component without a question at each
// computer, for one family of browsers.
type browserPolicy struct{ Browser, Where, Text string }

// policies are those files, for the address under which this page is asked for.
func (p *page) policies() []browserPolicy {
	origin := "https://" + p.Request().Host
	if u, err := url.Parse(origin); err != nil || u.Host == "" || strings.ContainsAny(origin, "\"'<>\\ ") {
		origin = "https://window.example"
	}
	managed := "{\n  \"LocalNetworkAccessAllowedForUrls\": [\"" + origin + "\"],\n  \"PopupsAllowedForUrls\": [\"" + origin + "\"]\n}\n"
	registry := func(key string) string {
		return "Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\" + key + "\\LocalNetworkAccessAllowedForUrls]\n\"1\"=\"" + origin +
			"\"\n\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\" + key + "\\PopupsAllowedForUrls]\n\"1\"=\"" + origin + "\"\n"
	}
	return []browserPolicy{
		{"Chrome (Windows)", "certwindow-chrome.reg", registry(`Google\Chrome`)},
		{"Edge (Windows)", "certwindow-edge.reg", registry(`Microsoft\Edge`)},
		{"Chrome (Linux)", "/etc/opt/chrome/policies/managed/certwindow.json", managed},
		{"Chromium (Linux)", "/etc/chromium/policies/managed/certwindow.json", managed},
	}
}

// computer tests the card component, the reader and the browser from the page itself.
func (p *page) computer() error {
	w := p.words()
	found := map[string]string{}
	for _, name := range computerWords {
		found[name] = w.say("computer.found." + name)
	}
	return p.show(http.StatusOK, "computer", view{Title: "computer.title", Up: "/help", UpTitle: "help.title", Scripts: []string{"card.js", "servisign.js", "computer.js"},
		Data: map[string]any{"Tests": computerTests, "Found": found, "Policies": p.policies(), "Rules": p.rules([]policy.Clause{"HCA-8.1.2", "HCA-8.1.3"})}})
}
