package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"gorm.io/gorm"

	"certwindow/devices"
	devicestore "certwindow/devices/store"
	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/seal"
	"certwindow/migrations"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/jobs"
	"certwindow/ra/remotesign"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
	"certwindow/web"
	"certwindow/web/api"
)

const hospital ra.InstitutionCode = "0101090517"

// house is the phones' side of a window, as the server assembles it, over SQLite and behind mutual TLS. Only who
// proves the holder is left out: a password costs what Argon2id is set to cost, and that says nothing of the rest.
type house struct {
	token    *p11.Token
	store    *store.Store
	db       *store.DB
	register *devices.Service
	sign     *remotesign.Service
	server   *http.Server
	address  string
	client   *tls.Config // of a phone: its certificate, and the server's as the one it trusts
}

func newHouse(ctx context.Context, tok *p11.Token, dir string) (h *house, err error) {
	h = &house{token: tok}
	if h.db, err = store.Open(ctx, "sqlite:"+filepath.Join(dir, "window.db")); err != nil {
		return nil, err
	}
	if _, err = migrations.Up(ctx, h.db.SQL, h.db.Dialect); err != nil {
		return nil, err
	}
	root := make([]byte, 32)
	rand.Read(root)
	sealer, err := seal.New(root, rand.Reader)
	if err != nil {
		return nil, err
	}
	register := devicestore.New(h.db.Gorm, sealer, devicestore.Hooks{Audit: store.AppendEvent, DeviceBound: store.VoidForDevice,
		StartSweep: func(*gorm.DB) error { return nil }}, time.Now, rand.Reader)
	h.store = store.New(h.db, register, func(*gorm.DB, jobs.Args) error { return nil }, sealer, time.Now, rand.Reader)
	h.register = devices.New(register, time.Now, rand.Reader)
	operator := ra.Actor{Kind: ra.ActorCommand, ID: "bench"}
	if err := h.register.AddInstitution(ctx, operator, devices.Institution{Code: hospital, Name: "Bench Hospital", IsWindow: true,
		Agreement: hex.EncodeToString(make([]byte, 32)), AgreedFrom: time.Now().Add(-time.Hour)}); err != nil {
		return nil, err
	}
	if err := h.register.SaveScope(ctx, operator, devices.Scope{Code: "EMR-SIGN", Name: "Records", Approved: true}); err != nil {
		return nil, err
	}
	return h, h.serve(ctx)
}

// atHand is who proves the holder in this measurement: nobody.
type atHand struct{}

func (atHand) Prove(context.Context, ra.Actor, ra.PersonID, ra.DeviceID, []remotesign.Factor, string) error {
	return nil
}

// noSystems is a window without record systems: the phones ask for themselves.
type noSystems struct{}

func (noSystems) Client(context.Context, remotesign.ClientID) (remotesign.Client, error) {
	return remotesign.Client{}, ra.Errorf(ra.KindNotFound, "client-unknown", nil, "There is no such system.")
}

func (h *house) serve(ctx context.Context) error {
	statement, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	activation, err := h.token.ActivationKey(ctx)
	if err != nil {
		return err
	}
	h.sign, err = remotesign.New(remotesign.Config{Store: store.SignStore{Store: h.store}, Keys: h.token, Statement: statement, KeyID: "status",
		Issuer: "https://window.example", ActivationKey: activation, ChallengeKey: hsm.NewSecret([]byte(rand.Text())), Factors: atHand{}, Clients: noSystems{},
		Zones: policy.Zones{Closed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, HSM: []policy.Zone{policy.ZoneClosed}}, Now: time.Now, Rand: rand.Reader})
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	phones, err := api.New(api.Config{Now: time.Now, Log: quiet, Devices: h.register, Keys: h.sign, Requests: h.store,
		Enrolments:   enrol.NewService(store.EnrolStore{Store: h.store}, nil, h.token, nil, enrol.Config{}, time.Now, rand.Reader),
		Delivery:     enrol.NewDelivery(store.DeliveryStore{Store: h.store}, time.Now),
		Certificates: revoke.NewService(store.RevokeStore{Store: h.store}, nil, revoke.Config{}, time.Now, rand.Reader),
		StatusKey:    statement.Public(), StatusKeyID: "status", Pin: pin})
	if err != nil {
		return err
	}
	e, err := web.New(web.Config{Log: quiet, Now: time.Now, Rand: rand.Reader, Metrics: prometheus.NewRegistry(), Mounts: []func(*echo.Echo){phones.Mount}})
	if err != nil {
		return err
	}
	pair, pool, err := mutual()
	if err != nil {
		return err
	}
	h.client = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: []tls.Certificate{pair}, ServerName: "localhost"}
	h.server = web.Server(e, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert}, quiet)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h.address = listener.Addr().String()
	go h.server.ServeTLS(listener, "", "") // its error is http.ErrServerClosed, or every request's
	return nil
}

