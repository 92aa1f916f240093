package admin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"
	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/devices/appcred/factor"
	devicestore "certwindow/devices/store"
	"certwindow/hsm/seal"
	"certwindow/migrations"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/audit"
	"certwindow/ra/cardmsg"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/consent"
	"certwindow/ra/custody"
	"certwindow/ra/enrol"
	"certwindow/ra/exchange"
	"certwindow/ra/intake"
	"certwindow/ra/jobs"
	"certwindow/ra/revoke"
	"certwindow/ra/settings"
	"certwindow/ra/store"
	"certwindow/web"
	"certwindow/web/session"
)

const (
	ownCode   ra.InstitutionCode = "0101090517"
	otherCode ra.InstitutionCode = "1101020018"
)

// house is the whole window but the HSM and the HCA: real stores on SQLite, real use cases, real pages.
type house struct {
	t        *testing.T
	site     *Site
	echo     *echo.Echo
	accounts *session.Service
	registry *devices.Service
	enrol    *enrol.Service
	revoke   *revoke.Service
	approve  *approve.Service
	settings *settings.Service
	custody  *custody.Service
	exchange *exchange.Service
	intake   *intake.Service
	rooms
	store *store.Store
	db    *store.DB
	pki   *cardtest.PKI
	cards map[string]*cardtest.Card // by the holder in their certificate
	staff map[session.Role]staffer

	suspended func() bool // by the HCA

	mu sync.Mutex
	at time.Time
}

// staffer is a member of staff who can sign in.
type staffer struct {
	cred     session.Credentials
	password string
}

var operator = ra.Actor{Kind: ra.ActorCommand, ID: "operator"}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *house) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

// Verify judges a card's message as the window does, with the status answers of the test's own PKI.
func (h *house) Verify(ctx context.Context, want consent.Expected, der []byte) (consent.Verified, error) {
	m, err := h.judge(ctx, want, der)
	if err != nil {
		return consent.Verified{}, err
	}
	signer, sum := m.Signer().Fingerprint(), m.SHA256()
	return consent.Verified{Bare: m.Bare(), Proof: []byte("{}"), SignerFingerprint: hex.EncodeToString(signer[:]), MessageSHA256: hex.EncodeToString(sum[:])}, nil
}

func (h *house) judge(ctx context.Context, want consent.Expected, der []byte) (*cardmsg.Verified, error) {
	u, err := cardmsg.Decode(der)
	if err != nil {
		return nil, ra.Refuse("HCA-5.1.1", "malformed", err.Error(), err)
	}
	var all []*cardtest.Card
	for _, c := range h.cards {
		all = append(all, c)
	}
	verify := u.Verify
	if want.Bare {
		verify = u.VerifyBare
	}
	m, err := verify(ctx, cardmsg.Options{Path: h.pki.Path(h.t, h.now(), all...), Clause: "HCA-5.1.1", Content: want.Text, Nonce: want.Nonce, Holder: want.Holder,
		Name: want.Name, Skew: time.Minute, NotBefore: want.Issued, NotAfter: want.Expires})
	var c *cardmsg.Error
	if errors.As(err, &c) {
		return nil, ra.Refuse(c.Clause, c.Reason, c.Detail, err)
	}
	return m, err
}

func (h *house) standing(context.Context) policy.WindowStanding {
	return policy.WindowStanding{Suspended: h.suspended(), Acknowledged: true, OwnInstitution: true, NotBefore: h.now().Add(-time.Hour), NotAfter: h.now().Add(time.Hour),
		RevocationKnown: true, KeyMatches: true}
}

func build(t *testing.T) *house { return buildWith(t, "http://localhost:61161") }

