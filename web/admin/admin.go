// Package admin is the staff's side of the window: server-rendered pages for registering persons and devices,
// the counter where a holder signs by card, the certificates and the audit log.
//
// Every page works without scripts but the counter, which talks to the card component. No page is reachable
// that is not in the table of routes.go with the roles that may.
package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/audit"
	"certwindow/ra/enrol"
	"certwindow/ra/revoke"
	"certwindow/web/admin/pdf"
	"certwindow/web/session"
	"certwindow/web/throttle"
)

// Registry is what the pages need of the register of institutions, persons and devices; devices.Service is one.
type Registry interface {
	AddInstitution(ctx context.Context, actor ra.Actor, i devices.Institution) error
	SetBiometrics(ctx context.Context, actor ra.Actor, code ra.InstitutionCode, kinds []string) error
	Institutions(ctx context.Context, actor ra.Actor) ([]devices.Institution, error)
	Institution(ctx context.Context, actor ra.Actor, code ra.InstitutionCode) (devices.Institution, error)
	SetStanding(ctx context.Context, actor ra.Actor, code ra.InstitutionCode, event devices.InstitutionEvent) error
	RecordAgreement(ctx context.Context, actor ra.Actor, code ra.InstitutionCode, agreement string, from, to time.Time) error
	SaveScope(ctx context.Context, actor ra.Actor, sc devices.Scope) error
	Scopes(ctx context.Context) ([]devices.Scope, error)

	RegisterPerson(ctx context.Context, actor ra.Actor, p devices.Person, at ra.InstitutionCode) (ra.PersonID, error)
	Person(ctx context.Context, actor ra.Actor, id ra.PersonID) (devices.Person, error)
	Persons(ctx context.Context, actor ra.Actor, q devices.PersonQuery) ([]devices.Person, error)
	CountPersons(ctx context.Context, actor ra.Actor, q devices.PersonQuery) (int, error)
	EndMembership(ctx context.Context, actor ra.Actor, id ra.PersonID, code ra.InstitutionCode, reason string) error

	RegisterDevice(ctx context.Context, actor ra.Actor, n devices.NewDevice) (ra.DeviceID, error)
	Device(ctx context.Context, actor ra.Actor, id ra.DeviceID) (devices.Device, []devices.User, error)
	Devices(ctx context.Context, actor ra.Actor, q devices.DeviceQuery) ([]devices.Device, error)
	CountDevices(ctx context.Context, actor ra.Actor, q devices.DeviceQuery) (int, error)
	AddUser(ctx context.Context, actor ra.Actor, id ra.DeviceID, person ra.PersonID) error
	RemoveUser(ctx context.Context, actor ra.Actor, id ra.DeviceID, person ra.PersonID) error
	Report(ctx context.Context, actor ra.Actor, id ra.DeviceID, event ra.DeviceEvent) error
	Replace(ctx context.Context, actor ra.Actor, old ra.DeviceID, r devices.Replacement) (ra.DeviceID, error)
	ReplacedBy(ctx context.Context, actor ra.Actor, id ra.DeviceID) (devices.Device, bool, error)

	OfferBinding(ctx context.Context, actor ra.Actor, id ra.DeviceID) (devices.Offer, error)
	Binding(ctx context.Context, actor ra.Actor, id ra.DeviceID) (devices.Binding, bool, error)
	ConfirmBinding(ctx context.Context, actor ra.Actor, id ra.DeviceID, binding, shortCode string) error
	RejectBinding(ctx context.Context, actor ra.Actor, id ra.DeviceID, binding string) error
}

// Enrolments are the applications; enrol.Service is one.
type Enrolments interface {
	Begin(ctx context.Context, actor ra.Actor, n enrol.New) (ra.Application, error)
	Application(ctx context.Context, actor ra.Actor, id ra.ApplicationID) (ra.Application, error)
	Applications(ctx context.Context, actor ra.Actor, q enrol.Query) ([]ra.Application, error)
	CountApplications(ctx context.Context, actor ra.Actor, q enrol.Query) (int, error)
	Sign(ctx context.Context, actor ra.Actor, id ra.ApplicationID, sig enrol.Signature) (ra.Application, error)
	Cancel(ctx context.Context, actor ra.Actor, id ra.ApplicationID) error
}

// Revocations are the certificates and their end; revoke.Service is one.
type Revocations interface {
	Certificate(ctx context.Context, actor ra.Actor, id ra.CertificateID) (ra.Certificate, error)
	Certificates(ctx context.Context, actor ra.Actor, q revoke.Query) ([]ra.Certificate, error)
	CountCertificates(ctx context.Context, actor ra.Actor, q revoke.Query) (int, error)
	Begin(ctx context.Context, actor ra.Actor, id ra.CertificateID, reason ra.RevocationReason, insertion string) (ra.Application, error)
	Sign(ctx context.Context, actor ra.Actor, id ra.ApplicationID, sig enrol.Signature) (ra.Application, error)
	Suspend(ctx context.Context, actor ra.Actor, id ra.CertificateID, note string) error
}

