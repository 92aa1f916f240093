package story

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/demo/stage"
	"certwindow/cmd/phone/client"
	"certwindow/ra"
)

// The life of keys after their first day, on each database: a certificate near its end is renewed, a phone is copied, its
// app is installed anew, and a new phone takes the place of an old one (HCA-3.4, HCA-5.2.2, HCA-6.1, HCA-6.3.5, HCA-7.2,
// HCA-7.3, HCA-7.5). Certificates of this stage live for 50 days, so that each may be renewed at once.
func TestKeyLife(t *testing.T) {
	tell := func(t *testing.T, opt stage.Options, address func(*stage.Stage) string) {
		opt.Lifetime = 50 * 24 * time.Hour
		st, s := prepared(t, opt)
		l := &keyLife{Story: s, t: t, address: address(st)}
		l.renewed()
		l.copied()
		l.replaced()
	}
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		tell(t, stage.Options{}, onSQLite)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		address, configured := onPostgres(t)
		tell(t, stage.Options{Database: configured}, func(*stage.Stage) string { return address })
	})
}

type keyLife struct {
	*Story
	t       *testing.T
	address string
}

// must ends the story when something does not go as it should.
func (l *keyLife) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// refused says that a phone must be refused so.
func (l *keyLife) refused(what string, err error, code string) {
	l.t.Helper()
	var no *client.Refusal
	if !errors.As(err, &no) || no.Code != code {
		l.t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// shows is a page of the clerk's that must hold a text.
func (l *keyLife) shows(c *clerk, where, text string) {
	l.t.Helper()
	p, err := c.get(l.t.Context(), where)
	l.must(err)
	if !strings.Contains(p.body, text) {
		l.t.Errorf("%s does not show %q", where, text)
	}
}

// apply has the holder's card sign what a clerk began with these further fields, and the phone hand in its part.
func (l *keyLife) apply(w wish, more url.Values) (application string) {
	l.t.Helper()
	ctx := l.t.Context()
	form := url.Values{"person": {w.who.id}, "device": {w.device.id}, "scope": w.scope, "key": {w.key}, "algorithm": {"P-256"}}
	for k, v := range more {
		form[k] = v
	}
	page, err := l.clerk.post(ctx, "/applications/new", form)
	l.must(err)
	text, err := found(page, "data-text")
	l.must(err)
	_, err = l.sign(ctx, page.id(), text, w.who.card)
	l.must(err)
	return page.id()
}

// enrolled is a certificate on a phone.
func (l *keyLife) enrolled(w wish) string {
	l.t.Helper()
	application := l.apply(w, nil)
	l.must(w.device.phone.enrol(l.t.Context(), application))
	id, err := l.completed(l.t.Context(), application)
	l.must(err)
	l.must(w.device.phone.fetch(l.t.Context(), application))
	return id
}

// inventory runs the sweep, which tells holders of certificates that end soon as well.
func (l *keyLife) inventory() {
	l.t.Helper()
	_, err := l.st.Run(l.t.Context(), "certwindow", "sweep", "--config", l.st.Config(), "--json")
	l.must(err)
}

// mailed waits until a mail with this in its subject has come.
func (l *keyLife) mailed(subject string) {
	l.t.Helper()
	until(l.t, 20*time.Second, "a mail "+subject, func() (bool, string) {
		seen := ""
		for _, m := range l.st.Mail.Messages() {
			if seen += m.Subject + "; "; strings.Contains(m.Subject, subject) {
				return true, ""
			}
		}
		return false, seen
	})
}

// renewed: the holder is told by mail and app, the clerk by the pages; the next certificate is applied for by card, and the
// phone uses it in place of the older, which goes on to its end.
func (l *keyLife) renewed() {
	ctx, phone := l.t.Context(), l.iphone.phone
	old := l.enrolled(wish{l.wang, l.iphone, []string{"EMR-SIGN"}, "app"})
	l.inventory()
	l.mailed("即將到期")
	told, _, err := phone.Asked(ctx, "")
	l.must(err)
	if !slices.Contains(told.Renewals, old) {
		l.t.Errorf("the phone is told of %v", told.Renewals)
	}
	list, err := phone.Certificates(ctx)
	l.must(err)
	if len(list) != 1 || list[0].RenewBy == nil {
		l.t.Errorf("the app is not told: %+v", list)
	}
	if _, err := phone.Renew(ctx, old); !errors.Is(err, client.ErrNotApplied) {
		l.t.Errorf("renewed before the holder applied: %v", err)
	}
	begin := "/applications/new?renews=" + old
	for _, where := range []string{"/persons/" + l.wang.id, "/certificates/" + old} {
		l.shows(l.clerk, where, `href="`+begin+`"`)
	}
	l.shows(l.clerk, "/counter?person="+l.wang.id, "renews="+old)
	l.shows(l.clerk, begin, `name="renews" value="`+old+`"`)
	l.apply(wish{l.wang, l.iphone, []string{"EMR-SIGN"}, "app"}, url.Values{"renews": {old}})
	_, err = phone.Renew(ctx, old)
	l.must(err)
	now, err := phone.Newest(ctx, old)
	l.must(err)
	if now.Certificate == old || now.Renews != old {
		l.t.Errorf("the phone uses %+v", now)
	}
	for _, id := range []string{old, now.Certificate} { // the older one holds until its end
		_, err := phone.signDocument(ctx, id, []byte(document))
		l.must(err)
	}
	l.shows(l.clerk, "/certificates/"+old, `href="/certificates/`+now.Certificate+`"`)
	l.shows(l.clerk, "/certificates/"+now.Certificate, `href="/certificates/`+old+`"`)
	if rows := ask(l.t, l.address, "SELECT COUNT(*) FROM applications WHERE slot IS NOT NULL AND person_id = '"+l.wang.id+"'"); rows[0][0] != "2" {
		l.t.Errorf("%s places are held, want the older one's and the newer one's", rows[0][0])
	}
	if _, err := l.clerk.post(ctx, "/applications/new", url.Values{"person": {l.wang.id}, "device": {l.iphone.id}, "scope": {"EMR-SIGN"}, "key": {"app"}, "algorithm": {"P-256"}, "renews": {old}}); err == nil {
		l.t.Error("renewed a second time")
	}
}

// copied: two phones with one key go on from the same point. Neither goes on, the holder and the staff are told, and an app
// that is installed anew has to be bound anew.
func (l *keyLife) copied() {
	ctx, phone := l.t.Context(), l.spare.phone
	sound := client.Condition{CarrierPresent: true, ScreenLock: true}
	lost := l.enrolled(wish{l.wang, l.spare, []string{"EMR-SIGN"}, "app"})
	twin := filepath.Join(l.t.TempDir(), "copy")
	l.must(os.CopyFS(twin, os.DirFS(phone.dir)))
	thief, err := client.Open(twin, client.About{Platform: "ios", Model: "reference", OSVersion: "26.1", App: appPackage, AppVersion: appVersion}, time.Now)
	l.must(err)
	for range 2 {
		_, err := thief.CheckIn(ctx, sound)
		l.must(err)
	}
	_, err = phone.CheckIn(ctx, sound)
	l.refused("the phone after its copy", err, "device-copied")
	_, err = thief.Status(ctx, lost)
	l.refused("the copy", err, "key-unknown")
	l.refused("a certificate for the copy", thief.Certify(ctx), "key-unknown")
	l.mailed("行動裝置已解除綁定")
	for _, who := range []*clerk{l.clerk, l.admin} {
		l.shows(who, "/", "Devices that were copied: 1")
	}
	l.shows(l.clerk, "/devices/"+l.spare.id, "A copy of this device was in use")
	l.inventory()
	l.must(l.revoked(ctx, lost))

	l.reinstalled()
	if p, err := l.clerk.get(ctx, "/"); err != nil || strings.Contains(p.body, "Devices that were copied") {
		l.t.Errorf("the task stands after the phone was bound anew (%v)", err)
	}
}

// reinstalled: the app's new key is nobody's until the clerk has confirmed it.
func (l *keyLife) reinstalled() {
	ctx, where := l.t.Context(), "/devices/"+l.spare.id+"/binding"
	page, err := l.clerk.post(ctx, where, url.Values{})
	l.must(err)
	qr, err := found(page, "data-bind-text")
	l.must(err)
	phone, err := newPhone(l.st, fmt.Sprintf("anew-%d", time.Now().UnixNano()))
	l.must(err)
	shown, err := phone.bind(ctx, qr)
	l.must(err)
	_, err = phone.Device(ctx)
	l.refused("a new key before it is bound", err, "key-unknown")
	_, err = phone.Login(ctx, l.wang.account, l.wang.password)
	l.refused("a login with it", err, "key-unknown")
	state, err := l.clerk.poll(ctx, where+"/state", "presented")
	l.must(err)
	_, err = l.clerk.post(ctx, where+"/confirm", url.Values{"binding": {fmt.Sprint(state["binding"])}, "short_code": {shown}})
	l.must(err)
	l.must(phone.waitBound(ctx))
	l.signedIn(phone)
	if list, err := phone.Certificates(ctx); err != nil || len(list) != 0 {
		l.t.Errorf("certificates of the key before: %+v, %v", list, err)
	}
}

// signedIn signs 王小明 in on a phone that was bound.
func (l *keyLife) signedIn(p *phone) {
	l.t.Helper()
	_, err := p.Login(l.t.Context(), l.wang.account, l.wang.password)
	l.must(err)
	p.ProveBy(l.wang.password)
}

// replaced: a new phone takes the place of the old one. The old one gets nothing any more and its HSM keys are gone; its
// certificates are revoked; the holder applies anew on the new one.
func (l *keyLife) replaced() {
	ctx, old := l.t.Context(), l.iphone
	inHSM := l.enrolled(wish{l.wang, old, []string{"E-PRESCRIPTION"}, "hsm"})
	_, err := old.phone.signWithHSM(ctx, inHSM, []byte(document))
	l.must(err)
	waiting := l.apply(wish{l.wang, old, []string{"EMR-SIGN"}, "app"}, nil) // under way when the phone is replaced
	page, err := l.clerk.post(ctx, "/devices/"+old.id+"/replace", url.Values{"event": {"retire"}, "code": {"IPHONE-0002"}, "platform": {"ios"}, "model": {"iPhone 17 Pro"}})
	l.must(err)
	next := device{id: page.id(), code: "IPHONE-0002"}

	_, err = old.phone.Status(ctx, inHSM)
	l.refused("a status for the old phone", err, "device-retired")
	_, err = old.phone.signWithHSM(ctx, inHSM, []byte(document))
	l.refused("a signature for the old phone", err, "device-retired")
	_, err = old.phone.Login(ctx, l.wang.account, l.wang.password)
	l.refused("a login on the old phone", err, "device-retired")
	l.refused("a key on the old phone", old.phone.enrol(ctx, waiting), "device-retired")
	if rows := ask(l.t, l.address, "SELECT COUNT(*) FROM holder_keys WHERE device_id = '"+old.id+"'"); rows[0][0] != "0" {
		l.t.Errorf("%s HSM keys of the old phone are left", rows[0][0])
	}
	if rows := ask(l.t, l.address, "SELECT state, failure_code FROM applications WHERE id = '"+waiting+"'"); rows[0][0] != string(ra.AppVoided) || rows[0][1] != "device-replaced" {
		l.t.Errorf("what was under way is %v", rows[0])
	}
	l.inventory()
	l.must(l.revoked(ctx, inHSM))
	l.shows(l.clerk, "/certificates/"+inHSM, "The device was scrapped")
	l.shows(l.clerk, "/devices/"+old.id, `href="/devices/`+next.id+`"`)

	l.bound(&next)
	l.signedIn(next.phone)
	anew := "/applications/new?device=" + next.id + "&amp;like=" + inHSM
	l.shows(l.clerk, "/devices/"+next.id, `href="`+anew+`"`)
	l.shows(l.clerk, strings.ReplaceAll(anew, "&amp;", "&"), `value="E-PRESCRIPTION" checked`)
	again := l.enrolled(wish{l.wang, next, []string{"E-PRESCRIPTION"}, "hsm"})
	_, err = next.phone.signWithHSM(ctx, again, []byte(document))
	l.must(err)
	if _, err = next.phone.signWithHSM(ctx, inHSM, []byte(document)); err == nil {
		l.t.Error("the old phone's key signs on the new one")
	}
}

// bound binds a device's first phone.
func (l *keyLife) bound(d *device) {
	l.t.Helper()
	_, err := l.bind(d)(context.WithoutCancel(l.t.Context()))
	l.must(err)
}
