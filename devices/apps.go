package devices

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"certwindow/policy"
	"certwindow/ra"
)

// AppState is where an app version stands (HCA-2.6).
type AppState string

const (
	AppProposed  AppState = "proposed"  // on file, and not to be used yet
	AppApproved  AppState = "approved"  // two persons agreed
	AppWithdrawn AppState = "withdrawn" // by one, at once; two may approve it again
)

// App is one version of a mobile app with what the window reviewed of it (HCA-2.6, HCA-6.1, HCA-8.2.1). But for its
// state it never changes: what two persons approved is what was shown to them.
type App struct {
	ID          string
	Platform    ra.Platform
	Package     string // bundle id or package name
	Name        string
	Version     string
	Permissions []string // what it asks of the system, each by its platform's name (HCA-8.2.1)
	Download    string   // https (HCA-8.2.2)
	Digest      string   // Android: SHA-256 of the signing certificate in hex; Apple: TEAM.BUNDLE
	MinOS       string
	Scopes      []string // what it may be used for; empty: every approved scope
	Evidence    string   // name of the review's document, white-box protection included (HCA-6.1)
	EvidenceSum string   // its SHA-256, hex
	Reviewer    string   // an organisation or unit, no person
	ReviewedOn  time.Time
	State       AppState
	AddedBy     string
	CreatedAt   time.Time
	ApprovedAt  *time.Time
	WithdrawnAt *time.Time
	Withdrawal  string // why
}

// AppQuery selects app versions, newest first.
type AppQuery struct {
	Platform ra.Platform
	Package  string
	State    AppState
	Before   string // the last id of the page before
	Limit    int
}

// AppTx is what a transaction on the register reads and writes of apps.
type AppTx interface {
	App(id string) (App, error)
	Apps(q AppQuery) ([]App, error)
	// AppDigests are what the approved versions of an app for the device's platform are known by (HCA-6.1).
	AppDigests(id ra.DeviceID, app string) ([]string, error)
	InsertApp(a App) error
	// UpdateApp writes the state, and fails with a conflict when the version is no longer in the state from.
	UpdateApp(a App, from AppState) error
}

// AddApp puts an app version on file. It may be used once two persons have approved it.
func (s *Service) AddApp(ctx context.Context, actor ra.Actor, a App) (string, error) {
	id, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return "", err
	}
	a = tidyApp(a)
	a.ID, a.State, a.AddedBy, a.CreatedAt, a.ApprovedAt, a.WithdrawnAt, a.Withdrawal = id, AppProposed, actor.ID, s.now(), nil, nil, ""
	return id, s.act(ctx, actor, "app.add", "app/"+id, "", map[string]string{"platform": string(a.Platform), "package": a.Package, "version": a.Version}, func(tx Tx) error {
		if actor.Institution != "" {
			return forbidden()
		}
		if err := s.checkApp(tx, a); err != nil {
			return err
		}
		return tx.InsertApp(a)
	})
}

// Apps is a page of app versions.
func (s *Service) Apps(ctx context.Context, q AppQuery) (out []App, err error) {
	q.Limit = pageSize(q.Limit)
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Apps(q)
		return err
	})
	return out, err
}

// App is one app version.
func (s *Service) App(ctx context.Context, id string) (a App, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		a, err = tx.App(id)
		return err
	})
	return a, err
}

// WithdrawalReasons are why an app version may be withdrawn.
var WithdrawalReasons = []string{"vulnerable", "replaced", "malicious", "other"}

// WithdrawApp stops the use of an app version at once: its devices get neither signatures nor status statements from
// now on (HCA-6.1, HCA-8.2.1).
func (s *Service) WithdrawApp(ctx context.Context, actor ra.Actor, id, reason string) error {
	return s.act(ctx, actor, "app.withdraw", "app/"+id, "", map[string]string{"reason": reason}, func(tx Tx) error {
		if actor.Institution != "" {
			return forbidden()
		}
		if !slices.Contains(WithdrawalReasons, reason) {
			return ra.Errorf(ra.KindMalformed, "withdrawal-reason", nil, "Choose why it is withdrawn. Nothing was changed.")
		}
		a, err := tx.App(id)
		if err != nil {
			return err
		}
		if a.State == AppWithdrawn {
			return ra.Errorf(ra.KindConflict, "app-withdrawn-already", nil, "This version is withdrawn already. Nothing was changed.")
		}
		from, now := a.State, s.now()
		a.State, a.WithdrawnAt, a.Withdrawal = AppWithdrawn, &now, reason
		return tx.UpdateApp(a, from)
	})
}

// CheckApproval judges whether an app version can be approved, as facts that were shown to two persons say it: they
// must be exactly what is on file (HCA-8.1.6).
func CheckApproval(tx AppTx, id string, facts map[string]string) error {
	a, err := tx.App(id)
	if err != nil {
		return err
	}
	if a.State == AppApproved {
		return ra.Errorf(ra.KindConflict, "app-approved-already", nil, "This version is approved already. Nothing was changed.")
	}
	now := a.Facts()
	for k, v := range now {
		if facts[k] != v {
			return ra.Refuse("HCA-8.1.6", "approval-object-changed", "What this is about has changed since it was proposed. Nothing was done; propose it anew.", nil)
		}
	}
	if len(facts) != len(now) {
		return ra.Refuse("HCA-8.1.6", "approval-object-changed", "What this is about has changed since it was proposed. Nothing was done; propose it anew.", nil)
	}
	return nil
}

