package notify_test

import (
	"context"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/notify"
	"certwindow/ra/notify/smtpcatch"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// addresses are where persons are reached.
type addresses map[ra.PersonID][2]string

func (a addresses) Address(_ context.Context, id ra.PersonID) (email, phone, locale string, err error) {
	return a[id][0], "", a[id][1], nil
}

// post is a notice service with the mail server that it reaches.
type post struct {
	*storetest.World
	*notify.Service
	catcher *smtpcatch.Catcher
}

func newPost(t *testing.T, db *store.DB) *post {
	t.Helper()
	c, err := smtpcatch.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	p := &post{World: storetest.NewWorld(t, db), catcher: c}
	p.Service = notify.New(p.Store, addresses{"zh": {"zh@example.org", "zh-Hant-TW"}, "en": {"en@example.org", "en"}, "xx": {"xx@example.org", "xx"}, "no": {}},
		notify.ByAddress{Mail: notify.NewMail(smtp(t, c.Addr()))}, "測試醫院", p.Clock.Now)
	return p
}

func smtp(t testing.TB, addr string) notify.SMTP {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return notify.SMTP{Host: host, Port: n, From: "window@example.org"}
}

// notice queues one, and gives its id.
func (p *post) notice(t testing.TB, person ra.PersonID, kind ra.NoticeKind) (id string) {
	t.Helper()
	p.Update(t, func(tx *store.Tx) error { return tx.Notice(person, kind, "certificate/01JD8ZABCDEFGHJKMNPQRSTVWX") })
	if err := p.DB.Gorm.Raw("SELECT id FROM notices WHERE person_id = ? AND kind = ? AND state = 'queued'", string(person), string(kind)).Scan(&id).Error; err != nil {
		t.Fatal(err)
	}
	return id
}

// plain undoes the transfer encoding of a body.
func plain(t testing.TB, body string) string {
	t.Helper()
	if raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(strings.TrimSpace(body), "\r\n", "")); err == nil {
		return string(raw)
	}
	raw, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// HCA-3.4: each kind of notice in the holder's language, with the time that the holder's clock shows, a reference and
// whom to ask; and nothing that would tell a stranger who it is about.
func TestLanguages(t *testing.T) {
	p := newPost(t, storetest.SQLite(t))
	for person, words := range map[ra.PersonID]map[ra.NoticeKind]string{
		"zh": {ra.NoticeEnrolled: "核發", ra.NoticeRevoked: "廢止", ra.NoticeSuspended: "暫停", ra.NoticeResumed: "恢復", ra.NoticeExpiring: "即將到期", ra.NoticeAbnormal: "異常"},
		"en": {ra.NoticeEnrolled: "issued", ra.NoticeRevoked: "revoked", ra.NoticeSuspended: "suspended", ra.NoticeResumed: "back in use", ra.NoticeExpiring: "about to expire", ra.NoticeAbnormal: "wrong"},
		"xx": {ra.NoticeEnrolled: "核發"},
	} {
		for kind, word := range words {
			id := p.notice(t, person, kind)
			before := len(p.catcher.Messages())
			if err := p.Deliver(context.Background(), id); err != nil {
				t.Fatal(err)
			}
			all := p.catcher.Messages()
			if len(all) != before+1 {
				t.Fatalf("%d messages", len(all)-before)
			}
			m := all[before]
			body := plain(t, m.Body)
			if len(m.To) != 1 || m.To[0] != string(person)+"@example.org" || m.ID != id+"@certwindow" || !strings.Contains(m.Subject, word) {
				t.Errorf("%s %s: to %v, id %s, subject %q", person, kind, m.To, m.ID, m.Subject)
			}
			for _, want := range []string{"2026-11-22 12:00", "01JD8ZABCDEFGHJKMNPQRSTVWX", "測試醫院"} {
				if !strings.Contains(body, want) {
					t.Errorf("%s %s: %q is not in\n%s", person, kind, want, body)
				}
			}
		}
	}
	if err := p.Deliver(context.Background(), p.notice(t, "zh", "unheard-of")); err == nil {
		t.Error("a kind that nobody wrote words for was delivered")
	}
}

// HCA-3.4: while the mail server refuses or is away a notice waits, and is tried again; then it is sent once, however
// often its job runs.
func TestRetriedAndSentOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newPost(t, db)
		ctx := context.Background()
		id := p.notice(t, "en", ra.NoticeRevoked)
		p.catcher.Fail(true)
		for n := 1; n <= 3; n++ {
			if err := p.Deliver(ctx, id); ra.KindOf(err) != ra.KindUnavailable {
				t.Errorf("refused: %v", err)
			}
			if got, err := p.Store.LoadNotice(ctx, id); err != nil || got.State != notify.Queued || got.Attempts != n {
				t.Errorf("after attempt %d: %+v, %v", n, got, err)
			}
		}
		if n := p.Count(t, "notices WHERE last_error = '' AND id = ?", id); n != 0 {
			t.Error("the failure is not recorded")
		}
		p.catcher.Fail(false)
		for range 3 {
			if err := p.Deliver(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := p.Store.LoadNotice(ctx, id); err != nil || got.State != notify.Sent || got.Attempts != 4 {
			t.Errorf("%+v, %v", got, err)
		}
		if n := len(p.catcher.Messages()); n != 1 {
			t.Errorf("%d messages", n)
		}
		wait, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := p.catcher.Wait(wait, 1); err != nil {
			t.Error(err)
		}
	})
}

// A server that is not there at all, and a holder who has no address.
func TestUnreachable(t *testing.T) {
	p := newPost(t, storetest.SQLite(t))
	ctx := context.Background()
	p.catcher.Close()
	id := p.notice(t, "en", ra.NoticeEnrolled)
	if err := p.Deliver(ctx, id); ra.KindOf(err) != ra.KindUnavailable {
		t.Errorf("nobody listens: %v", err)
	}
	id = p.notice(t, "no", ra.NoticeEnrolled)
	if err := p.Deliver(ctx, id); err != nil {
		t.Errorf("nobody to write to: %v", err)
	}
	if n := p.Count(t, "notices WHERE id = ? AND state = 'sent'", id); n != 0 {
		t.Error("a notice to nobody was recorded as sent")
	}
	if n := p.Count(t, "notices WHERE id = ? AND last_error = 'no address'", id); n != 1 {
		t.Error("why it was not sent is not recorded")
	}
	if err := p.Deliver(ctx, "no such notice"); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("%v", err)
	}
}

// Without the encryption that is demanded nothing is said to the mail server at all.
func TestDemandsTLS(t *testing.T) {
	c, err := smtpcatch.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cfg := smtp(t, c.Addr())
	cfg.TLS = true
	m := notify.Message{ID: "1", To: notify.Address{Email: "en@example.org"}, Subject: "s", Body: "b"}
	if err := notify.NewMail(cfg).Send(context.Background(), m); err == nil || len(c.Messages()) != 0 {
		t.Errorf("sent in the clear: %v", err)
	}
	// An address that would add recipients or header lines does not leave.
	for _, to := range []string{"a@example.org, b@example.org", "a@example.org\r\nBcc: b@example.org", ""} {
		m.To.Email = to
		if err := notify.NewMail(smtp(t, c.Addr())).Send(context.Background(), m); err == nil {
			t.Errorf("sent to %q", to)
		}
	}
	if n := len(c.Messages()); n != 0 {
		t.Errorf("%d messages", n)
	}
}
