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
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/devices/appcred/factor"
	"certwindow/devices/deviceca"
	devicestore "certwindow/devices/store"
	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/seal"
	"certwindow/migrations"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/jobs"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
	"certwindow/ra/renew"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
	"certwindow/web"
	"certwindow/web/api"
)

const hospital ra.InstitutionCode = "0101090517"

// house is the phones' side of a window, as the server assembles it, behind mutual TLS with the window's own device
// certificates. Its holders have signed in, and release each signature by their biometric keys.
type house struct {
	token    *p11.Token
	store    *store.Store
	db       *store.DB
	register *devices.Service
	sign     *remotesign.Service
	holders  *appcred.Service
	devices  *deviceca.Authority
	server   *http.Server
	address  string
	trusted  *x509.CertPool // the server's certificate
}

func newHouse(ctx context.Context, tok *p11.Token, database string) (h *house, err error) {
	h = &house{token: tok}
	if h.db, err = store.Open(ctx, database); err != nil {
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
	register := devicestore.New(h.db.Gorm, sealer, devicestore.Hooks{Audit: store.AppendEvent, DeviceBound: store.VoidForDevice, DeviceReplaced: store.VoidForReplaced,
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
	if err := h.accounts(register); err != nil {
		return nil, err
	}
	app, err := h.register.AddApp(ctx, operator, benchApp)
	if err != nil {
		return nil, err
	}
	if err := register.Update(ctx, func(tx devices.Tx) error { return devices.ApproveApp(tx, app, time.Now()) }); err != nil {
		return nil, err
	}
	return h, h.serve(ctx)
}

// benchApp is the version that every phone runs.
var benchApp = devices.App{Platform: ra.PlatformAndroid, Package: "tw.example.bench", Name: "bench", Version: "1.0.0", Download: "https://apps.example.tw/bench",
	Digest: strings.Repeat("0", 64), MinOS: "1", Evidence: "none", EvidenceSum: strings.Repeat("0", 64), Reviewer: "bench", ReviewedOn: time.Unix(0, 0)}

// accounts are the holders'. Their passwords are used to sign in and not measured, so they are cheap.
func (h *house) accounts(register appcred.Store) error {
	pepper := func(ctx context.Context, data []byte) ([]byte, error) { return h.token.MAC(ctx, p11.MACLabel, data) }
	hasher, err := factor.NewHasher("bench", factor.PasswordCost{Time: 1, Memory: 64, Threads: 1}, pepper, rand.Reader)
	if err != nil {
		return err
	}
	h.holders, err = appcred.New(appcred.Config{Store: register, Hasher: hasher, MAC: pepper, Idle: policy.Always(policy.MaxIdle), Issuer: "bench",
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Rand: rand.Reader})
	return err
}

// noSystems is a window without record systems: the phones ask for themselves.
type noSystems struct{}

func (noSystems) Client(context.Context, remotesign.ClientID) (remotesign.Client, error) {
	return remotesign.Client{}, ra.Errorf(ra.KindNotFound, "client-unknown", nil, "There is no such system.")
}

// Waiting implements api.Access: none of them asks for access.
func (noSystems) Waiting(context.Context, ra.PersonID) ([]oauth.Request, error) { return nil, nil }

// Answer implements api.Access.
func (noSystems) Answer(context.Context, ra.Actor, ra.PersonID, string, bool) error {
	return ra.Errorf(ra.KindNotFound, "not-found", nil, "No system asks for access.")
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
	h.sign, err = remotesign.New(remotesign.Config{Life: policy.Always(10 * time.Minute), Store: store.SignStore{Store: h.store}, Keys: h.token, Statement: statement, KeyID: "status",
		Issuer: "https://window.example", ActivationKey: activation, ChallengeKey: hsm.NewSecret([]byte(rand.Text())), Factors: api.Factors{Accounts: h.holders}, Clients: noSystems{},
		Zones: policy.Zones{Closed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, HSM: []policy.Zone{policy.ZoneClosed}}, Now: time.Now, Rand: rand.Reader})
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	root, err := deviceca.MakeRoot("bench", statement, time.Now(), rand.Reader)
	if err != nil {
		return err
	}
	if h.devices, err = deviceca.New(root, statement, time.Now, rand.Reader); err != nil {
		return err
	}
	phones, err := api.New(api.Config{Now: time.Now, Log: quiet, Devices: h.register, Authority: h.devices, Holders: h.holders, Access: noSystems{}, Keys: h.sign, News: h.store, Requests: h.store,
		Apps: h.register, TrustList: func() (string, error) { return "", errors.ErrUnsupported },
		Enrolments:   enrol.NewService(store.EnrolStore{Store: h.store}, nil, h.token, nil, enrol.Config{}, time.Now, rand.Reader),
		Delivery:     enrol.NewDelivery(store.DeliveryStore{Store: h.store}, time.Now),
		Certificates: revoke.NewService(store.RevokeStore{Store: h.store}, nil, revoke.Config{}, time.Now, rand.Reader),
		Renewals:     renew.New(store.RenewStore{Store: h.store}, time.Now),
		StatusKey:    statement.Public(), StatusKeyID: "status", Pin: pin})
	if err != nil {
		return err
	}
	e, err := web.New(web.Config{Log: quiet, Now: time.Now, Rand: rand.Reader, Metrics: prometheus.NewRegistry(), Mounts: []func(*echo.Echo){phones.Mount}})
	if err != nil {
		return err
	}
	pair, err := h.certificateOfServer()
	if err != nil {
		return err
	}
	asked := x509.NewCertPool()
	asked.AddCert(h.devices.Root())
	h.server = web.Server(e, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientCAs: asked, ClientAuth: tls.RequestClientCert}, quiet)
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

// certificateOfServer makes the server's own, which phones trust.
func (h *house) certificateOfServer() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	h.trusted = x509.NewCertPool()
	h.trusted.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func (h *house) close() {
	h.server.Close()
	h.db.Close()
}
