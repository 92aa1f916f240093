package admin

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"certwindow/devices/card"
	"certwindow/ra"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/cms"
	"certwindow/web/session"
)

// reader is a card reader with at most one card, under the real card component.
type reader struct {
	t    *testing.T
	mu   sync.Mutex
	card *cardtest.Card
}

func (r *reader) insert(c *cardtest.Card) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.card = c
}

func (r *reader) Info() (card.ModuleInfo, error) { return card.ModuleInfo{Description: "test"}, nil }

func (r *reader) Slots() ([]card.Slot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := card.Slot{ID: 1, Description: "Reader 0", Present: r.card != nil}
	if r.card != nil {
		s.Token = &card.Token{Label: "card", Serial: r.card.Cert.SerialNumber.Text(16), Flags: 0x40D, MinPIN: 6, MaxPIN: 8}
	}
	return []card.Slot{s}, nil
}

func (r *reader) Open(uint) (card.Session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return cardSession{r.card}, nil
}

// cardSession is a session with the card that was in the reader when it began.
type cardSession struct{ *cardtest.Card }

func (c cardSession) Certificates() ([]card.Certificate, error) {
	return []card.Certificate{{ID: []byte("SIGN"), Label: "cert1", DER: c.Cert.Raw}}, nil
}
func (c cardSession) PublicKeys() ([]card.PublicKey, error) { return nil, nil }
func (c cardSession) Login(p card.PIN) error {
	if string(p.Bytes()) != "123456" {
		return &card.ModuleError{Op: "C_Login", RV: 0xA0}
	}
	return nil
}
func (c cardSession) Signer([]byte) (crypto.Signer, error) { return c.Key, nil }
func (c cardSession) Close() error                         { return nil }

// holder types the PIN when the component asks, and remembers the text that was shown to him.
type holder struct {
	mu   sync.Mutex
	seen string
}

func (h *holder) PIN(_ context.Context, p card.Prompt) (card.PIN, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = p.Text
	return card.NewPIN([]byte("123456")), nil
}
func (h *holder) Confirm(context.Context, string) error { return nil }

func (h *holder) shown() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// desk is a counter: a browser signed in as a clerk, a card reader, a holder.
type desk struct {
	*house
	ctx    context.Context
	url    string
	clerk  *browser
	reader *reader
	holder *holder
	agent  *httptest.Server // the card component
}

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no Chromium is installed, and CI needs one")
	}
	t.Skip("no Chromium is installed")
	return ""
}

func openDesk(t *testing.T) *desk { return openDeskAt(t, false) }

// openDeskAt opens a counter whose pages come from a public address, as the browser sees it, or from the computer
// itself.
func openDeskAt(t *testing.T, public bool) *desk {
	path := chromium(t)
	d := &desk{reader: &reader{t: t}, holder: &holder{}}
	var pages, component http.Handler
	componentServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { component.ServeHTTP(w, r) }))
	t.Cleanup(componentServer.Close)
	pageServer := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pages.ServeHTTP(w, r) }))
	t.Cleanup(pageServer.Close)
	d.url, d.agent = pageServer.URL, componentServer
	if public {
		d.url = strings.Replace(d.url, "127.0.0.1", "window.example", 1)
	}
	d.house = buildWith(t, strings.Replace(componentServer.URL, "127.0.0.1", "localhost", 1))
	pages = d.echo
	d.at = time.Now().UTC()
	d.pki = cardtest.New(t, d.at)
	server, err := card.NewServer(card.Config{Module: d.reader, Prompter: d.holder, Origins: []string{d.url}, Now: d.now, Rand: rand.Reader,
		Log: slog.New(slog.DiscardHandler), PollInterval: 50 * time.Millisecond, SignCMS: signCMS})
	d.ok(err)
	component = server
	t.Cleanup(func() { server.Close() })
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.IgnoreCertErrors, chromedp.Flag("disable-dev-shm-usage", true))
	if public {
		opts = append(opts, chromedp.Flag("ip-address-space-overrides", strings.TrimPrefix(pageServer.URL, "https://")+"=public"),
			chromedp.Flag("host-resolver-rules", "MAP window.example 127.0.0.1"))
	}
	ctx, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(stop)
	d.ctx = ctx
	d.clerk = d.signIn(session.Clerk)
	yes := true
	_, err = chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{Name: session.CookieName, Value: d.clerk.cookie[0].Value, URL: d.url, Path: "/", Secure: &yes, HTTPOnly: &yes})
	d.ok(err)
	return d
}

func signCMS(in card.CMSInput) ([]byte, error) {
	o := cms.SignOptions{SigningTime: in.SigningTime}
	return cms.Sign(in.Content, in.Signer, in.Certificate, o)
}

func (d *desk) do(steps ...chromedp.Action[chromedp.Void]) {
	d.t.Helper()
	d.ok(chromedp.Do(d.ctx, steps...))
}

