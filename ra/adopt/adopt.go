// Package adopt takes certificates into the register that the HCA issued to holders through this window before this
// software was there. From then on they count against the five of HCA-7.5, and sweep and revocation see them (HCA-3.6).
package adopt

import (
	"context"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"strings"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/certpath"
	"certwindow/ra/hca"
)

// Tx is one transaction on what an adoption reads and writes.
type Tx interface {
	Person(id ra.PersonID) (ra.PersonFacts, error)
	Device(id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error)
	Scopes() ([]policy.ApprovedScope, error)
	CertificateBySerial(issuerKey, serial string) (ra.Certificate, bool, error)
	LockHolder(id ra.PersonID) (*policy.Exemption, error)
	TakenSlots(id ra.PersonID, at time.Time) ([]int, error)
	InsertApplication(a ra.Application) error
	InsertCertificate(c ra.Certificate) error
	Audit(e ra.Event) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Register finds whom a certificate names, and the device that it is on; devices.Service is one.
type Register interface {
	PersonBy(ctx context.Context, actor ra.Actor, holder string) (id ra.PersonID, name string, there bool, err error)
	DeviceBy(ctx context.Context, actor ra.Actor, code string, user ra.PersonID) (id ra.DeviceID, at ra.InstitutionCode, there bool, err error)
}

// Config is what a certificate is held against.
type Config struct {
	Issuers     [][]byte // DER of the issuing CA certificates
	MaxValidity time.Duration
	Most        func() int                         // how many valid certificates a person may hold (HCA-7.5, HCA-9)
	Holder      asn1.ObjectIdentifier              // the subject's attribute that identifies a holder; nil: serialNumber
	IsCard      func(*certpath.Certificate) bool   // it bears the marks of an IC card's
	Revoked     func(ra.Certificate) (bool, error) // the HCA's own list
}

// Rows takes certificates in from a table, a row at a time: the certificate, the device's code, scope and key design.
type Rows struct {
	store    Store
	register Register
	cfg      Config
	now      func() time.Time
	rand     io.Reader
}

// New wires the use case.
func New(store Store, register Register, cfg Config, now func() time.Time, rand io.Reader) *Rows {
	return &Rows{store: store, register: register, cfg: cfg, now: now, rand: rand}
}

// ColumnOf names the column that an error's code is about; empty when it is about the row.
func (*Rows) ColumnOf(code string) string {
	switch code {
	case "device-unknown", "not-a-device-user", "device-of-another-institution":
		return "device"
	case "scope-not-approved":
		return "scope"
	case "adopt-key":
		return "key"
	}
	return "certificate"
}

// Key is what may stand in a table once.
func (*Rows) Key(row map[string]string) string {
	der, err := decode(row["certificate"])
	if err != nil {
		return ""
	}
	return ra.KeyHash(der)
}

// Judge tells what adopting the row would do: nothing, when the certificate is in the register.
func (r *Rows) Judge(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (known bool, err error) {
	f, err := r.read(ctx, actor, at, row)
	if err != nil {
		return false, err
	}
	err = r.store.View(ctx, func(tx Tx) error {
		known, err = r.judge(tx, f)
		return err
	})
	return known, err
}

// Apply adopts the row's certificate, unless that was done already.
func (r *Rows) Apply(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (object string, known bool, err error) {
	f, err := r.read(ctx, actor, at, row)
	if err != nil {
		return "", false, err
	}
	if known, err := r.Judge(ctx, actor, at, row); known || err != nil {
		return "", known, err
	}
	now := r.now()
	for _, id := range []*string{(*string)(&f.cert.ID), (*string)(&f.cert.ApplicationID)} {
		if *id, err = ra.NewID(now, r.rand); err != nil {
			return "", false, err
		}
	}
	e := ra.Event{Actor: actor, Act: "certificate.adopt", Object: "certificate/" + string(f.cert.ID), Institution: at, Clause: "HCA-7.5",
		Details: map[string]string{"serial": f.cert.Serial, "application": string(f.cert.ApplicationID)}}
	err = ra.Act[Tx](ctx, r.store, now, e, func(tx Tx, _ *ra.Event) error { return r.adopt(tx, f, actor) })
	return e.Object, false, err
}

// adopt writes a certificate, and in place of the application that it once came from one that says so.
func (r *Rows) adopt(tx Tx, f facts, actor ra.Actor) error {
	c, now := f.cert, r.now()
	slot, err := r.slot(tx, c.PersonID)
	if err != nil {
		return err
	}
	switch known, err := r.judge(tx, f); {
	case err != nil:
		return err
	case known:
		return ra.Errorf(ra.KindConflict, "exists", nil, "This exists already. Nothing was changed.")
	}
	d, err := tx.Device(c.DeviceID, c.PersonID)
	if err != nil {
		return err
	}
	c.State, c.Generation, c.CreatedAt, c.UpdatedAt = ra.CertLive, d.Generation, now, now
	a := ra.Application{ID: c.ApplicationID, Kind: ra.Adoption, State: ra.AppCompleted, PersonID: c.PersonID, DeviceID: c.DeviceID, Generation: c.Generation,
		Institution: c.Institution, Scope: c.Scope, KeyDesign: c.KeyDesign, Carrier: ra.CarrierDevice, Slot: &slot, CertificateID: &c.ID,
		Text: []byte{}, Challenge: []byte{}, Deadline: now, CreatedBy: actor.ID, CreatedAt: now, UpdatedAt: now}
	if c.KeyDesign == ra.KeyChip {
		a.Carrier = ra.CarrierSecureChip
	}
	if err := tx.InsertApplication(a); err != nil {
		return err
	}
	return tx.InsertCertificate(c)
}

// slot is the person's lowest free place. Beyond the limit nothing is taken in: one of them has to go first, or HCA's
// written leave has to be on record (HCA-7.5).
func (r *Rows) slot(tx Tx, person ra.PersonID) (int, error) {
	exemption, err := tx.LockHolder(person)
	if err != nil {
		return 0, err
	}
	taken, err := tx.TakenSlots(person, r.now())
	if err != nil {
		return 0, err
	}
	if err := ra.Refused(policy.Limit(len(taken), r.cfg.Most(), exemption, r.now())); err != nil {
		return 0, err
	}
	held := make(map[int]bool, len(taken))
	for _, n := range taken {
		held[n] = true
	}
	slot := 1
	for held[slot] {
		slot++
	}
	return slot, nil
}

// facts are what a row says, once it is believed.
type facts struct {
	cert ra.Certificate
	at   ra.InstitutionCode
}

// read holds a row's certificate against the HCA and the register, outside any transaction.
func (r *Rows) read(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (f facts, err error) {
	if actor.Institution != "" && actor.Institution != at {
		return f, ra.Refuse("HCA-8.1.6", "not-yours", "This belongs to another institution, or to the window itself. Nothing was changed.", nil)
	}
	der, err := decode(row["certificate"])
	if err != nil {
		return f, ra.Errorf(ra.KindMalformed, "adopt-unreadable", err, "This is no certificate in PEM, or in DER as base64. Nothing was changed.")
	}
	x, err := certpath.ParseCertificate(der)
	if err != nil {
		return f, ra.Errorf(ra.KindMalformed, "adopt-unreadable", err, "This is no certificate that can be read. Nothing was changed.")
	}
	person, err := r.holder(ctx, actor, x)
	if err != nil {
		return f, err
	}
	design := ra.KeyDesign(strings.ToLower(row["key"]))
	if design == "" {
		design = ra.KeyApp
	}
	if design != ra.KeyApp && design != ra.KeyChip {
		return f, ra.Errorf(ra.KindMalformed, "adopt-key", nil, "The key was made by app or chip; one in another HSM cannot be taken over. Nothing was changed.")
	}
	device, home, there, err := r.register.DeviceBy(ctx, actor, row["device"], person)
	switch {
	case err != nil:
		return f, err
	case !there:
		return f, ra.Errorf(ra.KindMalformed, "device-unknown", nil, "The device is not registered, or it is not clear which of several it is. Nothing was changed; import the devices first and name its code.")
	case home != at:
		return f, ra.Refuse("HCA-5.1.3", "device-of-another-institution", "The device belongs to another institution. Nothing was changed.", nil)
	}
	f.at = at
	f.cert = ra.Certificate{PersonID: person, DeviceID: device, Institution: at, Scope: words(row["scope"]), KeyDesign: design, Serial: x.SerialNumber.Text(16),
		IssuerKey: hex.EncodeToString(x.AuthorityKeyID), DER: der, Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		NotBefore: x.NotBefore, NotAfter: x.NotAfter}
	return f, r.current(f.cert)
}

// holder finds the person whom a certificate names, and judges the certificate as one that came from the HCA just now.
func (r *Rows) holder(ctx context.Context, actor ra.Actor, x *certpath.Certificate) (ra.PersonID, error) {
	attr := r.cfg.Holder
	if attr == nil {
		attr = asn1.ObjectIdentifier{2, 5, 4, 5}
	}
	unknown := ra.Refuse("HCA-7.3", "adopt-holder", "The certificate names nobody whom the register knows. Nothing was changed; import the persons first.", nil)
	names := x.Subject.All(attr)
	if len(names) != 1 {
		return "", unknown
	}
	id, name, there, err := r.register.PersonBy(ctx, actor, names[0])
	if err != nil {
		return "", err
	}
	if !there {
		return "", unknown
	}
	if r.cfg.IsCard(x) {
		return "", ra.Refuse("HCA-5.1.1", "adopt-card", "This is an IC card's certificate, not a mobile one. Nothing was changed.", nil)
	}
	err = hca.CheckCertificate(x.Raw, hca.Facts{SPKI: x.RawSPKI, Holder: names[0], HolderAttribute: r.cfg.Holder, Name: name, Issuers: r.cfg.Issuers,
		Now: r.now(), MaxValidity: r.cfg.MaxValidity})
	if err == nil {
		return id, nil
	}
	code := "adopt-refused"
	var m *hca.Mismatch
	if errors.As(err, &m) {
		code = map[hca.MismatchReason]string{hca.MismatchName: "adopt-name", hca.MismatchValidity: "adopt-validity", hca.MismatchIssuer: "adopt-issuer"}[m.Reason]
		if code == "" {
			code = "adopt-refused"
		}
	}
	return "", ra.Refuse("HCA-3.3", code, "This is no valid mobile certificate of the person's that the HCA issued. Nothing was changed.", err)
}

// current refuses a certificate that the HCA revoked: there is nothing of it left to look after.
func (r *Rows) current(c ra.Certificate) error {
	revoked, err := r.cfg.Revoked(c)
	switch {
	case err != nil:
		return ra.Errorf(ra.KindUnavailable, "crl", err, "The HCA's revocation list is missing or too old, so that the certificate cannot be judged. Nothing was changed; try again later.")
	case revoked:
		return ra.Refuse("HCA-7.2", "adopt-revoked", "The HCA revoked this certificate. Nothing was changed.", nil)
	}
	return nil
}

// judge holds the row against what else the register says, and tells whether the certificate is there already.
func (r *Rows) judge(tx Tx, f facts) (known bool, err error) {
	c := f.cert
	old, known, err := tx.CertificateBySerial(c.IssuerKey, c.Serial)
	if err != nil {
		return false, err
	}
	if known && (string(old.DER) != string(c.DER) || old.PersonID != c.PersonID || old.DeviceID != c.DeviceID) {
		return false, ra.Refuse("HCA-3.3", "adopt-differs", "The register holds a certificate of this serial number for another person or device. Nothing was changed.", nil)
	}
	if known {
		return true, nil
	}
	p, err := tx.Person(c.PersonID)
	if err != nil {
		return false, err
	}
	d, err := tx.Device(c.DeviceID, c.PersonID)
	if err != nil {
		return false, err
	}
	scopes, err := tx.Scopes()
	if err != nil {
		return false, err
	}
	switch {
	case !p.Active || !p.MemberOf(f.at):
		return false, ra.Refuse("HCA-3.7", "adopt-holder", "The person whom the certificate names does not practise at this institution. Nothing was changed.", nil)
	case !d.IsUser:
		return false, ra.Refuse("HCA-5.1.3", "not-a-device-user", "The person is not registered as a user of this device. Nothing was changed.", nil)
	}
	return false, ra.Refused(policy.Scope(c.Scope, string(f.at), scopes))
}

// decode takes a certificate in PEM, or in DER as base64.
func decode(cell string) ([]byte, error) {
	cell = strings.TrimSpace(cell)
	if strings.HasPrefix(cell, "-----BEGIN ") {
		block, rest := pem.Decode([]byte(cell + "\n"))
		if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
			return nil, errors.New("not one certificate in PEM")
		}
		return block.Bytes, nil
	}
	if cell == "" {
		return nil, errors.New("empty")
	}
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(cell), ""))
}

// words are a cell's entries.
func words(cell string) []string {
	return strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(" ;,|、；，\t\r\n", r) })
}
