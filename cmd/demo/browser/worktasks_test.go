package browser

import (
	"archive/zip"
	"bytes"
	"fmt"
	"path"
	"strings"
	"time"

	"certwindow/cmd/demo/stage"
)

// day is one so many years and months from now, as forms take it.
func day(years, months int) string { return time.Now().AddDate(years, months, 0).Format(time.DateOnly) }

// imports takes a table of persons in: what is wrong with a line is told beside it, and the rest is taken in.
func (o *office) imports() {
	b := o.clerk
	ids := [][2]string{{"K155000005", "K155000014"}, {"K155000023", "K155000032"}}[o.n-1]
	b.to("/imports")
	b.fill("kind", "persons")
	b.fill("institution", stage.Window)
	b.fill("file", b.table("national_id,name,holder", fmt.Sprintf("%s,林匯入,88000000000%05d", ids[0], 80000+2*o.n), "K15500,號碼錯誤,8800000000099999",
		fmt.Sprintf("%s,林匯入,88000000000%05d", ids[1], 80001+2*o.n)))
	b.clicks(sender("file"), "the preview", b.stands("import.previewed"))
	line := func(n int, state string) string {
		return fmt.Sprintf(`[...document.querySelectorAll("main tbody tr")].some((r) => r.cells[0].textContent === "%d" && r.cells[1].textContent.trim() === %s)`, n, quoted(b.say("state.line."+state)))
	}
	b.until("the preview by line", line(2, "fresh")+" && "+line(3, "wrong")+" && "+line(4, "fresh"))
	if !ask[bool](b, `[...document.querySelectorAll("main tbody tr")].some((r) => r.cells[0].textContent === "3" && r.cells[3].textContent.trim().length > 5)`) {
		b.t.Error("nothing says what is wrong with line 3")
	}
	where := b.here()
	b.clicks(`main form[action$="/start"] button`, "the import", says(""))
	b.eventually(where, "the end of the import", b.stands("import.finished"))
	b.reload()
	b.until("the lines taken in", line(2, "done")+" && "+line(3, "wrong")+" && "+line(4, "done"))
}

// revokesByTwo has the help desk suspend a certificate at once, and a clerk and the approver revoke it without its
// holder's card (HCA-5.2.2).
func (o *office) revokesByTwo() {
	where := "/certificates/" + o.holder.Certificates[0]
	o.suspends(0)
	o.clerk.to(where)
	o.clerk.fill("ground", "key-misused")
	o.clerk.fill("window_note", "電話通報 02-1234")
	o.proposes(o.clerk, sender("window_note"))
	o.clerk.eventually(where, "the revocation", o.clerk.stands("certificate.revoked"))
}

func (o *office) suspends(i int) {
	b := o.helpdesk
	b.to("/certificates/" + o.holder.Certificates[i])
	b.fill("suspend_note", "電話通報 02-1234")
	b.clicks(sender("suspend_note"), "the suspension", done+" && "+b.stands("certificate.suspended"))
}

// exempts lets a holder have more certificates than five, as the HCA's reply says (HCA-7.5).
func (o *office) exempts() {
	b, where, reply := o.boss, "/persons/"+o.holder.Person, fmt.Sprintf("HCA-REPLY-%d", o.n)
	b.to(where)
	b.fill("limit", "7")
	b.fill("last_day", day(0, 1))
	b.fill("reply", reply)
	o.proposes(b, sender("reply"))
	b.to(where)
	b.until("the exemption", fmt.Sprintf(`[...document.querySelectorAll("main dl .code")].some((e) => e.textContent === %s)`, quoted(reply)))
}

// tightens changes a setting, by two (HCA-9).
func (o *office) tightens() {
	b, value := o.boss, fmt.Sprint(30-o.n)
	b.to("/settings")
	b.fill("setting", "silent-days")
	b.fill("value", value)
	o.proposes(b, sender("value"))
	b.to("/settings/silent-days")
	b.until("the new value", fmt.Sprintf(`document.querySelector("main dl .code").textContent === %s`, quoted(value)))
}

// putsAppOnFile puts a version of an app on file, which two approve (HCA-2.6, HCA-6.1).
func (o *office) putsAppOnFile() {
	b, sum := o.boss, strings.Repeat("7c", 32)
	b.to("/apps/new")
	for _, x := range [][2]string{{"platform", "android"}, {"name", "護理站簽章"}, {"package", "tw.hospital.ward"}, {"version", fmt.Sprintf("2.%d.0", o.n)}, {"min_os", "13"},
		{"permissions", "android.permission.CAMERA"}, {"download", "https://apps.hospital.example/ward.apk"}, {"digest", sum}, {"scopes", "EMR-SIGN"},
		{"evidence", "資安檢測報告 115-0500"}, {"evidence_sha256", sum}, {"reviewer", "李資安"}, {"reviewed", "2026-10-30"}} {
		b.fill(x[0], x[1])
	}
	b.clicks(sender("evidence"), "the version on file", `/^\/apps\/[0-9A-Z]{26}$/.test(location.pathname) && `+done)
	where := b.here()
	o.proposes(b, `main form[action$="/propose"] button`)
	b.to(where)
	b.until("the version approved", b.stands("app.approved"))
}

