package checker

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"strings"
	"time"
)

// application is a row as this package reads it.
type application struct {
	id, kind, state, person, device, institution, design string
	generation                                           int64
	slot                                                 sql.NullInt64
	certificate                                          sql.NullString
	ground, nonce, failure                               string
	text, challenge, consent, proof, csr                 []byte
	bare                                                 bool
	erased                                               bool // its personal data, because the retention had ended (HCA-9)
	created                                              time.Time
}

func (a *application) object() string { return "application/" + a.id }

func (a *application) is(states ...string) bool { return oneOf(a.state, states...) }

// certificate is a row as this package reads it.
type certificate struct {
	id, application, person, device, institution, design, serial, issuerKey, state string
	generation                                                                     int64
	der, chain                                                                     []byte
	notBefore, notAfter, created                                                   time.Time
	revoked, delivered                                                             sql.NullTime
}

func (c *certificate) object() string { return "certificate/" + c.id }

// valid tells whether it counts as valid, and expired whether its time is over.
func (c *certificate) valid() bool               { return oneOf(c.state, "live", "suspended", "revoking") }
func (c *certificate) expired(at time.Time) bool { return at.After(c.notAfter) }
func oneOf(s string, list ...string) bool {
	return strings.Contains("\x00"+strings.Join(list, "\x00")+"\x00", "\x00"+s+"\x00")
}
func nonceHash(value string) []byte {
	s := sha256.Sum256([]byte("certwindow nonce\x00" + value))
	return s[:]
}
func nonceName(hash []byte) string           { return "nonce/" + hex.EncodeToString(hash) }
func row(object, act, outcome string) string { return object + "\x00" + act + "\x00" + outcome }
func done(object, act string) string         { return row(object, act, "done") }

// nonceRow is what is known of an application's nonce.
type nonceRow struct {
	purpose, person, device string
	expires                 time.Time
	redeemed                sql.NullTime
}

// keyRow is a holder's wrapped key.
type keyRow struct {
	person, device, algorithm string
	generation                int64
	blob, spki, mac           []byte
	created                   time.Time
}

// request is what is known of a request to the HCA.
type request struct{ sent, answered bool }

// revocation is an application to revoke a certificate.
type revocation struct{ id, state string }

// page is some applications with everything that belongs to them.
type page struct {
	applications []*application
	own          map[string]*certificate // by the application that it was issued for
	byID         map[string]*certificate
	requests     map[string]request
	keys         map[string]keyRow
	nonces       map[string]nonceRow // by hash
	devices      map[string]int64    // the generation of a device's binding
	revocations  map[string][]revocation
	log          map[string]bool // object, act and outcome of rows of the audit log
}

// pageSize is how many applications are in memory at a time; each may hold a CRL.
const pageSize = 20

func (c *check) load(after string) (*page, error) {
	p := &page{own: map[string]*certificate{}, byID: map[string]*certificate{}, requests: map[string]request{}, keys: map[string]keyRow{},
		nonces: map[string]nonceRow{}, devices: map[string]int64{}, revocations: map[string][]revocation{}, log: map[string]bool{}}
	err := c.each(`SELECT id, kind, state, person_id, device_id, institution, key_design, generation, slot, certificate_id, ground, nonce, failure_code,
		text, challenge, consent, proof, csr, consent_bare, created_at, erased_at IS NOT NULL FROM applications WHERE id > ? ORDER BY id LIMIT ?`, []any{after, pageSize},
		func(scan func(...any) error) error {
			a := &application{}
			p.applications = append(p.applications, a)
			return scan(&a.id, &a.kind, &a.state, &a.person, &a.device, &a.institution, &a.design, &a.generation, &a.slot, &a.certificate, &a.ground,
				&a.nonce, &a.failure, &a.text, &a.challenge, &a.consent, &a.proof, &a.csr, &a.bare, &a.created, &a.erased)
		})
	if err != nil || len(p.applications) == 0 {
		return p, err
	}
	for _, step := range []func(*page) error{c.loadCertificates, c.loadRequests, c.loadKeys, c.loadNonces, c.loadDevices, c.loadRevocations, c.loadLog} {
		if err := step(p); err != nil {
			return nil, err
		}
	}
	c.unseal(p)
	return p, nil
}

// unseal opens what is encrypted at rest. A value that does not open counts as there and empty.
func (c *check) unseal(p *page) {
	open := func(object, table, column, id string, value *[]byte) {
		if *value == nil {
			return
		}
		plain, err := c.Sealer.Open(table+"."+column+"/"+id, *value)
		c.must(err == nil, Sealed, "HCA-8.1.5", object, "column %s does not open: it was changed, or moved here from another row", column)
		*value = append([]byte{}, plain...)
	}
	for _, a := range p.applications {
		open(a.object(), "applications", "text", a.id, &a.text)
		open(a.object(), "applications", "consent", a.id, &a.consent)
		open(a.object(), "applications", "proof", a.id, &a.proof)
		open(a.object(), "applications", "csr", a.id, &a.csr)
		if x := p.own[a.id]; x != nil {
			open(x.object(), "certificates", "der", x.id, &x.der)
			open(x.object(), "certificates", "chain", x.id, &x.chain)
		}
	}
}

