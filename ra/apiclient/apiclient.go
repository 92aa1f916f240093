// Package apiclient is the register of the systems that call the window on an institution's behalf: which application
// it is, what it may ask for (HCA-5.1.2), and the certificate that it proves itself by (RFC 8705). Two persons put a
// system on the register or change it; one stops it at once (HCA-8.1.6).
package apiclient

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/remotesign"
)

// Kind is what a system calls the window for.
type Kind string

const (
	Signing  Kind = "signing"  // it asks for signatures with holders' keys in the HSM
	Staffing Kind = "staffing" // it tells what became of its institution's professionals (HCA-3.7)
)

// Kinds are all of them, in the order in which pages show them.
var Kinds = []Kind{Signing, Staffing}

// Client is one system.
type Client struct {
	ID          string
	Kind        Kind
	Name        string // as holders are shown it
	Institution ra.InstitutionCode
	Scopes      []string  // of use, that it may ask under
	Redirects   []string  // where its users' browsers are sent back to; compared whole (RFC 6749 section 3.1.2.3)
	Thumbprint  string    // of its certificate: SHA-256 in base64url (RFC 8705 section 3.1)
	NotAfter    time.Time // of that certificate
	Active      bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Bounds of what is registered.
const (
	maxName      = 60 // characters
	maxScopes    = 20
	maxRedirects = 5
	maxRedirect  = 300 // bytes
)

// Reserved names the holders' own app, which is no system.
const reserved = string(remotesign.DeviceClient)

var (
	idForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$`)
	thumbForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
)

// check holds a system against its bounds.
func (c Client) check(now time.Time) error {
	bad := func(code, detail string) error {
		return ra.Errorf(ra.KindMalformed, code, nil, "%s Nothing was changed.", detail)
	}
	n := utf8.RuneCountInString(c.Name)
	switch {
	case !idForm.MatchString(c.ID) || c.ID == reserved:
		return bad("client-id", "A system's id has 3 to 32 small letters, digits and hyphens.")
	case !slices.Contains(Kinds, c.Kind):
		return bad("client-kind", "The window does not know this kind of system.")
	case !utf8.ValidString(c.Name) || n < 1 || n > maxName || strings.ContainsFunc(c.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return bad("client-name", "A system's name has 1 to 60 printable characters.")
	case c.Kind == Staffing && len(c.Scopes)+len(c.Redirects) > 0:
		return bad("client-staffing", "A system that tells of professionals has no scopes of use and no addresses to return to.")
	case c.Kind == Signing && (len(c.Scopes) < 1 || len(c.Scopes) > maxScopes):
		return bad("client-scopes", "A system is registered for 1 to 20 scopes of use.")
	case len(c.Redirects) > maxRedirects || slices.ContainsFunc(c.Redirects, func(u string) bool { return !sound(u) }):
		return bad("client-redirects", "At most five addresses, each absolute, https and without a fragment, are returned to.")
	case !thumbForm.MatchString(c.Thumbprint):
		return bad("client-certificate", "The system's certificate cannot be read; paste one certificate in PEM.")
	case !now.Before(c.NotAfter):
		return bad("client-certificate", "The system's certificate has expired.")
	}
	return nil
}

// sound tells whether an address can be returned to: nobody on the way reads a code there.
func sound(address string) bool {
	u, err := url.Parse(address)
	return err == nil && len(address) <= maxRedirect && u.Scheme == "https" && u.Host != "" && u.User == nil && u.Fragment == "" && !strings.Contains(address, "#") &&
		u.String() == address
}

// Thumbprint names a certificate as tokens are bound to it (RFC 8705 section 3.1).
func Thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// maxPEM is far above any certificate, in bytes.
const maxPEM = 16 << 10

// ReadCertificate reads what a system proves itself by: one certificate in PEM and nothing beside it.
func ReadCertificate(text string) (thumbprint string, notAfter time.Time, err error) {
	bad := func(err error) (string, time.Time, error) {
		return "", time.Time{}, ra.Errorf(ra.KindMalformed, "client-certificate", err, "The system's certificate cannot be read; paste one certificate in PEM. Nothing was changed.")
	}
	if len(text) > maxPEM {
		return bad(nil)
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return bad(nil)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return bad(err)
	}
	return Thumbprint(c.Raw), c.NotAfter.UTC(), nil
}

// Tx is one transaction on the register.
type Tx interface {
	APIClient(id string) (Client, error)
	// APIClients are those of an institution, or of any when scope is empty, by id.
	APIClients(scope ra.InstitutionCode) ([]Client, error)
	// APIClientsShowing are those registered with the certificate of this thumbprint, by id.
	APIClientsShowing(thumbprint string) ([]Client, error)
	// SaveAPIClient writes a system over the one before.
	SaveAPIClient(c Client) error
	// StopAPIClient stops an active one, and ends its tokens; a conflict where it is not active.
	StopAPIClient(id string, at time.Time) error
	Institution(code ra.InstitutionCode) (ra.InstitutionFacts, error)
	Scopes() ([]policy.ApprovedScope, error)
	Audit(e ra.Event) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Service is the use case.
type Service struct {
	store Store
	now   func() time.Time
}

// New wires the use case.
func New(store Store, now func() time.Time) *Service { return &Service{store, now} }

var errUnknown = ra.Errorf(ra.KindNotFound, "client-unknown", nil, "This system is not registered at the window, or is stopped.")

// Registered is one system that the actor may see.
func (s *Service) Registered(ctx context.Context, actor ra.Actor, id string) (c Client, err error) {
	err = s.store.View(ctx, func(tx Tx) (err error) { c, err = tx.APIClient(id); return err })
	if err == nil && actor.Institution != "" && c.Institution != actor.Institution {
		err = errUnknown
	}
	if err != nil {
		return Client{}, err
	}
	return c, nil
}

// List are the systems that the actor may see, by id.
func (s *Service) List(ctx context.Context, actor ra.Actor) (out []Client, err error) {
	err = s.store.View(ctx, func(tx Tx) (err error) { out, err = tx.APIClients(actor.Institution); return err })
	return out, err
}

// Active is a system that may ask for signatures now. One that is stopped or of another kind is not known.
func (s *Service) Active(ctx context.Context, id string) (c Client, err error) {
	if !idForm.MatchString(id) {
		return c, errUnknown
	}
	var i ra.InstitutionFacts
	err = s.store.View(ctx, func(tx Tx) error {
		if c, err = tx.APIClient(id); err != nil {
			return err
		}
		i, err = tx.Institution(c.Institution)
		return err
	})
	if err == nil && (!c.Active || !i.Active || c.Kind != Signing) || err != nil && ra.KindOf(err) == ra.KindNotFound {
		return Client{}, errUnknown
	}
	return c, err
}

// Proven is the system whose certificate a connection showed. It must be the very one on the register, and in its time.
func (s *Service) Proven(ctx context.Context, id string, shown *x509.Certificate) (Client, error) {
	c, err := s.Active(ctx, id)
	if err != nil {
		return Client{}, err
	}
	if shown == nil || Thumbprint(shown.Raw) != c.Thumbprint || !inTime(shown, s.now()) {
		return Client{}, ra.Errorf(ra.KindUnauthenticated, "client-certificate", errors.New("not the registered certificate"),
			"The connection's certificate is not this system's, or is out of its time. Nothing was done.")
	}
	return c, nil
}

func inTime(shown *x509.Certificate, now time.Time) bool {
	return !now.Before(shown.NotBefore) && !now.After(shown.NotAfter)
}

// Telling is the system that may tell of its institution's professionals, by the certificate that its connection
// showed. It may while the institution is stopped too: what it tells only ever takes away, and somebody who leaves
// meanwhile must not be back when the institution resumes (HCA-3.7).
func (s *Service) Telling(ctx context.Context, shown *x509.Certificate) (Client, error) {
	unproven := ra.Errorf(ra.KindUnauthenticated, "client-certificate", nil,
		"The connection's certificate is not that of a registered system of this kind, or is out of its time. Nothing was done.")
	if shown == nil || !inTime(shown, s.now()) {
		return Client{}, unproven
	}
	var all []Client
	err := s.store.View(ctx, func(tx Tx) (err error) { all, err = tx.APIClientsShowing(Thumbprint(shown.Raw)); return err })
	if err != nil {
		return Client{}, err
	}
	if len(all) != 1 || all[0].Kind != Staffing || !all[0].Active {
		return Client{}, unproven
	}
	return all[0], nil
}

// Client implements remotesign.Clients.
func (s *Service) Client(ctx context.Context, id remotesign.ClientID) (remotesign.Client, error) {
	c, err := s.Active(ctx, string(id))
	if err != nil {
		return remotesign.Client{}, err
	}
	return remotesign.Client{ID: id, Institution: c.Institution, Scopes: c.Scopes}, nil
}

// Stop stops a system at once: no token of it is good any more.
func (s *Service) Stop(ctx context.Context, actor ra.Actor, id string) error {
	e := ra.Event{Actor: actor, Act: "client.stop", Object: "client/" + id}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		c, err := tx.APIClient(id)
		if err == nil && actor.Institution != "" && c.Institution != actor.Institution {
			err = errUnknown
		}
		if err != nil {
			return err
		}
		e.Institution = c.Institution
		return tx.StopAPIClient(id, s.now())
	})
}
