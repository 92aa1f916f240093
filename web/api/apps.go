package api

import (
	"certwindow/web/throttle"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
)

// Apps are the approved apps, the notices and what devices say of themselves; devices.Service has them.
type Apps interface {
	Apps(ctx context.Context, q devices.AppQuery) ([]devices.App, error)
	SafetyNotices(ctx context.Context) ([]devices.SafetyNotice, int, error)
	Acknowledge(ctx context.Context, actor ra.Actor, d devices.Device, version int, person ra.PersonID, app string) (devices.Acknowledgement, error)
	CheckIn(ctx context.Context, actor ra.Actor, d devices.Device, c devices.CheckIn) (ra.AppFacts, error)
	Continue(ctx context.Context, actor ra.Actor, d devices.Device, brought string) (string, error)
}

// appRoutes are what a phone asks of its app (HCA-2.6, HCA-7.1, HCA-8.2.1 to HCA-8.2.5).
var appRoutes = []route{
	{method: http.MethodPut, path: "/device/check-in", signer: device, do: (*call).putCheckIn},
	{method: http.MethodPut, path: "/device/push", signer: device, do: (*call).registerPush},
	{method: http.MethodPost, path: "/device/push/removal", signer: device, do: (*call).removePush, fresh: true},
	{method: http.MethodGet, path: "/apps", signer: nobody, do: (*call).getApps},
	{method: http.MethodGet, path: "/notices", signer: nobody, do: (*call).getNotices},
	{method: http.MethodPost, path: "/notices/{version}/acknowledgement", signer: device, once: true, do: (*call).acknowledge},
	{method: http.MethodGet, path: "/trust-list", signer: nobody, do: (*call).getTrustList},
}

// Public answers are the same for everybody: each is made once in publicFor, and a network asks for so many a second.
const (
	publicFor               = 15 * time.Second
	publicRate, publicBurst = 50, 300
)

// public is one answer that is the same for everybody.
type public struct {
	mu   sync.Mutex
	made time.Time
	last answer
}

