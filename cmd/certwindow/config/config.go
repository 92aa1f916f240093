// Package config reads the window's one configuration file: strict YAML, secrets by file, every limit a setting
// that may be tightened and never loosened past the rule book (HCA-9).
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"certwindow/hsm"
	"certwindow/policy"
)

// Modes of operation.
const (
	Development = "development" // may use SoftHSM and the simulator, and says so on every page
	Production  = "production"
)

// Config is the whole file. Paths in it are relative to the file's own folder.
type Config struct {
	Mode      string    `yaml:"mode"`
	Listen    string    `yaml:"listen"`     // address and port of HTTPS; port 0 takes a free one
	ReadyFile string    `yaml:"ready_file"` // optional: the address is written there once it listens
	PublicURL string    `yaml:"public_url"` // as browsers and phones see it, https://…
	TLS       KeyPair   `yaml:"tls"`
	Database  string    `yaml:"database"` // "sqlite:PATH" or "file:PATH" of a file that holds a postgres:// address
	Log       string    `yaml:"log"`      // level: debug, info, warn, error; default info
	Window    Window    `yaml:"window"`
	HSM       HSM       `yaml:"hsm"`
	HCA       HCA       `yaml:"hca"`
	Card      Card      `yaml:"card"`
	SMTP      SMTP      `yaml:"smtp"`
	Gateway   Gateway   `yaml:"gateway"`
	Push      Gateway   `yaml:"push"` // has apps look; none: they ask by themselves
	Limits    Limits    `yaml:"limits"`
	Sweep     Sweep     `yaml:"sweep"`
	Network   Network   `yaml:"network"`
	PDF       PDF       `yaml:"pdf"`
	Timestamp Timestamp `yaml:"timestamp"`

	Attestation Attestation `yaml:"attestation"`

	dir string
}

// KeyPair names PEM files.
type KeyPair struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// Window is the institution that runs this system (HCA-2.4).
type Window struct {
	Institution string `yaml:"institution"` // its code
	Name        string `yaml:"name"`
}

// HSM is the module that holds the window's keys and wraps the holders'.
type HSM struct {
	Module   string `yaml:"module"`
	Token    string `yaml:"token"`
	PINFile  string `yaml:"pin_file"`
	Sessions int    `yaml:"sessions"` // default 4

	Certification Certification `yaml:"certification"` // required in production (HCA-6.3.1)
}

// Certification is the module's own, as its certificate says: FIPS 140-2 or 140-3 level 3, or a scheme of the same
// strength (HCA-6.3.1).
type Certification struct {
	Scheme string `yaml:"scheme"` // e.g. "FIPS 140-3"
	Level  int    `yaml:"level"`
	Number string `yaml:"number"` // of the certificate
}

// HCA is the authority upstream, and the window's dedicated certificate (HCA-3.1).
type HCA struct {
	Adapter         string   `yaml:"adapter"` // "cmc"; "file": a person carries requests and answers
	URL             string   `yaml:"url"`     // with cmc
	TLSRoots        string   `yaml:"tls_roots"`
	Anchors         string   `yaml:"anchors"`       // PEM: pinned roots
	Intermediates   string   `yaml:"intermediates"` // PEM: issuing CAs
	CRL             string   `yaml:"crl"`           // address of the issuing CA's complete CRL
	Dedicated       string   `yaml:"dedicated"`     // PEM: the dedicated certificate; its key is in the HSM under "certwindow-dedicated"
	Acknowledgement string   `yaml:"acknowledgement"`
	MaxValidity     Duration `yaml:"max_validity"` // of a mobile certificate; default 3 years
}

