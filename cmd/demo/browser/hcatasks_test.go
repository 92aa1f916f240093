package browser

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mischief is how the HCA misbehaves at its next request.
type mischief struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

// settles has an answer that does not fit its request looked at, and settled by two: without the HCA's letter the application
// cannot be ended; the HCA is asked again and this time tells the truth (HCA-3.3, HCA-8.1.6).
func (o *office) settles() {
	b := o.boss
	kind := map[int]string{1: "wrong-key", 2: "wrong-person"}[o.n]
	b.ok(b.Fault(b.ctx, mischief{kind, 1}))
	application, err := b.story.Apply(b.ctx, o.holder)
	b.ok(err)
	where := "/applications/" + application
	b.eventually(where, "the dispute", b.stands("application.disputed"))
	b.ok(b.Mend(b.ctx))
	b.inspect("a disputed application", 200)
	b.to("/")
	b.clicks(fmt.Sprintf(`main a[href=%q]`, where), "what the home page leads to", says(b.say("dispute.title")))
	if answer := b.downloads(`main button[name=part][value=answer]`, "der"); answer[0] != 0x30 {
		b.t.Errorf("the answer begins with %x", answer[0])
	}
	b.allow(where)
	b.fill("choice", "close")
	b.fill("note", "電話查明")
	b.clicks(sender("note"), "being refused without the HCA's letter", `document.querySelector(".wrong-summary a[href='#f-letter']") !== null`)
	b.inspect("a settlement refused", ask[int](b, `performance.getEntriesByType("navigation")[0].responseStatus`))
	if kept := ask[string](b, `document.querySelector("#f-note").value`); kept != "電話查明" {
		b.t.Errorf("what was typed is now %q", kept)
	}
	b.fill("choice", "ask-again")
	o.proposes(b, sender("note"))
	if !ask[bool](o.approver, says("電話查明")) {
		b.t.Error("the approver is not shown what is approved")
	}
	b.eventually(where, "the end of the application", b.stands("application.completed"))
	issued := ask[string](b, `document.querySelector("main dl a[href^='/certificates/']").getAttribute("href")`)
	o.holder.Certificates = append(o.holder.Certificates, strings.TrimPrefix(issued, "/certificates/"))
}

// plansCeremony proposes to make a generation of the master key; once two have agreed, the page names the approval that the
// command in the HSM's room asks for (HCA-6.3.2).
func (o *office) plansCeremony() {
	b, reason := o.boss, fmt.Sprintf("年度更換 %d", o.n)
	b.to("/ceremonies")
	b.fill("kind", "create")
	b.fill("generation", fmt.Sprint(1+o.n))
	b.fill("custodians", "稽核室")
	b.fill("note", reason)
	b.allow("/ceremonies")
	b.clicks(sender("custodians"), "being refused with one custodian", `document.querySelector(".wrong-summary a[href='#f-custodians']") !== null`)
	b.fill("custodians", "稽核室；法務室")
	o.proposes(b, sender("custodians"))
	if !ask[bool](o.approver, says("稽核室; 法務室")+" && "+says(reason)) {
		b.t.Error("the approver is not shown what is approved")
	}
	id := strings.TrimPrefix(o.approver.here(), "/approvals/")
	b.to("/ceremonies")
	b.until("the ceremony to be held", b.stood("ceremony.approved"))
	b.until("its approval", says("--approval "+id))
	b.inspect("a ceremony to be held", 200)
}

// HCA-3.3: where a person carries the requests, the administrator fetches what waits, takes it to the HCA and reads its
// answers back in, and the application is done; the same answers a second time change nothing.
func TestCarriedByHand(t *testing.T) {
	w := opened(t)
	holder, err := w.story.Welcome(t.Context(), 9, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Carry(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for _, lang := range []string{chinese, english} {
		t.Run(lang, func(t *testing.T) {
			b := w.newTab(t, lang)
			b.signIn(b.newStaff("window-admin"))
			application, err := b.story.Apply(b.ctx, holder)
			b.ok(err)
			link := fmt.Sprintf(`document.querySelector("main a[href='/applications/%s']") !== null`, application)
			b.eventually("/exchange", "the request that waits", link)
			b.inspect("requests that wait", 200)
			answers := b.carries(b.downloads(`main form:has([name=which][value=new]) button`, "zip"))
			b.to("/exchange")
			b.until("the request among those that were fetched", link+` && document.querySelector("main form [name=which][value=again]") !== null`)
			b.fill("answers", answers)
			b.clicks(sender("answers"), "the answers read in", b.stood("application.completed"))
			b.inspect("answers read in", 200)
			b.to("/applications/" + application)
			b.until("the application done", b.stands("application.completed"))
			b.to("/exchange")
			b.fill("answers", answers)
			b.clicks(sender("answers"), "the same answers refused", b.stood("outcome.refused")+" && "+says(b.say("code.answer-known")))
		})
	}
	t.Logf("by hand took %.1f s", time.Since(begun).Seconds())
	if err := w.Carry(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}

// stood is a page with a state in a table, by the name of its word.
func (b *tab) stood(state string) string {
	b.t.Helper()
	return fmt.Sprintf(`[...document.querySelectorAll("main tbody .state")].some((e) => e.textContent === %s)`, quoted(b.say("state."+state)))
}

// carries takes a bundle of requests to the HCA and comes back with a bundle of its answers.
func (b *tab) carries(bundle []byte) (answers string) {
	b.t.Helper()
	z, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	b.ok(err)
	in, out := b.t.TempDir(), b.t.TempDir()
	b.ok(os.CopyFS(in, z))
	b.ok(b.AnswerFiles(b.ctx, in, out))
	answers = filepath.Join(b.t.TempDir(), "answers.zip")
	f, err := os.Create(answers)
	b.ok(err)
	defer f.Close()
	back := zip.NewWriter(f)
	b.ok(back.AddFS(os.DirFS(out)))
	b.ok(back.Close())
	return answers
}