// pin stands for the server's in the bindings, where no phone compares it.
var pin = hex.EncodeToString(make([]byte, 32))

// mutual is one key pair for both ends of the connection, and the pool that trusts it.
func mutual() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool, nil
}

func (h *house) close() {
	h.server.Close()
	h.db.Close()
}

// enrolled registers a doctor with a bound phone, and gives the doctor a live certificate for a key in the HSM.
func (h *house) enrolled(ctx context.Context, n int) (*benchPhone, error) {
	clerk := ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Institution: hospital, Session: "counter"}
	person, err := h.register.RegisterPerson(ctx, clerk, devices.Person{NationalID: fmt.Sprintf("A1%08d", n), Name: fmt.Sprintf("王小明%d", n),
		Holder: fmt.Sprintf("000000A1%08d", n)}, hospital)
	if err != nil {
		return nil, err
	}
	device, err := h.register.RegisterDevice(ctx, clerk, devices.NewDevice{Code: fmt.Sprintf("P-%d", n), Institution: hospital, Platform: ra.PlatformAndroid,
		Model: "bench", Users: []ra.PersonID{person}})
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	offer, err := h.register.OfferBinding(ctx, clerk, device)
	if err != nil {
		return nil, err
	}
	b, err := h.register.PresentBinding(ctx, clerk, offer.Code, pin, spki, "", nil)
	if err != nil {
		return nil, err
	}
	if err := h.register.ConfirmBinding(ctx, clerk, device, b.ID, b.ShortCode); err != nil {
		return nil, err
	}
	p := &benchPhone{house: h, key: key, keyID: ra.KeyHash(spki), device: device, secret: make([]byte, hsm.SecretSize)}
	rand.Read(p.secret)
	return p, h.certificate(ctx, p, person, device, spki)
}

// certificate stores what an enrolment leaves behind.
func (h *house) certificate(ctx context.Context, p *benchPhone, person ra.PersonID, device ra.DeviceID, spki []byte) error {
	var ids [2]string
	for i := range ids {
		var err error
		if ids[i], err = ra.NewID(time.Now(), rand.Reader); err != nil {
			return err
		}
	}
	p.certificate = ra.CertificateID(ids[1])
	now, one := time.Now().UTC(), 1
	a := ra.Application{ID: ra.ApplicationID(ids[0]), Kind: ra.Enrolment, State: ra.AppCompleted, PersonID: person, DeviceID: device, Generation: 1,
		DeviceKey: ra.KeyHash(spki), Institution: hospital, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyHSM, Carrier: ra.CarrierDevice, Algorithm: "P-256",
		Text: []byte("bench"), Nonce: ids[0], Challenge: []byte(ids[0]), Slot: &one, CertificateID: &p.certificate, Deadline: now, CreatedAt: now, UpdatedAt: now}
	c := ra.Certificate{ID: p.certificate, ApplicationID: a.ID, PersonID: person, DeviceID: device, Generation: 1, Institution: hospital, Scope: a.Scope,
		KeyDesign: ra.KeyHSM, Serial: hex.EncodeToString([]byte(ids[1])), IssuerKey: "0a0b", DER: make([]byte, 900), Chain: make([]byte, 2500), NotBefore: now.Add(-time.Hour),
		NotAfter: now.AddDate(1, 0, 0), State: ra.CertLive, CreatedAt: now, UpdatedAt: now}
	k, err := h.token.GenerateSealed(ctx, hsm.P256, hsm.Binding{Person: string(person), Device: string(device), Application: string(a.ID)}, hsm.NewSecret(p.secret))
	if err != nil {
		return err
	}
	return h.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.InsertApplication(a); err != nil {
			return err
		}
		if err := tx.InsertCertificate(c); err != nil {
			return err
		}
		return tx.SaveHolderKey(a, k, now)
	})
}
