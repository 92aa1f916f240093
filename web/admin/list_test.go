package admin

import (
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/web/session"
)

// crowd registers persons with a device and a certificate each.
func (h *house) crowd(n int) (persons []ra.PersonID, phones []ra.DeviceID, certs []ra.CertificateID) {
	h.t.Helper()
	for i := range n {
		p := h.person(fmt.Sprintf("王%c明", '一'+rune(i)), fmt.Sprintf("A%09d", 123456780+i), fmt.Sprintf("%016d", 112345600+i), ownCode)
		d := h.boundDevice(fmt.Sprintf("D-%03d", (i*37)%n), p, ownCode)
		persons, phones, certs = append(persons, p), append(phones, d), append(certs, h.certificate(p, d, ownCode, ra.CertLive))
	}
	return persons, phones, certs
}

var (
	nextPage = regexp.MustCompile(`href="([^"]+)" rel="next"`)
	bodyRow  = regexp.MustCompile(`(?s)<tr><td.*?</tr>`)
	byColumn = regexp.MustCompile(`<th[^>]*scope="col"><a href="([^"]+)"`)
)

// rowsOf reads a list to its end and gives its rows.
func (b *browser) rowsOf(t *testing.T, at string) (rows []string) {
	t.Helper()
	for pages := 0; at != ""; pages++ {
		rec := b.get(at)
		if rec.Code != http.StatusOK || pages > 20 {
			t.Fatalf("%s: %d", at, rec.Code)
		}
		body := rec.Body.String()
		rows = append(rows, bodyRow.FindAllString(body, -1)...)
		m := nextPage.FindStringSubmatch(body)
		if at = ""; m != nil {
			at = html.UnescapeString(m[1])
		}
	}
	return rows
}

// Every list can be read to its end in each of its orders, with every row once, and the other way round backwards.
func TestEveryOrderOfEveryListHasEveryRowOnce(t *testing.T) {
	h := build(t)
	const n = pageRows + 7
	h.crowd(n)
	b := h.signIn(session.WindowAdmin)
	for path, want := range map[string]int{"/persons": n, "/devices": n, "/applications": n, "/certificates": n, "/institutions": 2, "/scopes": 2, "/staff": len(session.Roles)} {
		orders := byColumn.FindAllStringSubmatch(b.get(path).Body.String(), -1)
		if len(orders) == 0 {
			t.Errorf("%s cannot be sorted", path)
		}
		for i, m := range orders {
			first := html.UnescapeString(m[1])
			there := b.rowsOf(t, first)
			if len(there) != want || len(slices.Compact(slices.Sorted(slices.Values(there)))) != want {
				t.Errorf("%s: %d rows", first, len(there))
			}
			// A second click on the heading turns it round.
			again := html.UnescapeString(byColumn.FindAllStringSubmatch(b.get(first).Body.String(), -1)[i][1])
			back := b.rowsOf(t, again)
			slices.Reverse(back)
			if !slices.Equal(there, back) {
				t.Errorf("%s is not %s turned round", again, first)
			}
		}
	}
}

// A list says how many there are.
func TestListsCount(t *testing.T) {
	h := build(t)
	h.crowd(3)
	if body := h.signIn(session.Clerk).get("/certificates?state=live").Body.String(); !strings.Contains(body, "共 3 筆") {
		t.Error("the count is not shown")
	}
}

// hostile are texts that some layer could take for its own.
var hostile = []string{"'", "' OR '1'='1", `" OR ""="`, "1; DROP TABLE persons", "%", "\\", "1 UNION SELECT 1", "$1", "?", "(SELECT 1)", "id DESC", strings.Repeat("9", 99),
	strings.Repeat("x", 5000), "\u202e", "<script>"}