// Card says how an IC card's certificate is told from a mobile one, and where the card component listens.
type Card struct {
	Component    string      `yaml:"component"`   // origin of one with HiPKI's protocol, e.g. http://localhost:61161
	ServiSign    []string    `yaml:"servisign"`   // origins at which HCAServiSign may listen, e.g. https://localhost:56445
	PINOnPage    bool        `yaml:"pin_on_page"` // the page asks for the PIN instead of the component
	Policies     []string    `yaml:"policies"`    // dotted; every one is asserted
	IssuerKeyIDs []string    `yaml:"issuer_keys"` // hex; the issuer is one of them
	Attributes   []Attribute `yaml:"attributes"`  // of subjectDirectoryAttributes or the subject
	HolderOID    string      `yaml:"holder_oid"`  // default 2.5.4.5
	DigitsOID    string      `yaml:"digits_oid"`  // where a card carries the end of the national id; default 2.16.886.1.100.2.51
	Skew         Duration    `yaml:"skew"`        // how far a counter's clock may be off; default 30 s
}

// Attribute is one mark: an attribute that must be there, with this value when one is given.
type Attribute struct {
	OID   string `yaml:"oid"`
	Value string `yaml:"value"`
}

// Timestamp is the authority that makes time stamps for document systems (RFC 3161). Without an address there are none.
type Timestamp struct {
	URL      string `yaml:"url"`
	Anchors  string `yaml:"anchors"`   // PEM: what its certificate must chain to
	TLSRoots string `yaml:"tls_roots"` // PEM; empty: those of the system
}

// SMTP is how mail leaves.
type SMTP struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"`
	From         string `yaml:"from"`
	TLS          bool   `yaml:"tls"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

// Gateway is the hospital's own for text messages and push; optional. It gets webhooks.
type Gateway struct {
	URL        string `yaml:"url"`
	SecretFile string `yaml:"secret_file"` // what requests are signed with, HMAC-SHA256
	TLSRoots   string `yaml:"tls_roots"`   // PEM; default: those of the system
}

// Limits are what a window starts with, within the rules. Two persons change them on the page of settings, which holds
// from then on (HCA-9).
type Limits struct {
	Idle        Duration `yaml:"idle"`         // at most 10 m (HCA-8.1.1)
	MessageLife Duration `yaml:"message_life"` // at most 5 m (HCA-8.1.4)
	KeyLife     Duration `yaml:"key_life"`     // default 24 h
	Retention   int      `yaml:"retention"`    // years that a person's data is kept after its end, at most 7 (HCA-9)
}

// Sweep is the inventory of HCA-3.6.
type Sweep struct {
	Every       Duration `yaml:"every"`        // default 1 h, at most 24 h
	CapPercent  int      `yaml:"cap_percent"`  // default 10
	CapAbsolute int      `yaml:"cap_absolute"` // default 100
}

// PDF is how reports are printed.
type PDF struct {
	// Font is a TrueType font with Chinese letters. Where the file is missing, reports leave as CSV alone.
	Font string `yaml:"font"` // default: where Debian's fonts-droid-fallback puts it
}

// defaultFont is Debian's Droid Sans Fallback.
const defaultFont = "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"

// Network says which addresses are which zone (HCA-6.3.7).
type Network struct {
	// Closed are the institution's private networks, leased lines included, and VPN those into it over public lines, as
	// address ranges. Every other address is in the internet.
	Closed []string `yaml:"closed"`
	VPN    []string `yaml:"vpn"`
	// HSMZones are the zones whose devices HSM keys sign for: closed, or closed and vpn; default closed. Without ranges
	// for them HSM keys sign for nobody.
	HSMZones []string `yaml:"hsm_zones"`
}

// Zones are the address ranges as the rules take them.
func (n Network) Zones() (z policy.Zones, err error) {
	if z.Closed, err = ranges("network.closed", n.Closed); err != nil {
		return z, err
	}
	if z.VPN, err = ranges("network.vpn", n.VPN); err != nil {
		return z, err
	}
	for _, s := range n.HSMZones {
		if s != string(policy.ZoneClosed) && s != string(policy.ZoneVPN) {
			return z, fmt.Errorf("network.hsm_zones: %q; keys in the HSM are used from closed and vpn only (HCA-6.3.7)", s)
		}
		z.HSM = append(z.HSM, policy.Zone(s))
	}
	return z, nil
}

func ranges(name string, texts []string) (out []netip.Prefix, err error) {
	for _, s := range texts {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not an address range such as 10.0.0.0/8", name, s)
		}
		out = append(out, p)
	}
	return out, nil
}

// Duration is written as Go writes them: 10m, 1h30m.
type Duration time.Duration

// UnmarshalYAML reads a duration.
func (d *Duration) UnmarshalYAML(b []byte) error {
	v, err := time.ParseDuration(strings.Trim(strings.TrimSpace(string(b)), `"'`))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 10m", b)
	}
	*d = Duration(v)
	return nil
}

