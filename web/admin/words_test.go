package admin

import (
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/approve"
	"certwindow/ra/bulk"
	"certwindow/ra/custody"
	"certwindow/ra/enrol"
	"certwindow/ra/exchange"
	"certwindow/ra/intake"
	"certwindow/web/session"
)

// families are the keys that pages put together, with every value each can take.
func families() map[string][]string {
	return map[string][]string{
		"state.application.": texts(applicationStates), "waiting.": texts(applicationStates[:5]), "state.certificate.": texts(certificateStates),
		"state.device.": texts(deviceStates), "state.binding.": {"offered", "presented"}, "state.person.": {"active", "ended"},
		"state.institution.": {"active", "stopped"}, "state.scope.": {"approved", "withdrawn"}, "state.staff.": {"active", "initial", "locked", "stopped"},
		"state.card.": {"linked"}, "own-sessions.method.": {"password", "card"}, "biometric.": policy.Biometrics, "state.client.": clientStates, "client.kind.": texts(apiclient.Kinds), "state.outcome.": {"done", "refused", "failed"}, "role.": texts(session.Roles), "kind.": texts(applicationKinds), "counter.": texts(applicationKinds[:2]),
		"state.approval.": texts(approvalStates), "approval.act.": texts(approve.Acts), "approval.approve.": texts(approve.Acts), "approval.effect.": texts(approve.Acts),
		"ground.": groundNames(), "key.": {"app", "chip", "hsm"}, "key-short.": {"app", "chip", "hsm"}, "platform.": {"ios", "android"}, "leave.": leaveReasons, "report.": texts(reports), "replace.event.": texts(devices.Replacements), "proof.": {enrol.KindProved, enrol.KindDeclared, enrol.KindHSM},
		"reason.": append(texts(holderReasons), string(ra.ReasonPrivilegeWithdrawn)), "card.": cardCodes, "lang.": {chinese, english}, "hca-kind.": {"enrol", "revoke"},
		"import.kind.": texts(intake.Kinds), "institution.event.": texts(devices.InstitutionEvents[:4]), "import.verdict.": texts(intake.Verdicts), "state.line.": texts(intake.Verdicts), "state.import.": texts(importStates), "import.column.": importColumns(),
		"answer.": {"yes", "no"}, "setting.": settingNames(), "ceremony.kind.": texts(custody.Kinds), "state.ceremony.": ceremonyStates, "document.": devices.Documents, "handover.": halves, "handover.text.": halves, "handover.show.": halves,
		"state.app.": texts(appStates), "withdrawal.": devices.WithdrawalReasons, "state.checkin.": {"usable", "stopped"}, "unmask-reason.": policy.UnmaskReasons,
		"unmask-kind.": {"record", "list", "copy"}, "copy.kind.": {"account", "biometrics", "cards", "devices", "looks", "use", "read-notices", "applications", "certificates", "notices", "log"},
		"actor.": {"staff", "device", "holder", "client", "sweep", "system", "command"}, "nav.": navNames(),
		"sheet.": append(sheetNames(), "sweep"), "sheet.about.": sheetNames(), "sheet.col.": reportColumns, "finding.": {"expired", "revoked-at-hca"},
		"action.": {"revoke", "record", "none"}, "clause.": {"tested", "enforced", "not-yet"}, "help.title.": topicNames(), "help.about.": topicNames(),
		"help.steps.": topicNames(), "computer.test.": computerTests, "computer.found.": computerWords, "health.": checkNames, "health.down.": checkNames,
		"state.bulk.": texts(bulkStates), "state.bulk-item.": texts(bulk.Results), "bulk.result.": texts(bulk.Results), "bulk.kind.": texts(bulk.Kinds),
		"dispute.wrong.": exchange.Wrongs, "dispute.choice.": texts(exchange.Choices),
		"stuck.":   {"disputed", "requested", "sent"},
		"problem.": {"internal", "malformed", "refused", "conflict", "not-found", "unauthenticated", "forbidden", "too-many", "unavailable"},
	}
}

func settingNames() (out []string) {
	for _, s := range policy.AllSettings() {
		out = append(out, string(s.Name))
	}
	return out
}

var halves = []string{"password", "code"}

// checkNames are the parts of the house that the home page asks.
var checkNames = []string{"database", "hsm", "hca", "queue"}

func texts[T ~string](in []T) (out []string) {
	for _, x := range in {
		out = append(out, string(x))
	}
	return out
}

func groundNames() (out []string) {
	for _, g := range policy.Grounds() {
		out = append(out, g.Name)
	}
	return out
}

func importColumns() (out []string) {
	for _, columns := range intake.Columns {
		for _, c := range columns {
			out = append(out, c.Name)
		}
	}
	return out
}

func navNames() (out []string) {
	for _, s := range append(slices.Clone(sections), office...) {
		out = append(out, s[1:])
	}
	return out
}

// loose are families whose keys are looked up only where the catalogue has them.
var loose = []string{"code.", "act.", "done.", "fact."}

var (
	templateKey = regexp.MustCompile(`(?:\bt|\binput \. "[a-z-]+" "[a-z_]+"|\bchoice \. "[a-z_]+") "([a-z][a-z0-9.-]+)"`)
	goKey       = regexp.MustCompile(`"((?:[a-z]+[a-z0-9-]*\.)+[a-z0-9-]+|state)"`)
)