// makesAccount makes an account of the staff: two persons, each of whom sees one half of its credentials, once (HCA-8.1.6).
func (o *office) makesAccount() {
	b, account := o.boss, fmt.Sprintf("made-by-two-%d", o.n)
	b.to("/staff/new")
	b.fill("account", account)
	b.fill("role", "helpdesk")
	o.proposes(b, sender("account"))
	where := ask[string](o.approver, `document.querySelector('main a[href^="/staff/"]').getAttribute("href")`)
	for _, half := range []struct {
		who  *tab
		name string
	}{{b, "password"}, {o.approver, "code"}} {
		form := fmt.Sprintf(`main form[action$="/handover"]:has([value=%q])`, half.name)
		half.who.to(where)
		if n := ask[int](half.who, `document.querySelectorAll('main form[action$="/handover"]').length`); n != 1 {
			b.t.Errorf("%d halves are offered to one person", n)
		}
		if half.name == "password" {
			half.who.fill("name", "何新人")
		}
		half.who.clicks(form+" button", "half of the credentials", says(account)+` && document.querySelectorAll("main dl .code").length === 2`)
		secret := ask[string](half.who, `document.querySelectorAll("main dl .code")[1].textContent`)
		if len(secret) < 8 {
			b.t.Errorf("the %s is %d characters long", half.name, len(secret))
		}
		half.who.to(where)
		if ask[bool](half.who, says(secret)) || ask[bool](half.who, fmt.Sprintf(`document.querySelector(%s) !== null`, quoted(form))) {
			b.t.Errorf("the %s is shown more than once", half.name)
		}
	}
}

// unmasksOne shows one person's data to a clerk who says why, once (HCA-8.1.5).
func (o *office) unmasksOne() {
	b, where := o.clerk, "/persons/"+o.holder.Person
	b.to(where)
	if ask[bool](b, says(o.holder.Name)) {
		b.t.Error("the person's page shows the whole name")
	}
	b.fill("unmask_note", "本人來電查詢資料")
	b.clicks(sender("unmask_note"), "the person's data", says(o.holder.Name)+` && /H1[0-9]{8}/.test(document.querySelector("main").innerText)`)
	b.to(where)
	if ask[bool](b, says(o.holder.Name)) || ask[bool](b, `/H1[0-9]{8}/.test(document.querySelector("main").innerText)`) {
		b.t.Error("the person's data is shown again")
	}
}

// unmasksList shows the data of an institution's persons in a file, which two approve and one fetches, once (HCA-8.1.5).
func (o *office) unmasksList() {
	b, purpose := o.boss, fmt.Sprintf("衛生局函 115-%d", o.n)
	b.to("/unmasked")
	b.fill("institution", stage.Window)
	b.fill("purpose", purpose)
	o.proposes(b, sender("purpose"))
	b.to("/unmasked")
	list := `main form[action$="/fetch"] button`
	if file := b.downloads(list, "csv"); !bytes.Contains(file, []byte(o.holder.Name)) {
		b.t.Errorf("the list does not name its persons: %.200q", file)
	}
	b.eventually("/unmasked", "the list gone", fmt.Sprintf(`document.querySelector(%s) === null && %s`, quoted(list), says(purpose)))
}

// looksFor fills the search for bulk work, up to the preview of what it finds.
func (o *office) looksFor(standing string) {
	b := o.clerk
	b.to("/bulks/new")
	b.fill("institution", stage.Window)
	b.fill("state", standing)
	b.clicks(`main form.filter button`, "the preview", `document.querySelector('main form[action="/bulks/remind"]') !== null && document.querySelector("main tbody tr") !== null`)
}

// reminds writes to the holders of a search's certificates.
func (o *office) reminds() {
	o.looksFor("live")
	o.clerk.clicks(`main form[action="/bulks/remind"] button`, "the reminders", `/^\/bulks\/[0-9A-Z]{26}$/.test(location.pathname)`)
	o.clerk.eventually(o.clerk.here(), "the end of the reminders", o.clerk.stands("bulk.finished"))
}