// buildWith makes a house whose counter talks to a card component at this origin.
func buildWith(t *testing.T, component string) *house {
	t.Helper()
	h := &house{t: t, at: time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC), cards: map[string]*cardtest.Card{}, staff: map[session.Role]staffer{}, suspended: policy.Always(false)}
	var err error
	if h.db, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "w.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.db.SQL.Close() })
	if _, err := migrations.Up(t.Context(), h.db.SQL, migrations.SQLite); err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(make([]byte, 32), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	register := devicestore.New(h.db.Gorm, sealer, devicestore.Hooks{Audit: store.AppendEvent, DeviceBound: store.VoidForDevice, DeviceReplaced: store.VoidForReplaced,
		StartSweep: func(*gorm.DB) error { return nil }, Notice: h.tell, Records: []devicestore.Records{store.PersonRecords{Sealer: sealer}}}, h.now, rand.Reader)
	h.store = store.New(h.db, register, func(*gorm.DB, jobs.Args) error { return nil }, sealer, h.now, rand.Reader)
	h.custody = custody.New(store.CustodyStore{Store: h.store}, h.now)
	h.settings = settings.New(store.SettingsStore{Store: h.store}, nil, h.now)
	h.registry = devices.New(register, h.now, rand.Reader)
	h.pki = cardtest.New(t, h.at)
	h.enrol = enrol.NewService(store.EnrolStore{Store: h.store}, h, nil, h.standing, enrol.Config{Window: ownCode, MessageLife: policy.Always(5 * time.Minute), KeyLife: policy.Always(time.Hour), Most: policy.Always(policy.MaxValidCertificates)}, h.now, rand.Reader)
	h.revoke = revoke.NewService(store.RevokeStore{Store: h.store}, h, revoke.Config{Window: ownCode, MessageLife: policy.Always(5 * time.Minute)}, h.now, rand.Reader)
	h.accounts, err = session.New(h.db.Gorm, session.Deps{Sealer: sealer, Now: h.now, Rand: rand.Reader, Audit: store.AppendEvent, Idle: h.settings.Life(policy.Idle), Longest: h.settings.Life(policy.SessionLife),
		Cost: factor.PasswordCost{Time: 1, Memory: 64, Threads: 1}, Pepper: func(_ context.Context, data []byte) ([]byte, error) {
			m := hmac.New(sha256.New, []byte("pepper"))
			m.Write(data)
			return m.Sum(nil), nil
		}, Cards: &session.Cards{Judge: h, Window: ownCode, Site: "https://window.example"},
		Institution: func(ctx context.Context, code ra.InstitutionCode) (bool, error) {
			i, err := register.InstitutionFacts(h.db.Gorm.WithContext(ctx), code)
			return i.Active, err
		}})
	if err != nil {
		t.Fatal(err)
	}
	acts := h.acts()
	h.openRooms(acts)
	maps.Copy(acts, h.registerActs(register))
	maps.Copy(acts, CardChanges(h.registry, func(tx approve.Tx) (devices.Tx, error) { return register.In(tx.(interface{ DB() *gorm.DB }).DB()), nil }, h.now))
	h.approve = approve.New(store.ApproveStore{Store: h.store}, h.revoke, acts, policy.Always(72*time.Hour), h.now, rand.Reader)
	h.exchange = h.byHand(h.pki.Root.Cert.Raw, nil)
	h.openIntake()
	holders := h.openHolders(register)
	h.site, err = New(Config{Development: true, Exchange: h.exchange, Imports: h.intake, Bulks: h.bulk, Holders: holders, Window: string(ownCode), Now: h.now, Log: slog.New(slog.DiscardHandler), Accounts: h.accounts, Registry: h.registry, Cards: h.registry, Apps: h.registry, Clients: h.clients, Personal: h.registry, Retention: 7,
		CardClaims: func(der []byte) (cardmsg.Claims, error) { return cardmsg.ClaimsOf(der, nil, nil) },
		Enrolments: h.enrol, Revocations: h.revoke, Renewals: h.renewals(), Approvals: h.approve, Settings: h.settings, Vault: h, AuditLog: h.auditLog, CardComponent: component,
		CountLog: h.countLog, Record: h.record, Evidence: h.evidence,
		Overview: h.overview(), Records: store.ReportStore{Store: h.store}, PDF: h.fonts(),
		BindText: func(code string) string { return "certwindow:bind#" + code }})
	if err != nil {
		t.Fatal(err)
	}
	if h.echo, err = web.New(web.Config{Log: slog.New(slog.DiscardHandler), Now: h.now, Rand: rand.Reader, Metrics: prometheus.NewRegistry(),
		Mounts: []func(*echo.Echo){h.site.Mount}, ErrorPage: h.site.ErrorPage, Uploads: h.site.Uploads()}); err != nil {
		t.Fatal(err)
	}
	h.furnish()
	return h
}

