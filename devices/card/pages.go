package card

import (
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"
)

//go:embed pages
var pageFiles embed.FS

var selfTestPage = template.Must(template.ParseFS(pageFiles, "pages/selftest.html"))

// page serves an embedded page.
func page(name string) http.HandlerFunc { return embedded(name, "text/html; charset=utf-8") }

// script serves an embedded script.
func script(name string) http.HandlerFunc { return embedded(name, "text/javascript; charset=utf-8") }

func embedded(name, contentType string) http.HandlerFunc {
	b, err := pageFiles.ReadFile("pages/" + name)
	return func(w http.ResponseWriter, _ *http.Request) {
		if err != nil {
			http.Error(w, "page is missing from this program", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(b) // a client that has gone cannot be told
	}
}

// handleAddDomain answers the page /addDomain, which asks that the site that opened it be trusted. The
// person at the computer decides, in a window that no page can draw or click.
func (s *Server) handleAddDomain(w http.ResponseWriter, r *http.Request) {
	who := caller(r.Header.Get("Origin"))
	if err := s.addDomain(r); err != nil {
		writeAnswer(w, s.failed("", who, err))
		return
	}
	s.cfg.Log.Info("site added", "domain", r.URL.Query().Get("domain"))
	writeAnswer(w, struct {
		RetCode Code `json:"ret_code"`
	}{CodeOK})
}

func (s *Server) addDomain(r *http.Request) error {
	// Only our own page may ask: a header of this name never comes from another origin.
	if r.Header.Get("Origin") != "http://"+r.Host || r.Header.Get(openerHeader) == "" {
		return fail(CodeUntrustedSite, errUntrusted)
	}
	if s.cfg.AddOrigin == nil || s.cfg.Prompter == nil {
		return failf(CodeForbiddenDomain, "sites cannot be added here")
	}
	origin, err := originToAdd(r.URL.Query().Get("domain"), r.Header.Get(openerHeader))
	if err != nil {
		return fail(CodeForbiddenDomain, err)
	}
	if s.origins.has(origin) {
		return nil
	}
	if !s.busy.TryLock() {
		return failf(CodeTimeout, "another operation is going on")
	}
	defer s.busy.Unlock()
	ctx, cancel := s.operation(r.Context())
	defer cancel()
	err = s.cfg.Prompter.Confirm(ctx, "是否允許這個網站使用 IC 卡? / May this site use IC cards?\n\n"+origin)
	if err != nil {
		return fail(CodeCancelled, err)
	}
	if err := s.cfg.AddOrigin(origin); err != nil {
		return fail(CodeForbiddenDomain, err)
	}
	s.origins.add(origin)
	return nil
}

// originToAdd is the origin that a page with that host name asks for: the one that opened the popup when the
// browser told it and the names agree, else the site's usual one.
func originToAdd(domain, opener string) (string, error) {
	if normal, err := ParseOrigin(opener); err == nil {
		if u, err := url.Parse(normal); err == nil && u.Hostname() == strings.ToLower(domain) {
			return normal, nil
		}
	}
	return ParseOrigin("https://" + domain)
}

// selfTest is what /selfTest.htm shows.
type selfTest struct {
	Agent   string
	Failure string
	Slots   []selfTestSlot
}

type selfTestSlot struct {
	Reader string
	State  string // of the card
	Token  *tokenText
	Certs  []selfTestCert
}

type selfTestCert struct {
	certText
	State string
}

// handleSelfTest shows readers, cards and certificates to the person at this computer. No page can read it.
func (s *Server) handleSelfTest(w http.ResponseWriter, r *http.Request) {
	view := selfTest{Agent: agentName}
	answer, err := s.info(r.Context(), "", true)
	if err != nil {
		view.Failure = asFailure(err, CodeTimeout).code.Text()
	} else {
		for _, slot := range answer.Slots {
			view.Slots = append(view.Slots, testSlot(slot, s.cfg.Now()))
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := selfTestPage.Execute(w, view); err != nil {
		s.cfg.Log.Debug("self test", "error", err)
	}
}

func testSlot(slot slotText, now time.Time) selfTestSlot {
	v := selfTestSlot{Reader: slot.SlotDescription}
	token, ok := slot.Token.(*tokenText)
	switch {
	case slot.Token == nil:
		v.State = "沒有卡片 / No card"
		return v
	case !ok:
		v.State = "卡片無法讀取 / The card cannot be read"
		return v
	case token.Flags&flagPINLocked != 0:
		v.State = "PIN 已鎖卡 / The PIN is locked"
	case token.Flags&flagPINFinalTry != 0:
		v.State = "PIN 只剩一次機會 / One PIN try is left"
	default:
		v.State = "可以使用 / Ready"
	}
	v.Token = token
	for _, c := range token.Certs {
		state := "有效期間內 / Within its dates"
		switch {
		case c.NotAfterT == 0:
			state = "無法解讀 / Cannot be parsed"
		case now.Unix() < c.NotBeforeT:
			state = "尚未生效 / Not valid yet"
		case now.Unix() > c.NotAfterT:
			state = "已過期 / Expired"
		}
		v.Certs = append(v.Certs, selfTestCert{c, state})
	}
	return v
}