// LogQuery selects rows of the audit log, newest first.
type LogQuery struct {
	Institution ra.InstitutionCode // empty: all
	Object      string             // e.g. "person/01JD…"
	Act         string
	Actor       string // e.g. the id of a member of staff
	Outcome     ra.Outcome
	Clause      policy.Clause
	From, To    time.Time // zero: no bound
	Before      int64     // sequence number; zero begins at the newest
	After       int64     // with OldestFirst: the number of the last row of the page before
	OldestFirst bool
	Limit       int
}

// Log reads the audit log.
type Log func(ctx context.Context, q LogQuery) ([]audit.Record, error)

// Record writes an act of the pages themselves into the audit log, done or, with what it failed by, not; then it gives
// that error back.
type Record func(ctx context.Context, e ra.Event, failed error) error

// Evidence writes the zip of an application that has come to an end, and that it did so into the audit log (HCA-3.3).
type Evidence func(ctx context.Context, actor ra.Actor, id ra.ApplicationID, out io.Writer) error

// Config is what the pages need of the rest of the house. Fields without a remark must be set.
type Config struct {
	Development bool // says so on every page
	Now         func() time.Time
	Log         *slog.Logger
	Accounts    *session.Service
	Registry    Registry
	Enrolments  Enrolments
	Revocations Revocations
	Renewals    Renewals
	Approvals   Approvals
	Settings    Settings
	Vault       Vault
	Cards       Cards
	CardClaims  CardClaims
	Holders     HolderAccounts
	Apps        Apps
	Clients     Clients
	Personal    Personal
	Retention   int // for how many years a person's data is kept (HCA-9)
	Exchange    Exchange
	Imports     Imports
	Bulks       Bulks
	AuditLog    Log
	CountLog    func(ctx context.Context, q LogQuery) (int, error) // as far as ra.CountUpTo and one more
	Record      Record
	Evidence    Evidence
	Window      string // the code of the institution that runs the window
	Overview    Overview
	Records     Records
	// PDF are the fonts of reports to print; nil: there are none, and reports leave as CSV alone.
	PDF *pdf.Fonts
	// CardComponent is the origin of a local card component with HiPKI's protocol, e.g. "http://localhost:61161", and
	// ServiSign are those at which HCAServiSign may listen. The page takes the first that answers; one must be named.
	CardComponent string
	ServiSign     []string
	// BindText is what the QR of a device's binding holds, of the one-time code.
	BindText func(code string) string
}

// Site is the pages.
type Site struct {
	Config
	offers offers // of the public page
	table  []route
	csp    string
	card   string // the card components for the page's script, each kind=origin
	words  map[string]catalogue
	pages  map[string]map[string]*tmpl // language, page
	static map[string]asset
}

// New reads the templates and the catalogue, and refuses a configuration with a gap.
func New(cfg Config) (*Site, error) {
	if cfg.Now == nil || cfg.Log == nil || cfg.Accounts == nil || cfg.Registry == nil || cfg.Enrolments == nil ||
		cfg.Revocations == nil || cfg.Renewals == nil || cfg.Approvals == nil || cfg.AuditLog == nil || cfg.BindText == nil ||
		cfg.Apps == nil ||
		cfg.Personal == nil || cfg.Clients == nil ||
		cfg.Exchange == nil ||
		cfg.Settings == nil ||
		cfg.Vault == nil ||
		cfg.Imports == nil ||
		cfg.Cards == nil || cfg.CardClaims == nil ||
		cfg.CountLog == nil ||
		cfg.Record == nil ||
		cfg.Evidence == nil ||
		cfg.Holders == nil {
		return nil, errors.New("admin: a dependency is missing")
	}
	if cfg.Overview == nil || cfg.Records == nil {
		return nil, errors.New("admin: what the home page and the reports list is missing")
	}
	s := &Site{Config: cfg, table: routes}
	s.offers.limit = throttle.New(publicRate, publicBurst)
	origins, err := s.readComponents()
	if err != nil {
		return nil, err
	}
	s.csp = "default-src 'self'; style-src 'self'; script-src 'self'; img-src 'self' data: " + origins + "; form-action 'self'; base-uri 'none'; " +
		"frame-ancestors 'none'; object-src 'none'; connect-src 'self' " + origins
	if s.words, err = loadCatalogues(); err != nil {
		return nil, err
	}
	if s.static, err = loadAssets(); err != nil {
		return nil, err
	}
	s.pages, err = s.loadTemplates()
	return s, err
}

// readComponents checks the origins of the card components, which end up in a header and in every page, and lists them.
func (s *Site) readComponents() (origins string, err error) {
	var list, pages []string
	add := func(kind, origin string) error {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			return errors.New("admin: the card component is not a web origin")
		}
		list, pages = append(list, origin), append(pages, kind+"="+origin)
		return nil
	}
	if s.CardComponent != "" {
		err = add("hipki", s.CardComponent)
	}
	for _, origin := range s.ServiSign {
		err = errors.Join(err, add("servisign", origin))
	}
	if err == nil && len(list) == 0 {
		err = errors.New("admin: no card component is named")
	}
	s.card = strings.Join(pages, " ")
	return strings.Join(list, " "), err
}

// Mount registers every route of the table, and nothing else.
func (s *Site) Mount(e *echo.Echo) {
	for _, r := range s.table {
		e.Add(r.method, r.path, s.guard(r))
	}
}