func logQuery(q LogQuery) store.AuditQuery {
	return store.AuditQuery{Institution: q.Institution, Object: q.Object, Act: q.Act, Actor: q.Actor, Outcome: q.Outcome, Clause: q.Clause,
		From: q.From, To: q.To, Before: q.Before, After: q.After, OldestFirst: q.OldestFirst, Limit: q.Limit}
}

func (h *house) auditLog(ctx context.Context, q LogQuery) (out []audit.Record, err error) {
	err = h.store.View(ctx, func(tx *store.Tx) error {
		out, err = tx.AuditRows(logQuery(q))
		return err
	})
	return out, err
}

func (h *house) countLog(ctx context.Context, q LogQuery) (n int, err error) {
	err = h.store.View(ctx, func(tx *store.Tx) error {
		n, err = tx.CountAudit(logQuery(q))
		return err
	})
	return n, err
}

func (h *house) record(ctx context.Context, e ra.Event, failed error) error {
	return ra.Act[*store.Tx](ctx, h.store, h.now(), e, func(*store.Tx, *ra.Event) error { return failed })
}

// evidence stands for the window's, which needs its dedicated certificate: it keeps to the institution as that does.
func (h *house) evidence(ctx context.Context, actor ra.Actor, id ra.ApplicationID, out io.Writer) error {
	a, err := h.enrol.Application(ctx, actor, id)
	if err == nil {
		_, err = io.WriteString(out, "PK of "+string(a.ID))
	}
	return err
}

// furnish registers two institutions, two scopes, and one member of staff of every role.
func (h *house) furnish() {
	h.t.Helper()
	ctx := h.t.Context()
	for _, i := range []devices.Institution{{Code: ownCode, Name: "平安綜合醫院", IsWindow: true},
		{Code: otherCode, Name: "康寧醫院", Agreement: strings.Repeat("ab", 32), AgreedFrom: h.at.AddDate(-1, 0, 0)}} {
		h.ok(h.registry.AddInstitution(ctx, operator, i))
	}
	for code, name := range map[string]string{"EMR-SIGN": "電子病歷簽章", "E-PRESCRIPTION": "電子處方箋"} {
		h.ok(h.registry.SaveScope(ctx, operator, devices.Scope{Code: code, Name: name, Approved: true}))
	}
	h.first()
	for _, r := range session.Roles {
		if r == session.WindowAdmin || r == session.Approver {
			continue
		}
		n := session.NewStaff{Account: string(r), Role: r}
		if r == session.InstitutionAdmin {
			n.Institution = ownCode
		}
		h.staff[r] = h.hire(n)
	}
}

// first makes the first administrator, as the operator's command does, and with him the first approver.
func (h *house) first() {
	h.t.Helper()
	ctx := h.t.Context()
	cred, err := h.accounts.CreateFirstAdmin(ctx, operator, string(session.WindowAdmin), "林美玲")
	h.ok(err)
	h.staff[session.WindowAdmin] = h.begins(cred)
	id, err := h.accounts.CreateFirstApprover(ctx, h.actorOf(session.WindowAdmin), string(session.Approver))
	h.ok(err)
	h.staff[session.Approver] = h.begins(h.handedOver(id, h.actorOf(session.WindowAdmin), operator))
}

// actorOf is the role's own member of staff.
func (h *house) actorOf(r session.Role) ra.Actor {
	return ra.Actor{Kind: ra.ActorStaff, ID: string(h.staff[r].cred.ID)}
}

// recruit makes an account as two persons do, whose initial password is still in force.
func (h *house) recruit(n session.NewStaff) session.Credentials {
	h.t.Helper()
	id, err := h.accounts.NewID()
	h.ok(err)
	h.byTwo(approve.CreateStaff, "staff/"+string(id), n.Facts())
	return h.handedOver(id, h.actorOf(session.WindowAdmin), h.actorOf(session.Approver))
}

// byTwo has the administrator propose an act, and the approver approve it.
func (h *house) byTwo(act approve.Act, object string, facts approve.Facts) {
	h.t.Helper()
	p, err := h.approve.Propose(h.t.Context(), h.actorOf(session.WindowAdmin), act, object, "", facts)
	h.ok(err)
	h.ok(h.approve.Approve(h.t.Context(), h.actorOf(session.Approver), p.ID, p.Hash))
}

