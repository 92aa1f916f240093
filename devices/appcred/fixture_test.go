package appcred_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/devices/appcred/factor"
	"certwindow/devices/store"
	"certwindow/hsm/seal"
	"certwindow/policy"
	"certwindow/ra"
	rastore "certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// ward is a hospital with one shared tablet, and two doctors who use it.
type ward struct {
	*storetest.World
	*appcred.Service
	t        testing.TB
	db       *rastore.DB
	register *devices.Service
	store    *store.Store
	clerk    ra.Actor
	phone    ra.Actor
	tablet   ra.DeviceID
	chen     ra.PersonID
	lin      ra.PersonID
	sent     outbox
}

// outbox keeps the codes that were sent.
type outbox struct {
	mu    sync.Mutex
	codes []appcred.Secret
	to    []appcred.Contact
	fails error
}

func (o *outbox) SendCode(_ context.Context, _ appcred.Channel, to appcred.Contact, code appcred.Secret) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.codes, o.to = append(o.codes, code), append(o.to, to)
	return o.fails
}

func pepper(_ context.Context, data []byte) ([]byte, error) {
	m := hmac.New(sha256.New, []byte("pepper"))
	m.Write(data)
	return m.Sum(nil), nil
}

func newWard(t testing.TB, db *rastore.DB) *ward {
	t.Helper()
	w := &ward{World: storetest.NewWorld(t, db), t: t, db: db, clerk: ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Institution: storetest.Window}}
	sealer, err := seal.New(bytes.Repeat([]byte{7}, 32), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.store = w.open(db, sealer)
	w.register = devices.New(w.store, w.Clock.Now, rand.Reader)
	w.Service = w.serve(w.store, factor.PasswordCost{Time: 1, Memory: 64, Threads: 1})
	ctx := t.Context()
	if err := w.register.AddInstitution(ctx, ra.Actor{Kind: ra.ActorStaff, ID: "admin"}, devices.Institution{Code: storetest.Window, Name: "測試醫院", IsWindow: true}); err != nil {
		t.Fatal(err)
	}
	w.chen, w.lin = w.doctor("A123456789", "陳小華", "1000"), w.doctor("B123456780", "林美", "2000")
	w.tablet = w.device("ICU-01", true, w.chen, w.lin)
	w.phone = ra.Actor{Kind: ra.ActorDevice, ID: string(w.tablet), Institution: storetest.Window}
	return w
}

// open is the register over a database.
func (w *ward) open(db *rastore.DB, sealer store.Sealer) *store.Store {
	return store.New(db.Gorm, sealer, store.Hooks{Audit: rastore.AppendEvent, DeviceBound: rastore.VoidForDevice, DeviceReplaced: rastore.VoidForReplaced,
		StartSweep: func(*gorm.DB) error { return nil }}, w.Clock.Now, rand.Reader)
}