// revokesMany revokes what a search found, by two.
func (o *office) revokesMany() {
	b := o.clerk
	o.suspends(1)
	o.looksFor("suspended")
	if n := ask[int](b, `document.querySelectorAll("main tbody tr").length`); n != 1 {
		b.t.Fatalf("%d certificates are found, not the one that is suspended", n)
	}
	b.fill("ground", "key-compromised")
	b.fill("note", "金鑰外洩通報")
	o.proposes(b, sender("note"))
	b.to("/bulks")
	b.clicks(`main tbody tr a[href^="/bulks/"]`, "the bulk", says("金鑰外洩通報"))
	b.eventually(b.here(), "the end of the bulk", b.stands("bulk.finished"))
	b.eventually("/certificates/"+o.holder.Certificates[1], "the revocation", b.stands("certificate.revoked"))
}

// readsLog finds an act in the audit log by what was done and to what (HCA-3.3).
func (o *office) readsLog() {
	b, object := o.boss, "certificate/"+o.holder.Certificates[0]
	b.to("/audit")
	b.fill("act", "certificate.suspend")
	b.fill("object", object)
	b.clicks(sender("object"), "the log", fmt.Sprintf(`document.querySelectorAll("main tbody tr").length === 1 && document.querySelector("main tbody a[href^='/certificates/']").textContent === %s`, quoted(object)))
}

// reads looks at the table of the rules on the screen and in its files, and takes a list away.
func (o *office) reads() {
	b := o.boss
	b.to("/reports")
	b.clicks(`main a[href="/reports/clauses"]`, "the table of the rules", `document.querySelectorAll("main tbody tr").length > 30`)
	types := ask[[]string](b, `Promise.all([...document.querySelectorAll("main .actions a[download]")].map((a) => fetch(a.href).then((r) => r.status + " " + r.headers.get("Content-Type"))))`)
	if len(types) != 2 || !strings.HasPrefix(types[0], "200 text/csv") || types[1] != "200 application/pdf" {
		b.t.Errorf("the report's files are %q", types)
	}
	b.to("/certificates?person=" + o.holder.Person)
	if file := b.downloads(`main form[action$="/export"] button`, "csv"); bytes.Count(file, []byte("\n")) != 1+len(o.holder.Certificates) {
		b.t.Errorf("the list of three certificates is %q", file)
	}
}

// searches finds by serial number, by what a device is called and by a person's name.
func (o *office) searches() {
	b, certificate := o.clerk, "/certificates/"+o.holder.Certificates[2]
	b.to(certificate)
	serial := ask[string](b, `document.querySelector("h1").textContent.replace(/\s/g, "")`)
	for what, where := range map[string]string{serial: certificate, o.holder.Code: "/devices/" + o.holder.Device, o.holder.Name: "/persons/" + o.holder.Person} {
		ask[bool](b, `(document.querySelector("#find").focus(), true)`)
		b.press(what)
		b.clicks(`form.find button`, "finding "+what, fmt.Sprintf(`location.pathname === %s`, quoted(where)))
	}
}

// stopsInstitution registers an institution, ends its practice and lets it practise again (HCA-3.7).
func (o *office) stopsInstitution() {
	b, code := o.boss, fmt.Sprintf("11370200%02d", o.n)
	b.to("/institutions/new")
	for _, x := range [][2]string{{"code", code}, {"name", "示範診所"}, {"agreement", strings.Repeat("5e", 32)}, {"from", day(0, -2)}, {"to", day(2, 0)}} {
		b.fill(x[0], x[1])
	}
	b.clicks(sender("code"), "the institution", done)
	b.to("/institutions/" + code)
	b.clicks(`main a[href$="/standing"]`, "its standing", b.stands("institution.active"))
	b.fill("event", "suspended")
	b.clicks(sender("event"), "the institution stopped", done+" && "+b.stands("institution.stopped"))
	b.clicks(`main form:has([value="resumed"]) button`, "the institution resumed", done+" && "+b.stands("institution.active"))
}

// endsPractice gives a person a copy of his data (HCA-9) and ends his practice: the sweep revokes what he still holds (HCA-3.7).
func (o *office) endsPractice() {
	b, where := o.clerk, "/persons/"+o.holder.Person
	b.to(where)
	b.fill("copy_note", "本人臨櫃申請")
	file := b.downloads(sender("copy_note"), "zip")
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	b.ok(err)
	if len(z.File) != 2 || path.Ext(z.File[0].Name) != ".json" || path.Ext(z.File[1].Name) != ".html" {
		b.t.Errorf("the copy holds %d files", len(z.File))
	}
	b.to(where)
	b.fill("reason", "left")
	b.clicks(sender("reason"), "the end of the practice", done+" && "+b.stands("person.ended"))
	_, err = b.Run(b.ctx, "certwindow", "sweep", "--config", b.Config())
	b.ok(err)
	b.eventually("/certificates/"+o.holder.Certificates[2], "the revocation", b.stands("certificate.revoked"))
}