// until waits for a script's answer to be true.
func (d *desk) until(what, script string) {
	d.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok, err := chromedp.Run(d.ctx, chromedp.Evaluate[bool](script)); err == nil && ok {
			return
		}
	}
	text, _ := chromedp.Run(d.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	d.t.Fatalf("%s did not happen; the page says:\n%s", what, text)
}

// application begins one for a person with a bound device, in the clerk's session.
func (d *desk) application(p ra.PersonID, device ra.DeviceID) ra.Application {
	d.t.Helper()
	rec := d.clerk.post("/applications/new", url.Values{"person": {string(p)}, "device": {string(device)}, "scope": {"EMR-SIGN"}, "key": {"app"}, "algorithm": {"P-256"}})
	id, ok := strings.CutPrefix(rec.Header().Get("Location"), "/counter/")
	if !ok {
		d.t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	a, err := d.enrol.Application(d.t.Context(), operator, ra.ApplicationID(id))
	d.ok(err)
	return a
}

const (
	ready   = `!document.querySelector("[data-sign]").disabled && document.querySelector("[data-reader]").textContent === "已插入"`
	refused = `!document.querySelector("[data-refusal]").hidden && document.querySelector("[data-refusal]").innerText.includes(%q)`
)

// HCA-8.1.2, HCA-8.1.3: in a real browser with the real card component, the holder is shown the text that was
// issued and signs it; another person's card is refused; and the next holder must put in a card of his own.
func TestCounterInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	d := openDesk(t)
	wang, chen := d.person("王大明", "A123456789", "0000000112345678", ownCode), d.person("陳志明", "B123456780", "0000000112345699", ownCode)
	first := d.application(wang, d.boundDevice("D-1", wang, ownCode))
	second := d.application(chen, d.boundDevice("D-2", chen, ownCode))

	d.do(chromedp.Navigate(d.url + "/counter/" + string(first.ID)))
	d.until("being asked for a card", `document.querySelector("[data-sign]").disabled && document.querySelector("[data-reader]").textContent === "請插入卡片"`)
	d.reader.insert(d.cards["0000000112345699"])
	d.until("seeing the card", ready)
	d.do(chromedp.Click("[data-sign]"))
	d.until("refusing another person's card", fmt.Sprintf(refused, "HCA-5.1.1"))
	if d.holder.shown() != string(first.Text) {
		t.Fatalf("the component showed %q", d.holder.shown())
	}

	d.reader.insert(nil)
	d.until("seeing the card go", `document.querySelector("[data-sign]").disabled`)
	d.reader.insert(d.cards["0000000112345678"])
	d.until("seeing the right card", ready)
	d.do(chromedp.Click("[data-sign]"))
	d.until("taking the signature", `document.querySelector("[data-counter]").dataset.state === "awaiting-key"`)
	a, err := d.enrol.Application(t.Context(), operator, first.ID)
	d.ok(err)
	if a.State != ra.AppAwaitingKey || len(a.Insertion) != 32 || d.holder.shown() != string(first.Text) {
		t.Errorf("%s, insertion %q", a.State, a.Insertion)
	}

	d.do(chromedp.Navigate(d.url + "/counter/" + string(second.ID)))
	d.until("asking the next holder for his own card", `document.querySelector("[data-sign]").disabled && document.querySelector("[data-reader]").textContent === "請取出前一位的卡片"`)
	d.reader.insert(d.cards["0000000112345699"])
	d.until("seeing his card", ready)
	d.do(chromedp.Click("[data-sign]"))
	d.until("taking his signature", `document.querySelector("[data-counter]").dataset.state === "awaiting-key"`)
}

// HCA-8.1.1: a warning stands on the page two minutes before the session ends, and one click keeps it; a page that
// is left alone until the end goes to the sign-in page.
func TestIdleWarningInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	d := openDesk(t)
	later := func(by time.Duration) { // on the server and in the browser
		d.wait(by)
		d.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Run(ctx, chromedp.Evaluate[int64](fmt.Sprintf(`(() => { const now = Date.now; Date.now = () => now() + %d; return Date.now(); })()`, by.Milliseconds())))
			return err
		}))
	}
	d.do(chromedp.Navigate(d.url + "/persons"))
	d.until("no warning at first", `document.querySelector("[data-stay]").hidden`)
	later(8*time.Minute + 30*time.Second)
	d.until("the warning", `!document.querySelector("[data-stay]").hidden && /^1:[0-3]\d$/.test(document.querySelector("[data-left]").textContent)`)
	d.do(chromedp.Click("[data-stay] button"))
	d.until("staying", `document.querySelector("[data-stay]").hidden`)
	later(10 * time.Minute)
	d.until("the end", `location.pathname === "/login" && document.body.innerText.includes("超過十分鐘未使用")`)
}