// serve is the use case over a register.
func (w *ward) serve(s appcred.Store, cost factor.PasswordCost) *appcred.Service {
	w.t.Helper()
	hasher, err := factor.NewHasher("holder", cost, pepper, rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := appcred.New(appcred.Config{Store: s, Hasher: hasher, MAC: pepper, Sender: &w.sent, Idle: policy.Always(10 * time.Minute), Issuer: "certwindow",
		Log: slog.New(slog.DiscardHandler), Now: w.Clock.Now, Rand: rand.Reader})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *ward) doctor(nationalID, name, holder string) ra.PersonID {
	w.t.Helper()
	id, err := w.register.RegisterPerson(context.Background(), w.clerk, devices.Person{NationalID: nationalID, Name: name, Holder: holder, Email: holder + "@example.org", Phone: "0912345678"}, storetest.Window)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// checkCard has the counter link a doctor's card to him, by an identity document.
func (w *ward) checkCard(person ra.PersonID, name, holder string) {
	w.t.Helper()
	card, err := w.register.ReadCard(context.Background(), w.clerk, devices.CardReading{Name: name, Holder: holder})
	if err == nil {
		err = w.register.ConfirmCard(context.Background(), w.clerk, person, card, "passport")
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// device is a registered device that is bound.
func (w *ward) device(code string, shared bool, users ...ra.PersonID) ra.DeviceID {
	w.t.Helper()
	id, err := w.register.RegisterDevice(context.Background(), w.clerk, devices.NewDevice{Code: code, Institution: storetest.Window, Platform: ra.PlatformIOS, Model: "iPad", Shared: shared, Users: users})
	if err != nil {
		w.t.Fatal(err)
	}
	w.bind(id)
	return id
}

// facts are what a caller of ProveAct has judged of a device and its user.
func (w *ward) facts(id ra.DeviceID, person ra.PersonID) (d ra.DeviceFacts) {
	w.t.Helper()
	if err := w.store.ViewAccounts(context.Background(), func(tx appcred.Tx) (err error) { d, err = tx.DeviceFacts(id, person); return err }); err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *ward) bind(id ra.DeviceID) {
	w.t.Helper()
	ctx := context.Background()
	offer, err := w.register.OfferBinding(ctx, w.clerk, id)
	if err != nil {
		w.t.Fatal(err)
	}
	const pin = "00000000000000000000000000000000000000000000000000000000000000aa"
	_, spki := w.key()
	b, err := w.register.PresentBinding(ctx, ra.Actor{Kind: ra.ActorDevice}, offer.Code, devices.WindowKeys{Pin: pin}, spki, `{}`, nil)
	if err == nil {
		err = w.register.ConfirmBinding(ctx, w.clerk, id, b.ID, devices.ShortCode(offer.Code, devices.WindowKeys{Pin: pin}, spki))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *ward) key() (*ecdsa.PrivateKey, []byte) {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		w.t.Fatal(err)
	}
	return key, spki
}

// account opens one whose holder has set a password of his own.
func (w *ward) account(person ra.PersonID, name string, password appcred.Secret) {
	w.t.Helper()
	ctx := context.Background()
	c, err := w.Open(ctx, w.clerk, person, name)
	if err != nil {
		w.t.Fatal(err)
	}
	g := w.login(name, pw(c.Password))
	if err := w.ChangePassword(ctx, w.phone, g.Token, g.Login, c.Password, password); err != nil {
		w.t.Fatal(err)
	}
}

func pw(s appcred.Secret) appcred.Proof {
	return appcred.Proof{Kind: policy.FactorPassword, Value: s}
}

func code(s appcred.Secret) appcred.Proof { return appcred.Proof{Kind: policy.FactorCode, Value: s} }

func (w *ward) try(name string, proofs ...appcred.Proof) (appcred.Grant, error) {
	return w.Login(context.Background(), w.phone, appcred.Attempt{Account: name, Device: w.tablet, Thumbprint: "tp", Proofs: proofs})
}

func (w *ward) login(name string, proofs ...appcred.Proof) appcred.Grant {
	w.t.Helper()
	g, err := w.try(name, proofs...)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// totpNow is the code of an authenticator app.
func (w *ward) totpNow(secret appcred.Secret) appcred.Proof {
	w.t.Helper()
	c, err := totp.GenerateCode(secret.Reveal(), w.Clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return appcred.Proof{Kind: policy.FactorTOTP, Value: appcred.Secret(c)}
}

func (w *ward) hotpAt(secret appcred.Secret, counter uint64) appcred.Proof {
	w.t.Helper()
	c, err := hotp.GenerateCode(secret.Reveal(), counter)
	if err != nil {
		w.t.Fatal(err)
	}
	return appcred.Proof{Kind: policy.FactorHOTP, Value: appcred.Secret(c)}
}

// lastCode is the code that was sent last.
func (w *ward) lastCode() appcred.Secret {
	w.t.Helper()
	w.Close()
	w.sent.mu.Lock()
	defer w.sent.mu.Unlock()
	if len(w.sent.codes) == 0 {
		w.t.Fatal("no code was sent")
	}
	return w.sent.codes[len(w.sent.codes)-1]
}

// whys are the true reasons of refusals, as the audit log has them.
func (w *ward) whys(act string) (out []string) {
	w.t.Helper()
	err := w.db.Gorm.Raw("SELECT code FROM audit_events WHERE act = ? AND outcome = 'refused' ORDER BY seq", act).Scan(&out).Error
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *ward) lastWhy() string {
	w.t.Helper()
	list := w.whys("account.login")
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

func refused(t testing.TB, what string, err error, code string) {
	t.Helper()
	if err == nil || ra.AsError(err).Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// each runs a test on both databases.
func each(t *testing.T, fn func(*testing.T, *ward)) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) { fn(t, newWard(t, db)) })
}

// otherThan is a code that is not the one given.
func otherThan(s appcred.Secret) appcred.Secret {
	n, _ := strconv.Atoi(s.Reveal())
	out := strconv.Itoa(1_000_000 + (n+1)%1_000_000)
	return appcred.Secret(out[1:])
}
