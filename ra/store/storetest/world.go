package storetest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"certwindow/hsm/seal"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/audit"
	"certwindow/ra/consent"
	"certwindow/ra/jobs/work"
	"certwindow/ra/store"
)

// Window is the code of the institution that runs the window in tests, and Clinic another's that it serves.
const (
	Window ra.InstitutionCode = "0101090517"
	Clinic ra.InstitutionCode = "3501200000"
)

// Noon is when a World's clock begins, with a fraction of a second that not every database keeps whole.
var Noon = time.Date(2026, 11, 22, 4, 0, 0, 123456789, time.UTC)

// Register is a register in memory, whose facts a test sets. The zero value holds nobody.
type Register struct {
	mu           sync.Mutex
	persons      map[ra.PersonID]ra.PersonFacts
	devices      map[ra.DeviceID]ra.DeviceFacts
	users        map[ra.DeviceID][]ra.PersonID
	institutions map[ra.InstitutionCode]ra.InstitutionFacts
	scopes       []store.Scope
	apps         map[ra.DeviceID]policy.App
}

var _ store.Registry = (*Register)(nil)

func found[K ~string, V any](m map[K]V, k K) (V, error) {
	v, ok := m[k]
	if !ok {
		return v, ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no %s.", string(k))
	}
	return v, nil
}

// PersonFacts implements store.Registry.
func (r *Register) PersonFacts(_ *gorm.DB, id ra.PersonID) (ra.PersonFacts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return found(r.persons, id)
}

// DeviceFacts implements store.Registry.
func (r *Register) DeviceFacts(_ *gorm.DB, id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, err := found(r.devices, id)
	d.IsUser = slices.Contains(r.users[id], seenFrom)
	return d, err
}

// HolderFacts implements store.Registry. A device has an approved app unless SetApp says otherwise.
func (r *Register) HolderFacts(_ *gorm.DB, id ra.DeviceID, person ra.PersonID) (f ra.HolderFacts, err error) {
	if f.Device, err = r.DeviceFacts(nil, id, person); err != nil {
		return f, err
	}
	p, err := r.PersonFacts(nil, person)
	f.Active, f.Institutions = p.Active, p.Institutions
	f.App, _ = r.AppFacts(nil, id)
	return f, err
}

// AppFacts implements store.Registry.
func (r *Register) AppFacts(_ *gorm.DB, id ra.DeviceID) (ra.AppFacts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rule, said := r.apps[id]
	if !said {
		rule = policy.App{Reported: true, State: "approved", OSVersion: "1", MinOS: "1", CarrierPresent: true}
	}
	return ra.AppFacts{App: "tw.hospital.example", Version: "1.0.0", Rule: rule}, nil
}

// AppDigests implements store.Registry.
func (r *Register) AppDigests(*gorm.DB, ra.DeviceID, string) ([]string, error) {
	return []string{strings.Repeat("5a", 32)}, nil
}

// SetApp says what is known of the app on a device.
func (r *Register) SetApp(id ra.DeviceID, app policy.App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.apps == nil {
		r.apps = map[ra.DeviceID]policy.App{}
	}
	r.apps[id] = app
}

// InstitutionFacts implements store.Registry.
func (r *Register) InstitutionFacts(_ *gorm.DB, code ra.InstitutionCode) (ra.InstitutionFacts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return found(r.institutions, code)
}

// ApprovedScopes implements store.Registry.
func (r *Register) ApprovedScopes(*gorm.DB) ([]store.Scope, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.scopes), nil
}