// SQL in every search, filter, order and cursor: the page answers or refuses, and nothing breaks (HCA-8.1.6).
func TestHostileFiltersOrdersAndCursors(t *testing.T) {
	h := build(t)
	h.crowd(2)
	b := h.signIn(session.WindowAdmin)
	texts := map[string][]string{"/certificates": {"serial", "institution", "person", "device"}, "/applications": {"institution", "person", "device"}, "/persons": {"institution"},
		"/devices": {"code", "institution", "person"}, "/staff": {"institution"}, "/audit": {"actor", "object", "clause", "institution"}}
	for path, names := range texts {
		for i, v := range hostile {
			q := url.Values{}
			for _, n := range names {
				q.Set(n, v)
			}
			tries := []url.Values{q, {"sort": {v}}, {"after": {v}}, {"from": {v}}, {"state": {v}}}
			rec := b.get(path + "?" + tries[0].Encode())
			if rec.Code >= 500 {
				t.Errorf("%s?%s: %d", path, q.Encode(), rec.Code)
			}
			some := tries[1+i%4]
			if rec := b.get(path + "?" + some.Encode()); rec.Code >= 500 {
				t.Errorf("%s?%s: %d", path, some.Encode(), rec.Code)
			}
			if rec := b.post(path+"/export", tries[i%5]); rec.Code >= 500 {
				t.Errorf("%s/export %s: %d", path, tries[i%5].Encode(), rec.Code)
			}
		}
	}
	for _, v := range hostile {
		if rec := b.post("/search", url.Values{"q": {v}}); rec.Code >= 400 {
			t.Errorf("search for %q: %d", v, rec.Code)
		}
	}
	if got := len(b.rowsOf(t, "/persons")); got != 2 {
		t.Errorf("%d persons are left", got)
	}
}

// A forged cursor is refused as what it is, whatever it holds.
func TestForgedCursorIsMalformed(t *testing.T) {
	h := build(t)
	b := h.signIn(session.WindowAdmin)
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, c := range []string{"x", "====", encode("{}"), encode("[]"), encode(`{"s":"until","i":"x"}`), encode(`{"s":"-id","i":""}`), encode("{\"s\":\"-id\",\"i\":\"\x00\"}"),
		encode("{\"s\":\"-id\",\"i\":\"\\u0000\"}"), encode(`{"s":"-id","i":7}`), encode(strings.Repeat(`{"s":`, 200)), strings.Repeat("A", 10000)} {
		if rec := b.get("/certificates?after=" + url.QueryEscape(c)); rec.Code != http.StatusBadRequest {
			t.Errorf("%.40q: %d", c, rec.Code)
		}
	}
	for path, c := range map[string]string{"/certificates?sort=until&after=": `{"s":"until","k":"' OR 1=1","i":"x"}`, "/audit?after=": `{"s":"-seq","i":"1; DROP"}`,
		"/devices?sort=seen&after=": `{"s":"seen","k":"99999-01-01T00:00:00Z","i":"x"}`} {
		if rec := b.get(path + encode(c)); rec.Code != http.StatusBadRequest {
			t.Errorf("%s%s: %d", path, c, rec.Code)
		}
	}
	if rec := b.get("/certificates?sort=serial"); rec.Code != http.StatusBadRequest {
		t.Errorf("an order that there is none of: %d", rec.Code)
	}
	if rec := b.get("/certificates?state=liv"); rec.Code != http.StatusBadRequest {
		t.Errorf("a filter that would be left out: %d", rec.Code)
	}
}

// HCA-8.1.5, HCA-8.1.6: an export is the list that is shown, masked as there, and in the log with its number of rows.
func TestExportIsWhatIsShownAndIsRecorded(t *testing.T) {
	h := build(t)
	h.crowd(3)
	h.person("=CMD(1)", "B123456780", "0000000000000099", ownCode)
	b := h.signIn(session.Auditor)
	rec := b.post("/persons/export", nil)
	body := rec.Body.String()
	if rec.Code != 200 || !strings.HasPrefix(body, "\ufeff") || !strings.Contains(rec.Header().Get("Content-Disposition"), "attachment; filename=\"persons-20261122-") ||
		!strings.HasPrefix(rec.Header().Get("Content-Type"), "text/csv") {
		t.Fatalf("%d %v %.40q", rec.Code, rec.Header(), body)
	}
	lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(body, "\ufeff"))).ReadAll()
	if err != nil || len(lines) != 5 {
		t.Fatalf("%v, %d lines", err, len(lines))
	}
	for _, l := range lines {
		for _, c := range l {
			if strings.ContainsAny(c[:min(1, len(c))], "=+-@\t\r") {
				t.Errorf("a spreadsheet would run %q", c)
			}
		}
	}
	if strings.Contains(body, "A123456780") || !strings.Contains(body, "A12****780") || strings.Contains(body, "王一明") || !strings.Contains(body, "王○明") {
		t.Error("the export is not masked as the page is")
	}
	if got := b.post("/certificates/export", url.Values{"state": {"revoked"}}).Body.String(); strings.Count(got, "\n") != 1 {
		t.Errorf("the export does not keep to the filter: %q", got)
	}
	log := b.get("/audit").Body.String()
	if !strings.Contains(log, "rows 4") || !strings.Contains(log, "list/persons") || !strings.Contains(log, "state revoked") {
		t.Error("the log does not say what was exported")
	}
	if strings.Contains(b.get("/audit?object=list/persons").Body.String(), "list/certificates") {
		t.Error("the log is not filtered")
	}
}