// ApproveApp approves a version that CheckApproval has nothing against, in the caller's transaction.
func ApproveApp(tx AppTx, id string, at time.Time) error {
	a, err := tx.App(id)
	if err != nil {
		return err
	}
	from := a.State
	a.State, a.ApprovedAt, a.WithdrawnAt, a.Withdrawal = AppApproved, &at, nil, ""
	return tx.UpdateApp(a, from)
}

// Facts are everything that two persons approve of a version, by name.
func (a App) Facts() map[string]string {
	f := map[string]string{"app-state": string(a.State), "app-platform": string(a.Platform), "app-package": a.Package, "app-name": a.Name, "app-version": a.Version,
		"app-permissions": strings.Join(a.Permissions, ", "), "app-download": a.Download, "app-digest": a.Digest, "app-min-os": a.MinOS,
		"app-scopes": strings.Join(a.Scopes, ", "), "app-evidence": a.Evidence, "app-evidence-sha256": a.EvidenceSum, "app-reviewer": a.Reviewer,
		"app-reviewed": a.ReviewedOn.UTC().Format(time.RFC3339)}
	for k, v := range f {
		if v == "" {
			delete(f, k)
		}
	}
	return f
}

func tidyApp(a App) App {
	for _, t := range []*string{&a.Package, &a.Name, &a.Version, &a.Download, &a.Digest, &a.MinOS, &a.Evidence, &a.EvidenceSum, &a.Reviewer} {
		*t = strings.TrimSpace(*t)
	}
	a.EvidenceSum = strings.ToLower(a.EvidenceSum)
	if a.Platform == ra.PlatformAndroid {
		a.Digest = strings.ToLower(strings.ReplaceAll(a.Digest, ":", ""))
	}
	var kept []string
	for _, p := range a.Permissions {
		if p = strings.TrimSpace(p); p != "" && !slices.Contains(kept, p) {
			kept = append(kept, p)
		}
	}
	slices.Sort(kept)
	slices.Sort(a.Scopes)
	a.Permissions, a.Scopes = kept, slices.Compact(a.Scopes)
	return a
}

var (
	packageForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+$`)
	versionForm = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,3}([+-][0-9A-Za-z.-]+)?$`)
	osForm      = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,2}$`)
	permission  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)
	teamForm    = regexp.MustCompile(`^[A-Z0-9]{10}$`)
)

const (
	maxPermissions = 100
	maxDownload    = 500
)

func (s *Service) checkApp(tx Tx, a App) error {
	if err := ra.Refused(policy.Platform(string(a.Platform))); err != nil {
		return err
	}
	bad := func(code, detail string) error {
		return ra.Errorf(ra.KindMalformed, code, nil, "%s Nothing was changed.", detail)
	}
	u, err := url.Parse(a.Download)
	switch {
	case len(a.Package) > 128 || !packageForm.MatchString(a.Package):
		return bad("app-package", "A bundle or package id is words of letters and digits with dots between them.")
	case len(a.Version) > 32 || !versionForm.MatchString(a.Version):
		return bad("app-version", "A version is up to four numbers with dots between them, such as 2.10.3.")
	case len(a.MinOS) > 32 || !osForm.MatchString(a.MinOS):
		return bad("app-min-os", "The lowest system version is a number such as 17 or 17.4.")
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(a.Download) > maxDownload:
		return bad("app-download", "The download place is an https address.")
	case len(a.Permissions) > maxPermissions || slices.ContainsFunc(a.Permissions, func(p string) bool { return len(p) > 128 || !permission.MatchString(p) }):
		return bad("app-permissions", "Permissions are named as the platform names them, one a line, a hundred at most.")
	case !digestOf(a):
		return bad("app-digest", "The signing digest is 64 hexadecimal digits (Android), or the team's ten characters, a dot and the bundle id (Apple).")
	case !isSum(a.EvidenceSum):
		return bad("app-evidence-sha256", "A SHA-256 is 64 hexadecimal digits.")
	case a.ReviewedOn.IsZero() || a.ReviewedOn.After(s.now()):
		return bad("app-reviewed", "The review has a day, not one to come.")
	}
	for _, f := range []struct{ name, value string }{{"app-name", a.Name}, {"app-evidence", a.Evidence}, {"app-reviewer", a.Reviewer}} {
		if err := checkText(f.name, f.value, 100); err != nil {
			return err
		}
	}
	return knownScopes(tx, a.Scopes)
}

func digestOf(a App) bool {
	if a.Platform == ra.PlatformAndroid {
		return isSum(a.Digest)
	}
	team, bundle, ok := strings.Cut(a.Digest, ".")
	return ok && teamForm.MatchString(team) && bundle == a.Package
}

func isSum(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 32
}

func knownScopes(tx Tx, scopes []string) error {
	all, err := tx.Scopes()
	if err != nil {
		return err
	}
	for _, code := range scopes {
		if !slices.ContainsFunc(all, func(s Scope) bool { return s.Code == code && s.Approved }) {
			return ra.Refuse("HCA-2.6", "app-scope-unknown", "An app is approved for approved scopes of use only. Nothing was changed.", nil)
		}
	}
	return nil
}

// Reported is what a phone said of itself when it presented its key, before its first check-in.
func (b Binding) Reported() (app, version, system string) {
	var said struct {
		OSVersion  string `json:"os_version"`
		App        string `json:"app"`
		AppVersion string `json:"app_version"`
	}
	if json.Unmarshal([]byte(b.Client), &said) != nil {
		return "", "", ""
	}
	return said.App, said.AppVersion, said.OSVersion
}