// Person changes a person's facts, or adds the person.
func (r *Register) Person(id ra.PersonID, change func(*ra.PersonFacts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.persons == nil {
		r.persons = map[ra.PersonID]ra.PersonFacts{}
	}
	p := r.persons[id]
	p.ID = id
	p.Institutions = slices.Clone(p.Institutions)
	change(&p)
	r.persons[id] = p
}

// Device changes a device's facts, or adds the device.
func (r *Register) Device(id ra.DeviceID, change func(*ra.DeviceFacts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.devices[id]
	d.ID = id
	change(&d)
	r.devices[id] = d
}

// Institution changes an institution's facts, or adds the institution.
func (r *Register) Institution(code ra.InstitutionCode, change func(*ra.InstitutionFacts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.institutions[code]
	i.Code = code
	change(&i)
	r.institutions[code] = i
}

// SetUsers says who the users of a device are.
func (r *Register) SetUsers(id ra.DeviceID, users ...ra.PersonID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users[id] = users
}

// SetScopes says which scopes are approved.
func (r *Register) SetScopes(scopes ...store.Scope) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scopes = scopes
}

// World is a store with what is around it: a register in memory, a clock to move, and the real job queue.
type World struct {
	DB       *store.DB
	Store    *store.Store
	Register *Register
	Clock    *Clock
	Queue    *work.Queue
}

// Sealer seals under a key that every process of a test knows.
func Sealer() *seal.Sealer {
	s, err := seal.New(bytes.Repeat([]byte{7}, 32), rand.Reader)
	if err != nil {
		panic(err) // the key has the right length
	}
	return s
}

// NewWorld makes a store over a migrated database, with two institutions and the scope EMR-SIGN.
func NewWorld(t testing.TB, db *store.DB) *World {
	t.Helper()
	w := &World{DB: db, Clock: NewClock(Noon), Register: &Register{
		persons: map[ra.PersonID]ra.PersonFacts{}, devices: map[ra.DeviceID]ra.DeviceFacts{}, users: map[ra.DeviceID][]ra.PersonID{},
		institutions: map[ra.InstitutionCode]ra.InstitutionFacts{}, scopes: []store.Scope{{Code: "EMR-SIGN"}},
	}}
	var err error
	if w.Queue, err = work.NewInserter(db, time.Now); err != nil {
		t.Fatal(err)
	}
	w.Register.Institution(Window, func(i *ra.InstitutionFacts) { i.Name, i.IsWindow, i.Active = "測試醫院", true, true })
	w.Register.Institution(Clinic, func(i *ra.InstitutionFacts) {
		i.Name, i.Active, i.Agreement, i.AgreedFrom = "測試診所", true, true, Noon.AddDate(-1, 0, 0)
	})
	w.Store = store.New(db, w.Register, w.Queue.Enqueue, Sealer(), w.Clock.Now, rand.Reader)
	return w
}

// ID makes a ULID for the clock's moment.
func (w *World) ID(t testing.TB) string {
	t.Helper()
	id, err := ra.NewID(w.Clock.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Doctor registers a person at both institutions. The holder's identifier is what an IC card would show.
func (w *World) Doctor(t testing.TB, name, holder string) ra.PersonID {
	t.Helper()
	id := ra.PersonID(w.ID(t))
	w.Register.Person(id, func(p *ra.PersonFacts) {
		p.Holder, p.Name, p.CardChecked, p.Active, p.Institutions = holder, name, true, true, []ra.InstitutionCode{Window, Clinic}
	})
	return id
}

// Phone is a bound device with its key.
type Phone struct {
	ID  ra.DeviceID
	Key *ecdsa.PrivateKey
}

// Phone registers and binds a device of an institution, used by these persons.
func (w *World) Phone(t testing.TB, at ra.InstitutionCode, users ...ra.PersonID) *Phone {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	id := w.ID(t)
	w.Register.Device(ra.DeviceID(id), func(d *ra.DeviceFacts) {
		d.Code, d.Institution, d.Platform, d.State, d.Generation, d.KeySPKI = "D-"+id, at, ra.PlatformAndroid, ra.DeviceBound, 1, spki
		d.Shared = len(users) > 1
	})
	w.Register.SetUsers(ra.DeviceID(id), users...)
	return &Phone{ID: ra.DeviceID(id), Key: key}
}

// Jobs counts the jobs of a kind that are in the queue, whatever became of them.
func (w *World) Jobs(t testing.TB, kind string) (n int) {
	t.Helper()
	if err := w.DB.Gorm.Raw("SELECT count(*) FROM river_job WHERE kind = ?", kind).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

// Count counts rows.
func (w *World) Count(t testing.TB, from string, args ...any) (n int) {
	t.Helper()
	if err := w.DB.Gorm.Raw("SELECT count(*) FROM "+from, args...).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

// Audit is the whole log in its order. It fails the test when the chain does not hold.
func (w *World) Audit(t testing.TB) []audit.Record {
	t.Helper()
	var rows []audit.Record
	err := w.Store.View(context.Background(), func(tx *store.Tx) (err error) {
		rows, err = tx.AuditFrom(0, 1_000_000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var v audit.Verifier
	for _, r := range rows {
		if err := v.Next(r); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

// Accepts is a judge of card-signed messages that takes every one that is not empty, for tests of what comes after.
type Accepts struct{}

// Verify says what a real judge would say of a good message.
func (Accepts) Verify(_ context.Context, want consent.Expected, cms []byte) (consent.Verified, error) {
	if len(cms) == 0 {
		return consent.Verified{}, ra.Refuse(want.Clause, "empty", "The message is empty.", nil)
	}
	sum := sha256.Sum256(cms)
	return consent.Verified{Proof: fmt.Appendf(nil, `{"holder":%q}`, want.Holder), SignerFingerprint: hex.EncodeToString(sum[:]),
		MessageSHA256: hex.EncodeToString(sum[:])}, nil
}

// Good is a window in good standing with the HCA.
func Good(context.Context) policy.WindowStanding {
	return policy.WindowStanding{Acknowledged: true, OwnInstitution: true, NotBefore: Noon.AddDate(-1, 0, 0), NotAfter: Noon.AddDate(10, 0, 0),
		RevocationKnown: true, KeyMatches: true}
}