// maxSize is far above any configuration, in bytes.
const maxSize = 1 << 20

// maxSkew is how far a counter's clock may be off at most: the independent checker believes no more.
const maxSkew = 5 * time.Minute

// Load reads and checks a file. Unknown keys are refused.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxSize {
		return nil, fmt.Errorf("%s: larger than %d bytes, which no configuration is", path, maxSize)
	}
	var c Config
	if err := yaml.UnmarshalWithOptions(raw, &c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, false))
	}
	c.dir = filepath.Dir(path)
	c.defaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &c, nil
}

func (c *Config) defaults() {
	set := func(d *Duration, v time.Duration) {
		if *d == 0 {
			*d = Duration(v)
		}
	}
	set(&c.Limits.Idle, policy.MaxIdle)
	set(&c.Limits.MessageLife, policy.MaxMessageLife)
	set(&c.Limits.KeyLife, 24*time.Hour)
	set(&c.Sweep.Every, time.Hour)
	set(&c.HCA.MaxValidity, 3*366*24*time.Hour)
	set(&c.Card.Skew, 30*time.Second)
	if c.Limits.Retention == 0 {
		c.Limits.Retention = policy.MaxRetention
	}
	if c.Sweep.CapPercent == 0 {
		c.Sweep.CapPercent = 10
	}
	if c.Sweep.CapAbsolute == 0 {
		c.Sweep.CapAbsolute = 100
	}
	if c.HSM.Sessions == 0 {
		c.HSM.Sessions = 4
	}
	if c.PDF.Font == "" {
		c.PDF.Font = defaultFont
	}
	if c.Network.HSMZones == nil {
		c.Network.HSMZones = []string{string(policy.ZoneClosed)}
	}
	c.Attestation.defaults()
	if c.Log == "" {
		c.Log = "info"
	}
}