// handedOver are both halves of an account's credentials.
func (h *house) handedOver(id ra.StaffID, first, second ra.Actor) session.Credentials {
	h.t.Helper()
	cred, err := h.accounts.Take(h.t.Context(), first, id, session.PasswordHalf, "林美玲")
	h.ok(err)
	code, err := h.accounts.Take(h.t.Context(), second, id, session.CodeHalf, "")
	h.ok(err)
	cred.TOTP, cred.URL = code.TOTP, code.URL
	return cred
}

// hire makes an account whose initial password has been changed.
func (h *house) hire(n session.NewStaff) staffer {
	h.t.Helper()
	return h.begins(h.recruit(n))
}

// begins signs an account in for the first time, and changes its initial password.
func (h *house) begins(cred session.Credentials) staffer {
	h.t.Helper()
	g, err := h.accounts.Login(h.t.Context(), session.Attempt{Account: cred.Account, Password: cred.Password, Code: h.code(cred), Address: "192.0.2.1"})
	h.ok(err)
	const password = "correct horse"
	_, err = h.accounts.ChangePassword(h.t.Context(), g.Session, cred.Password, password, operator)
	h.ok(err)
	h.wait(time.Minute)
	return staffer{cred, password}
}

func (h *house) code(c session.Credentials) session.Secret {
	code, err := totp.GenerateCode(c.TOTP.Reveal(), h.now())
	h.ok(err)
	return session.Secret(code)
}

func (h *house) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// browser is one signed-in browser.
type browser struct {
	h      *house
	cookie []*http.Cookie
	csrf   string
	lang   string
}

// signIn opens a session of the role's account.
func (h *house) signIn(r session.Role) *browser { return h.signInAs(h.staff[r]) }

func (h *house) signInAs(s staffer) *browser {
	h.t.Helper()
	h.wait(time.Minute)
	g, err := h.accounts.Login(h.t.Context(), session.Attempt{Account: s.cred.Account, Password: session.Secret(s.password), Code: h.code(s.cred), Address: "192.0.2.1"})
	h.ok(err)
	return &browser{h: h, csrf: g.Session.CSRF, cookie: []*http.Cookie{{Name: session.CookieName, Value: g.Token.Reveal()}}}
}

func (b *browser) do(method, path string, body io.Reader, head map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://window.example"+path, body)
	r.Header.Set("Accept", "text/html")
	for k, v := range head {
		r.Header.Set(k, v)
	}
	for _, c := range b.cookie {
		r.AddCookie(c)
	}
	if b.lang != "" {
		r.AddCookie(&http.Cookie{Name: languageCookie, Value: b.lang})
	}
	rec := httptest.NewRecorder()
	b.h.echo.ServeHTTP(rec, r)
	return rec
}

func (b *browser) get(path string) *httptest.ResponseRecorder { return b.do(get, path, nil, nil) }

// post sends a form with this session's token, as a page of this site does.
func (b *browser) post(path string, form url.Values) *httptest.ResponseRecorder {
	if form == nil {
		form = url.Values{}
	}
	form.Set("csrf", b.csrf)
	return b.do(post, path, strings.NewReader(form.Encode()), map[string]string{
		"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"})
}

// certificate puts a live certificate of a person on a device into the register.
func (h *house) certificate(p ra.PersonID, d ra.DeviceID, at ra.InstitutionCode, state ra.CertificateState) ra.CertificateID {
	h.t.Helper()
	a, err := h.enrol.Begin(h.t.Context(), operator, enrol.New{Person: p, Device: d, Institution: at, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice})
	h.ok(err)
	id, err := ra.NewID(h.now(), rand.Reader)
	h.ok(err)
	sum := sha256.Sum256([]byte(id))
	c := ra.Certificate{ID: ra.CertificateID(id), ApplicationID: a.ID, PersonID: p, DeviceID: d, Generation: 1, Institution: at, Scope: a.Scope, KeyDesign: a.KeyDesign,
		Serial: hex.EncodeToString(sum[:16]), IssuerKey: hex.EncodeToString(sum[:20]), DER: []byte{0x30, 0}, Chain: []byte{}, NotBefore: h.now().Add(-time.Hour),
		NotAfter: h.now().AddDate(3, 0, 0), State: state, CreatedAt: h.now(), UpdatedAt: h.now()}
	h.ok(h.store.Update(h.t.Context(), func(tx *store.Tx) error { return tx.InsertCertificate(c) }))
	return c.ID
}