// shared gives a public answer, made anew when it is old.
func (c *call) shared(p *public, do func() (answer, error)) (answer, error) {
	now := c.api.Now()
	if !c.api.byPublic.Take(throttle.Network(c.RealIP()), now) {
		return answer{}, tooMany()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if since := now.Sub(p.made); p.last.status != 0 && since >= 0 && since < publicFor {
		return p.last, nil
	}
	out, err := do()
	if err != nil {
		return answer{}, err
	}
	p.made, p.last = now, out
	return out, nil
}

type integrity struct {
	Rooted     bool `json:"rooted"`
	Debugged   bool `json:"debugged"`
	Emulated   bool `json:"emulated"`
	ScreenLock bool `json:"screen_lock"`
}

type checkInRequest struct {
	OSVersion string `json:"os_version"`
	App       struct {
		ID      string `json:"id"`
		Version string `json:"version"`
	} `json:"app"`
	CarrierPresent *bool      `json:"carrier_present"`
	Integrity      *integrity `json:"integrity"`
	Continuity     string     `json:"continuity"`
}

func (b checkInRequest) check() error {
	for _, f := range []struct {
		name, value string
		most        int
	}{{"os_version", b.OSVersion, 32}, {"app.id", b.App.ID, 128}, {"app.version", b.App.Version, 32}} {
		if err := words(f.name, f.value, f.most); err != nil {
			return err
		}
	}
	if err := checkContinuity(b.Continuity); err != nil {
		return err
	}
	if b.CarrierPresent == nil || b.Integrity == nil {
		return malformed("check-in", "A check-in says whether the carrier is present and what the app found of the device. Nothing was written down.")
	}
	return nil
}

// checkContinuity refuses what no continuity value looks like; none is one.
func checkContinuity(value string) error {
	if value != "" && !continuityForm.MatchString(value) {
		return malformed("continuity", "The continuity value is not one of this window's. Nothing was written down.")
	}
	return nil
}

// continuityForm is how devices.Service.Continue writes its values.
var continuityForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// putCheckIn takes what the device says of itself, and tells what the window makes of it (HCA-7.1, HCA-8.2.1).
func (c *call) putCheckIn() (answer, error) {
	var b checkInRequest
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	if err := b.check(); err != nil {
		return answer{}, err
	}
	next, err := c.api.Apps.Continue(c.ctx(), c.actor(), c.device, b.Continuity)
	if err != nil {
		return answer{}, err
	}
	facts, err := c.api.Apps.CheckIn(c.ctx(), c.actor(), c.device, devices.CheckIn{OSVersion: b.OSVersion, App: b.App.ID, AppVersion: b.App.Version,
		CarrierPresent: *b.CarrierPresent, Integrity: devices.Integrity(*b.Integrity)})
	if err != nil {
		return answer{}, err
	}
	verdict := policy.AppOnDevice(facts.Rule)
	state := facts.Rule.State
	if state == "" {
		state = "unknown"
	}
	return document(http.StatusOK, struct {
		AppState string        `json:"app_state"`
		Usable   bool          `json:"usable"`
		Clause   policy.Clause `json:"clause,omitempty"`
		Code     string        `json:"code,omitempty"`
		Detail   string        `json:"detail,omitempty"`
		Next     string        `json:"continuity"`
	}{state, verdict.Allowed, verdict.Clause, verdict.Code, verdict.Detail, next})
}

type app struct {
	Platform    ra.Platform `json:"platform"`
	Package     string      `json:"package"`
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	MinOS       string      `json:"min_os"`
	Permissions []string    `json:"permissions"`
	Download    string      `json:"download"`
	Digest      string      `json:"digest"`
	Scopes      []string    `json:"scopes"`
}

type appVersion struct {
	Platform ra.Platform `json:"platform"`
	Package  string      `json:"package"`
	Version  string      `json:"version"`
}

// maxApps is the contract's cap on one list.
const maxApps = 200

// getApps is the catalogue: what is approved, the lowest version of each app that still is, and what was withdrawn.
func (c *call) getApps() (answer, error) {
	return c.shared(&c.api.catalogue, func() (answer, error) {
		var out struct {
			Apps      []app        `json:"apps"`
			Minimum   []appVersion `json:"minimum_versions"`
			Withdrawn []appVersion `json:"withdrawn"`
		}
		out.Apps, out.Minimum, out.Withdrawn = []app{}, []appVersion{}, []appVersion{}
		approved, err := c.api.Apps.Apps(c.ctx(), devices.AppQuery{State: devices.AppApproved, Limit: maxApps})
		if err != nil {
			return answer{}, err
		}
		for _, a := range approved {
			out.Apps = append(out.Apps, app{a.Platform, a.Package, a.Name, a.Version, a.MinOS, orEmpty(a.Permissions), a.Download, a.Digest, orEmpty(a.Scopes)})
			out.Minimum = lowest(out.Minimum, appVersion{a.Platform, a.Package, a.Version})
		}
		gone, err := c.api.Apps.Apps(c.ctx(), devices.AppQuery{State: devices.AppWithdrawn, Limit: maxApps})
		for _, a := range gone {
			v := appVersion{a.Platform, a.Package, a.Version}
			if !slices.ContainsFunc(out.Apps, func(x app) bool { return (appVersion{x.Platform, x.Package, x.Version}) == v }) && !slices.Contains(out.Withdrawn, v) {
				out.Withdrawn = append(out.Withdrawn, v)
			}
		}
		if err != nil {
			return answer{}, err
		}
		return document(http.StatusOK, out)
	})
}

func orEmpty(in []string) []string {
	if in == nil {
		return []string{}
	}
	return in
}

// lowest keeps the lowest version of each app.
func lowest(known []appVersion, v appVersion) []appVersion {
	for i, k := range known {
		if k.Platform == v.Platform && k.Package == v.Package {
			if policy.VersionLess(v.Version, k.Version) {
				known[i] = v
			}
			return known
		}
	}
	return append(known, v)
}

type bilingual struct {
	Chinese string `json:"zh-Hant-TW"`
	English string `json:"en"`
}

// getNotices is the risk notice for every start (HCA-8.2.3) and the antivirus advice for the first (HCA-8.2.4).
func (c *call) getNotices() (answer, error) {
	return c.shared(&c.api.notices, func() (answer, error) {
		all, _, err := c.api.Apps.SafetyNotices(c.ctx())
		if err != nil {
			return answer{}, err
		}
		if len(all) == 0 {
			return answer{}, ra.Errorf(ra.KindNotFound, "no-notice", nil, "The window has not written its notices yet.")
		}
		n := all[0]
		return document(http.StatusOK, struct {
			Version   int       `json:"version"`
			CreatedAt time.Time `json:"created_at"`
			Risk      bilingual `json:"risk"`
			Antivirus bilingual `json:"antivirus"`
		}{n.Version, n.CreatedAt.UTC(), bilingual{n.RiskZH, n.RiskEN}, bilingual{n.AntivirusZH, n.AntivirusEN}})
	})
}

// acknowledge records that the notices were shown and read (HCA-8.2.3, HCA-8.2.4).
func (c *call) acknowledge() (answer, error) {
	var b struct {
		AppVersion string      `json:"app_version"`
		Person     ra.PersonID `json:"person"`
	}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	if err := words("app_version", b.AppVersion, 32); err != nil {
		return answer{}, err
	}
	if b.Person != "" && !idForm.MatchString(string(b.Person)) {
		return answer{}, malformed("person", "A person is named by his id. Nothing was recorded.")
	}
	version, err := strconv.Atoi(c.Param("version"))
	if err != nil {
		return answer{}, malformed("version", "A version is a number. Nothing was recorded.")
	}
	a, err := c.api.Apps.Acknowledge(c.ctx(), c.actor(), c.device, version, b.Person, b.AppVersion)
	if err != nil {
		return answer{}, err
	}
	return document(http.StatusOK, struct {
		Version int       `json:"version"`
		Starts  int       `json:"starts"`
		LastAt  time.Time `json:"last_at"`
	}{a.Version, a.Starts, a.LastAt.UTC()})
}

// getTrustList is the signed list of the certification authorities to trust (HCA-8.2.5).
func (c *call) getTrustList() (answer, error) {
	return c.shared(&c.api.trust, func() (answer, error) {
		jws, err := c.api.TrustList()
		if err != nil {
			return answer{}, ra.Errorf(ra.KindUnavailable, "trust-list", err, "The list could not be signed. Try again.")
		}
		return answer{status: http.StatusOK, mediaType: typeJWT, body: []byte(jws)}, nil
	})
}