func (c *Config) check() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(c.Mode == Development || c.Mode == Production, "mode is %q; it must be development or production", c.Mode)
	need(len(c.Window.Institution) == 10, "window.institution must be the institution's code of ten characters (HCA-2.3)")
	need(c.Window.Name != "", "window.name is missing")
	u, err := url.Parse(c.PublicURL)
	need(err == nil && u.Scheme == "https" && u.Host != "" && u.Path == "", "public_url must be https://HOST[:PORT]")
	for _, x := range [][2]string{{"listen", c.Listen}, {"database", c.Database}, {"tls.certificate", c.TLS.Certificate}, {"tls.key", c.TLS.Key},
		{"hsm.module", c.HSM.Module}, {"hsm.token", c.HSM.Token}, {"hsm.pin_file", c.HSM.PINFile},
		{"hca.anchors", c.HCA.Anchors}, {"hca.intermediates", c.HCA.Intermediates}, {"hca.crl", c.HCA.CRL}, {"hca.dedicated", c.HCA.Dedicated},
		{"smtp.host", c.SMTP.Host}, {"smtp.from", c.SMTP.From}} {
		need(x[1] != "", "%s is missing", x[0])
	}
	var level slog.Level
	need(level.UnmarshalText([]byte(c.Log)) == nil, "log is %q; it must be debug, info, warn or error", c.Log)
	need(c.SMTP.Port > 0 && c.SMTP.Port < 1<<16, "smtp.port is %d; it must be between 1 and 65535", c.SMTP.Port)
	need((c.Gateway.URL == "") == (c.Gateway.SecretFile == ""), "gateway: url and secret_file go together")
	need((c.Push.URL == "") == (c.Push.SecretFile == ""), "push: url and secret_file go together")
	need(c.Push.URL == "" || strings.HasPrefix(c.Push.URL, "https://"), "push.url must be https")
	need(c.Gateway.URL == "" || c.Mode == Development || strings.HasPrefix(c.Gateway.URL, "https://"), "production: gateway.url must be https")
	need(c.HCA.Adapter == "cmc" || c.HCA.Adapter == "file", "hca.adapter is %q; there are cmc and file", c.HCA.Adapter)
	need(c.HCA.Adapter == "file" || c.HCA.URL != "", "hca.url is missing")
	need(c.HCA.Adapter == "file" || c.HCA.TLSRoots != "", "hca.tls_roots is missing")
	need(c.Card.Component != "" || len(c.Card.ServiSign) > 0, "card.component is missing, and card.servisign names no other component")
	need(len(c.Card.Policies)+len(c.Card.IssuerKeyIDs)+len(c.Card.Attributes) > 0, "card: at least one mark must tell an IC card's certificate from a mobile one (HCA-5.1.1)")
	within := func(name string, d Duration, most time.Duration, clause string) {
		need(d > 0 && time.Duration(d) <= most, "%s is %s; it is above zero and at most %s, and may only be tightened (%s)", name, time.Duration(d), most, clause)
	}
	within("limits.idle", c.Limits.Idle, policy.MaxIdle, "HCA-8.1.1")
	within("limits.message_life", c.Limits.MessageLife, policy.MaxMessageLife, "HCA-8.1.4")
	within("limits.key_life", c.Limits.KeyLife, 7*24*time.Hour, "HCA-6.0")
	need(c.Limits.Retention >= 1 && c.Limits.Retention <= policy.MaxRetention, "limits.retention is %d years; it is 1 to %d, and may only be tightened (HCA-9)",
		c.Limits.Retention, policy.MaxRetention)
	within("sweep.every", c.Sweep.Every, 24*time.Hour, "HCA-3.6")
	within("card.skew", c.Card.Skew, maxSkew, "HCA-8.1.4")
	need(c.HCA.MaxValidity > 0, "hca.max_validity is %s; it must be above zero", time.Duration(c.HCA.MaxValidity))
	need(c.Sweep.CapPercent > 0 && c.Sweep.CapPercent <= 100 && c.Sweep.CapAbsolute > 0, "sweep: the caps are above zero, and cap_percent is at most 100")
	need(c.HSM.Sessions > 0 && c.HSM.Sessions <= 256, "hsm.sessions is between 1 and 256")
	_, err = c.Network.Zones()
	need(err == nil, "%v", err)
	errs = append(errs, c.Attestation.check(c.Mode))
	if c.Mode == Production {
		h := c.HSM.Certification
		need(h.Scheme != "" && h.Number != "" && h.Level >= 3, "production: hsm.certification must name the module's scheme, its level of 3 or more, and the certificate's number (HCA-6.3.1)")
		need(c.SMTP.TLS, "production: smtp.tls must be true")
	}
	return errors.Join(errs...)
}

// Path makes a path of the file absolute.
func (c *Config) Path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// Secret reads a secret from a file, without the line end.
func (c *Config) Secret(path string) (hsm.Secret, error) { return hsm.ReadSecretFile(c.Path(path)) }

// DatabaseAddress is the address of the database, read from its file when it is kept in one.
func (c *Config) DatabaseAddress() (string, error) {
	if path, ok := strings.CutPrefix(c.Database, "file:"); ok {
		s, err := c.Secret(path)
		if err != nil {
			return "", err
		}
		return strings.TrimSpace(string(s.Bytes())), nil
	}
	if path, ok := strings.CutPrefix(c.Database, "sqlite:"); ok {
		return "sqlite:" + c.Path(path), nil
	}
	return "", errors.New("database must be sqlite:PATH, or file:PATH of a file that holds a postgres:// address")
}