// usedKeys collects what templates and handlers ask for.
func usedKeys(t *testing.T) map[string]string {
	t.Helper()
	used := map[string]string{}
	read := func(pattern string, find *regexp.Regexp) {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v %v", pattern, names, err)
		}
		for _, n := range names {
			if strings.HasSuffix(n, "_test.go") {
				continue
			}
			b, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range find.FindAllStringSubmatch(string(b), -1) {
				used[m[1]] = n
			}
		}
	}
	read("templates/*.html", templateKey)
	for prefix, values := range families() {
		for _, v := range values {
			used[prefix+v] = "family " + prefix
		}
	}
	goUsed := map[string]string{}
	swap := used
	used = goUsed
	read("*.go", goKey)
	used = swap
	words, err := loadCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	for k, n := range goUsed { // a text in Go is a key where it is one
		if _, ok := words[chinese][k]; ok {
			used[k] = n
		}
	}
	return used
}

func TestLanguagesHaveTheSameKeys(t *testing.T) {
	words, err := loadCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	zh, en := words[chinese], words[english]
	verbs := regexp.MustCompile(`%[a-z]`)
	for k, m := range zh {
		other, ok := en[k]
		if !ok || strings.TrimSpace(other) == "" || strings.TrimSpace(m) == "" {
			t.Errorf("%s is not in both languages", k)
		}
		if !slices.Equal(verbs.FindAllString(m, -1), verbs.FindAllString(other, -1)) {
			t.Errorf("%s takes other arguments in the other language", k)
		}
		if strings.ContainsAny(m, "!！") || strings.ContainsAny(other, "!！") {
			t.Errorf("%s exclaims", k)
		}
	}
	for k := range en {
		if _, ok := zh[k]; !ok {
			t.Errorf("%s is in English alone", k)
		}
	}
}

func TestEveryKeyThatIsUsedExistsAndEveryKeyIsUsed(t *testing.T) {
	words, err := loadCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	used := usedKeys(t)
	for k, n := range used {
		if _, ok := words[chinese][k]; !ok {
			t.Errorf("%s asks for %s, which is not in the catalogue", n, k)
		}
	}
	for k := range words[chinese] {
		if _, ok := used[k]; ok || slices.ContainsFunc(loose, func(p string) bool { return strings.HasPrefix(k, p) }) {
			continue
		}
		if _, ok := used[strings.TrimSuffix(k, ".hint")]; ok && strings.HasSuffix(k, ".hint") {
			continue
		}
		if _, ok := used[strings.Replace(k, "in.", "ago.", 1)]; ok || strings.HasPrefix(k, "ago.") || strings.HasPrefix(k, "in.") {
			continue
		}
		t.Errorf("%s is in the catalogue and on no page", k)
	}
}

// Every code that a rule can refuse with, or a use case of these pages, has words in both languages.
func TestEveryRefusalHasWords(t *testing.T) {
	words, err := loadCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`Refuse\("HCA-[0-9.]+", "([a-z0-9-]+)"`)
	for _, dir := range []string{"../../devices", "../session", "."} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() && path != "." || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				if d != nil && d.IsDir() && path != "." {
					return fs.SkipDir
				}
				return err
			}
			b, err := fs.ReadFile(os.DirFS(dir), path)
			if err != nil {
				return err
			}
			for _, m := range code.FindAllStringSubmatch(string(b), -1) {
				if _, ok := words[chinese]["code."+m[1]]; !ok {
					t.Errorf("%s/%s refuses with %s, which has no words", dir, path, m[1])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestClausesHavePlainWords(t *testing.T) {
	for _, e := range policy.Clauses() {
		if ruleOf(e.ID, chinese) == "" || ruleOf(e.ID, english) == "" {
			t.Errorf("%s", e.ID)
		}
	}
}

func TestDatesAreTaipeiTimeWithTheRelativeOneBeside(t *testing.T) {
	h := build(t)
	stamp := h.site.funcs(chinese)["date"].(func(time.Time) template.HTML)
	at := time.Date(2026, 11, 22, 6, 3, 0, 0, time.UTC)
	h.at = at.Add(5 * time.Minute)
	if got := string(stamp(at)); got != `<time datetime="2026-11-22T06:03:00Z" title="5 分鐘前">2026-11-22 14:03</time>` {
		t.Error(got)
	}
	if got := string(stamp(at.Add(72 * time.Hour))); !strings.Contains(got, `title="2 天後"`) {
		t.Error(got)
	}
}

// actPattern finds the acts that the audit log is written with, as the services write them.
var actPattern = regexp.MustCompile(`(?:\bAct: |\bact\(ctx, actor, |\bon(?:Binding|Device)\(ctx, actor, [a-z.ID]+, )"([a-z-]+\.[a-z-]+)"`)

// HCA-8.1.6: every act of the log has words of its own in both languages; no page shows how the program calls it.
func TestEveryActHasWords(t *testing.T) {
	words, err := loadCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, root := range []string{"../../ra", "../../devices", "../session"} {
		err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "storetest") {
				return err
			}
			b, err := os.ReadFile(name)
			for _, m := range actPattern.FindAllStringSubmatch(string(b), -1) {
				seen++
				for lang, w := range words {
					if _, ok := w.find("act." + m[1]); !ok {
						t.Errorf("%s: %s has no words in %s", name, m[1], lang)
					}
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 40 {
		t.Errorf("%d acts were found alone", seen)
	}
}
