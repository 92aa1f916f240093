package store_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"

	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/devices/store"
	"certwindow/hsm/seal"
	"certwindow/ra"
	"certwindow/ra/jobs"
	rastore "certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// office is the register with the registration authority's side that its changes set off.
type office struct {
	*storetest.World
	*devices.Service
	register *store.Store
	admin    ra.Actor // of the whole window
	clerk    ra.Actor // of the window's own institution
	stranger ra.Actor // of another
}

func newOffice(t testing.TB, db *rastore.DB) *office {
	t.Helper()
	o := &office{World: storetest.NewWorld(t, db)}
	sealer, err := seal.New(bytes.Repeat([]byte{7}, 32), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o.register = store.New(db.Gorm, sealer, store.Hooks{Audit: rastore.AppendEvent, DeviceBound: rastore.VoidForDevice, DeviceReplaced: rastore.VoidForReplaced,
		StartSweep: func(tx *gorm.DB) error { return o.Queue.Enqueue(tx, jobs.Sweep{}) },
		Notice: func(tx *gorm.DB, person ra.PersonID, kind ra.NoticeKind, object string) error {
			return o.Store.Tell(tx, person, kind, object)
		}}, o.Clock.Now, rand.Reader)
	o.Store = rastore.New(db, o.register, o.Queue.Enqueue, sealer, o.Clock.Now, rand.Reader)
	o.Service = devices.New(o.register, o.Clock.Now, rand.Reader)
	o.admin = ra.Actor{Kind: ra.ActorStaff, ID: "admin"}
	o.clerk = ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Institution: storetest.Window}
	o.stranger = ra.Actor{Kind: ra.ActorStaff, ID: "stranger", Institution: storetest.Clinic}
	for _, i := range []devices.Institution{{Code: storetest.Window, Name: "測試醫院", IsWindow: true},
		{Code: storetest.Clinic, Name: "測試診所", Agreement: hash64, AgreedFrom: o.Clock.Now().AddDate(-1, 0, 0)}} {
		if err := o.AddInstitution(context.Background(), o.admin, i); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// hash64 stands for the SHA-256 of an agreement.
const hash64 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// chen is a doctor with everything that is secret about a person.
func chen() devices.Person {
	return devices.Person{NationalID: "A123456789", Name: "陳小華", Holder: "1234567890123456", Email: "chen@example.org", Phone: "0912345678"}
}

// person registers a person at the window's own institution.
func (o *office) person(t testing.TB, p devices.Person) ra.PersonID {
	t.Helper()
	id, err := o.RegisterPerson(context.Background(), o.clerk, p, storetest.Window)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// another is a person by number.
func another(n int) devices.Person {
	p := chen()
	p.NationalID = "B12345678" + string(rune('0'+n))
	p.Name, p.Holder = "王美麗", "2000"+string(rune('0'+n))
	return p
}

// device registers a device of the window's own institution.
func (o *office) device(t testing.TB, code string, shared bool, users ...ra.PersonID) ra.DeviceID {
	t.Helper()
	id, err := o.RegisterDevice(context.Background(), o.clerk, devices.NewDevice{Code: code, Institution: storetest.Window, Platform: ra.PlatformIOS,
		Model: "iPhone 15", Shared: shared, Users: users})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// newKey is a phone's key, as it is presented.
func newKey(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return spki
}

// bind binds a new key to a device, all the way.
func (o *office) bind(t testing.TB, id ra.DeviceID) []byte {
	t.Helper()
	ctx := context.Background()
	offer, err := o.OfferBinding(ctx, o.clerk, id)
	if err != nil {
		t.Fatal(err)
	}
	spki := newKey(t)
	b, err := o.PresentBinding(ctx, ra.Actor{Kind: ra.ActorDevice}, offer.Code, devices.WindowKeys{Pin: pin}, spki, `{"os":"17.4"}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.ConfirmBinding(ctx, o.clerk, id, b.ID, devices.ShortCode(offer.Code, devices.WindowKeys{Pin: pin}, spki)); err != nil {
		t.Fatal(err)
	}
	return spki
}

// refused fails the test unless err is of this kind, with this code.
func refused(t testing.TB, what string, err error, kind ra.Kind, code string) {
	t.Helper()
	if err == nil || ra.KindOf(err) != kind || (code != "" && ra.AsError(err).Code != code) {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// pin stands for that of the server's key.
const pin = "00000000000000000000000000000000000000000000000000000000000000aa"