// ids lists something of each application.
func ids[T any](p *page, of func(*application) T) (string, []any) {
	list := make([]T, len(p.applications))
	for i, a := range p.applications {
		list[i] = of(a)
	}
	return in(list)
}

func id(a *application) string { return a.id }

func (c *check) loadCertificates(p *page) error {
	own, args := ids(p, id)
	targets, more := ids(p, func(a *application) string { return a.certificate.String })
	return c.each(`SELECT id, application_id, person_id, device_id, institution, key_design, serial, issuer_key, state, generation, der, chain,
		not_before, not_after, created_at, revoked_at, delivered_at FROM certificates WHERE application_id IN `+own+` OR id IN `+targets,
		append(args, more...), func(scan func(...any) error) error {
			x := &certificate{}
			err := scan(&x.id, &x.application, &x.person, &x.device, &x.institution, &x.design, &x.serial, &x.issuerKey, &x.state, &x.generation,
				&x.der, &x.chain, &x.notBefore, &x.notAfter, &x.created, &x.revoked, &x.delivered)
			p.own[x.application], p.byID[x.id] = x, x
			return err
		})
}

func (c *check) loadRequests(p *page) error {
	list, args := ids(p, id)
	return c.each(`SELECT transaction_id, sent_at IS NOT NULL, answer IS NOT NULL FROM hca_requests WHERE transaction_id IN `+list, args,
		func(scan func(...any) error) error {
			var id string
			var r request
			err := scan(&id, &r.sent, &r.answered)
			p.requests[id] = r
			return err
		})
}

func (c *check) loadKeys(p *page) error {
	list, args := ids(p, id)
	return c.each(`SELECT application_id, person_id, device_id, algorithm, generation, blob, spki, mac, created_at FROM holder_keys
		WHERE application_id IN `+list, args, func(scan func(...any) error) error {
		var id string
		var k keyRow
		err := scan(&id, &k.person, &k.device, &k.algorithm, &k.generation, &k.blob, &k.spki, &k.mac, &k.created)
		p.keys[id] = k
		return err
	})
}

func (c *check) loadNonces(p *page) error {
	list, args := ids(p, func(a *application) []byte { return nonceHash(a.nonce) })
	return c.each(`SELECT hash, purpose, person_id, device_id, expires_at, redeemed_at FROM nonces WHERE hash IN `+list, args,
		func(scan func(...any) error) error {
			var hash []byte
			var n nonceRow
			err := scan(&hash, &n.purpose, &n.person, &n.device, &n.expires, &n.redeemed)
			p.nonces[string(hash)] = n
			return err
		})
}

func (c *check) loadDevices(p *page) error {
	list, args := ids(p, func(a *application) string { return a.device })
	return c.each(`SELECT id, generation FROM devices WHERE id IN `+list, args, func(scan func(...any) error) error {
		var id string
		var generation int64
		err := scan(&id, &generation)
		p.devices[id] = generation
		return err
	})
}

// loadRevocations finds how the certificates of the page were revoked, or are to be.
func (c *check) loadRevocations(p *page) error {
	var certs []string
	for id := range p.byID {
		certs = append(certs, id)
	}
	if len(certs) == 0 {
		return nil
	}
	list, args := in(certs)
	return c.each(`SELECT id, state, certificate_id FROM applications WHERE kind = 'revocation' AND certificate_id IN `+list, args,
		func(scan func(...any) error) error {
			var r revocation
			var cert string
			err := scan(&r.id, &r.state, &cert)
			p.revocations[cert] = append(p.revocations[cert], r)
			return err
		})
}

// loadLog finds what the audit log tells of the page. Uses of a key, of which there may be millions, are left out.
func (c *check) loadLog(p *page) error {
	objects := make([]string, 0, 4*len(p.applications))
	for _, a := range p.applications {
		objects = append(objects, a.object())
	}
	for id, x := range p.byID {
		objects = append(objects, x.object())
		for _, r := range p.revocations[id] {
			objects = append(objects, "application/"+r.id)
		}
	}
	list, args := in(objects)
	return c.each(`SELECT DISTINCT object, act, outcome FROM audit_events WHERE object IN `+list+` AND act NOT IN ('sign.hash', 'status.statement')`, args,
		func(scan func(...any) error) error {
			var object, act, outcome string
			err := scan(&object, &act, &outcome)
			p.log[row(object, act, outcome)] = true
			return err
		})
}