func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{"": "", "王○明": "王○明", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "＝1": "'＝1", "1=1": "1=1"} {
		if got := harmless(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// The search box knows what was typed and goes to what is the only one.
func TestSearchRecognisesWhatWasTyped(t *testing.T) {
	h := build(t)
	persons, phones, certs := h.crowd(2)
	c, err := h.revoke.Certificate(t.Context(), operator, certs[1])
	h.ok(err)
	d, _, err := h.registry.Device(t.Context(), operator, phones[1])
	h.ok(err)
	b := h.signIn(session.Helpdesk)
	colons := strings.ToUpper(c.Serial[:2] + ":" + c.Serial[2:])
	for q, want := range map[string]string{c.Serial: "/certificates/" + string(c.ID), colons: "/certificates/" + string(c.ID), "0x00" + c.Serial: "/certificates/" + string(c.ID),
		string(c.ID): "/certificates/" + string(c.ID), strings.ToLower(string(c.ApplicationID)): "/applications/" + string(c.ApplicationID), d.Code: "/devices/" + string(d.ID),
		string(persons[1]): "/persons/" + string(persons[1]), string(d.ID): "/devices/" + string(d.ID), "a123456781": "/persons/" + string(persons[1]),
		fmt.Sprintf("%016d", 112345601): "/persons/" + string(persons[1]), "王丁明": "/persons/" + string(persons[1]), string(otherCode): "/institutions/" + string(otherCode)} {
		rec := b.post("/search", url.Values{"q": {" " + q + " "}})
		if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != want {
			t.Errorf("%s: %d %s, want %s", q, rec.Code, rec.Header().Get("Location"), want)
		}
	}
	if body := b.post("/search", url.Values{"q": {"D-"}}).Body.String(); strings.Count(body, `href="/devices/`) != 2 {
		t.Error("what begins so is not shown in a group")
	}
}

// HCA-3.7, HCA-8.1.6: nothing of another institution is found, listed, exported or counted, by whichever id one asks.
func TestListsAndSearchKeepInstitutionsApart(t *testing.T) {
	h := build(t)
	theirs := h.person("陳志明", "B123456780", "0000000112345699", otherCode)
	device := h.boundDevice("D-OTHER", theirs, otherCode)
	id := h.certificate(theirs, device, otherCode, ra.CertLive)
	c, err := h.revoke.Certificate(t.Context(), operator, id)
	h.ok(err)
	b := h.signInAs(h.hire(session.NewStaff{Account: "own.clerk", Role: session.Clerk, Institution: ownCode}))
	for _, q := range []string{string(theirs), string(device), string(id), string(c.ApplicationID), c.Serial, "D-OTHER", "D-", "陳志明", "B123456780", "0000000112345699", string(otherCode), "康寧醫院"} {
		rec := b.post("/search", url.Values{"q": {q}})
		if rec.Code != 200 || strings.Contains(rec.Body.String(), `href="/devices/`) || !strings.Contains(rec.Body.String(), "找不到") {
			t.Errorf("%s is found: %d %s", q, rec.Code, rec.Header().Get("Location"))
		}
	}
	for _, path := range []string{"/certificates?person=" + string(theirs), "/certificates?device=" + string(device), "/certificates?serial=" + c.Serial, "/applications?person=" + string(theirs),
		"/devices?person=" + string(theirs), "/devices?code=D-OTHER", "/persons"} {
		body := b.get(path).Body.String()
		at, query, _ := strings.Cut(path, "?")
		form, err := url.ParseQuery(query)
		h.ok(err)
		body += b.post(at+"/export", form).Body.String()
		if bodyRow.MatchString(body) || strings.Contains(body, "陳") || strings.Contains(body, `href="/devices/`+string(device)) {
			t.Errorf("%s shows another institution", path)
		}
	}
	for _, path := range []string{"/institutions/" + string(otherCode), "/certificates?institution=" + string(otherCode), "/certificates/" + string(id)} {
		if rec := b.get(path); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	auditor := h.signInAs(h.hire(session.NewStaff{Account: "own.auditor", Role: session.Auditor, Institution: ownCode}))
	if rec := auditor.post("/certificates/"+string(id)+"/evidence", url.Values{"application": {string(c.ApplicationID)}}); rec.Code != http.StatusNotFound {
		t.Errorf("evidence: %d", rec.Code)
	}
	for _, q := range []string{"?actor=clerk", "?object=certificate/" + string(id), "?institution=" + string(otherCode)} {
		if body := auditor.get("/audit" + q).Body.String(); bodyRow.MatchString(body) {
			t.Errorf("/audit%s shows another institution's acts", q)
		}
	}
}

// The log is searched by act, actor, outcome, clause and day.
func TestAuditLogIsSearched(t *testing.T) {
	h := build(t)
	persons, _, _ := h.crowd(2)
	b := h.signIn(session.Auditor)
	clerk := h.signIn(session.Clerk)
	if rec := clerk.post("/applications/new", url.Values{"person": {string(persons[0])}, "device": {"x"}}); rec.Code < 400 {
		t.Fatal(rec.Code)
	}
	for q, want := range map[string]bool{"act=person.register": true, "act=device.retire": false, "outcome=done": true, "from=2026-11-22": true, "from=2026-11-23": false, "to=2026-11-21": false,
		"to=2026-11-22": true, "actor=operator": true, "actor=clerk": true, "actor=nobody": false, "object=person/" + string(persons[0]): true, "clause=nothing": false} {
		if got := len(b.rowsOf(t, "/audit?"+q)) > 0; got != want {
			t.Errorf("%s finds rows: %v", q, got)
		}
	}
	all := b.rowsOf(t, "/audit")
	if back := b.rowsOf(t, "/audit?sort=seq"); len(back) < len(all) || len(all) < 10 {
		t.Errorf("%d rows one way, %d the other", len(all), len(back))
	}
}

// HCA-3.3: evidence is for auditors.
func TestEvidenceOfACertificate(t *testing.T) {
	h := build(t)
	_, _, certs := h.crowd(1)
	c, err := h.revoke.Certificate(t.Context(), operator, certs[0])
	h.ok(err)
	form := url.Values{"application": {string(c.ApplicationID)}}
	rec := h.signIn(session.Auditor).post("/certificates/"+string(c.ID)+"/evidence", form)
	if rec.Code != 200 || rec.Body.String() != "PK of "+string(c.ApplicationID) || rec.Header().Get("Content-Type") != "application/zip" {
		t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
	if rec := h.signIn(session.Auditor).post("/certificates/"+string(c.ID)+"/evidence", url.Values{"application": {"01JD00000000000000000000ZZ"}}); rec.Code != http.StatusNotFound {
		t.Errorf("the evidence of something else: %d", rec.Code)
	}
	if rec := h.signIn(session.Clerk).post("/certificates/"+string(c.ID)+"/evidence", form); rec.Code != http.StatusForbidden {
		t.Errorf("a clerk: %d", rec.Code)
	}
}

// Institutions and scopes have a page with their history.
func TestOfficePages(t *testing.T) {
	h := build(t)
	h.crowd(1)
	h.ok(h.registry.SaveScope(t.Context(), operator, devices.Scope{Code: "ONE-ONLY", Name: "一處", Approved: true, Institutions: []ra.InstitutionCode{ownCode}}))
	b := h.signIn(session.WindowAdmin)
	for path, want := range map[string][]string{"/institutions/" + string(ownCode): {"平安綜合醫院", "/certificates?institution=0101090517&amp;state=live", "登記機構"},
		"/scopes/ONE-ONLY": {"一處", `href="/institutions/0101090517"`, "撤回"}} {
		body := b.get(path).Body.String()
		for _, x := range want {
			if !strings.Contains(body, x) {
				t.Errorf("%s lacks %s", path, x)
			}
		}
	}
	if rec := b.get("/scopes/NONE"); rec.Code != http.StatusNotFound {
		t.Error(rec.Code)
	}
}

func FuzzReadCursor(f *testing.F) {
	f.Add(cursor{"-id", "", "01JD"}.String(), "-id")
	f.Add(cursor{"until", "2026-11-22T04:00:00Z", "01JD"}.String(), "until")
	f.Add("e30", "-id")
	f.Fuzz(func(t *testing.T, s, sort string) {
		m, err := readCursor(s, sort)
		if err != nil || m == nil {
			return
		}
		again, err := readCursor(cursor{sort, m.Key, m.ID}.String(), sort)
		if err != nil || *again != *m {
			t.Errorf("%q: %v, %v", s, again, err)
		}
	})
}
