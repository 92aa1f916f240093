// Package window wires the house together: database, HSM, the gateway to the HCA and the use cases, for the
// server and for every operator's command.
package window

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"gorm.io/gorm"

	"certwindow/cmd/certwindow/config"
	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/devices/deviceca"
	devicestore "certwindow/devices/store"
	"certwindow/hsm/ceremony"
	"certwindow/hsm/p11"
	"certwindow/hsm/seal"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/approve"
	"certwindow/ra/bulk"
	"certwindow/ra/certpath"
	"certwindow/ra/certpath/crlstore"
	"certwindow/ra/certpath/fetch"
	"certwindow/ra/consent"
	"certwindow/ra/custody"
	"certwindow/ra/enrol"
	"certwindow/ra/exchange"
	"certwindow/ra/hca"
	"certwindow/ra/intake"
	"certwindow/ra/jobs"
	"certwindow/ra/jobs/work"
	"certwindow/ra/notify"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
	"certwindow/ra/renew"
	"certwindow/ra/revoke"
	"certwindow/ra/settings"
	"certwindow/ra/store"
	"certwindow/ra/sweep"
	"certwindow/ra/trustlist"
	"certwindow/web/session"
)

// Window is the whole assembled house.
type Window struct {
	Config *config.Config
	Log    *slog.Logger
	DB     *store.DB
	Token  *p11.Token
	Store  *store.Store

	Registry  *devices.Service
	Enrol     *enrol.Service
	Revoke    *revoke.Service
	Renew     *renew.Service
	Approve   *approve.Service
	Delivery  *enrol.Delivery
	Exchange  *exchange.Service
	Intake    *intake.Service
	Bulk      *bulk.Service
	Sweep     *sweep.Service
	Sign      *remotesign.Service
	Notify    *notify.Service
	Accounts  *session.Service
	Clients   *apiclient.Service
	Grants    *oauth.Server
	Settings  *settings.Service
	Custody   *custody.Service
	Holders   *appcred.Service
	DeviceCA  *deviceca.Authority
	Queue     *work.Queue
	Adapter   hca.Adapter
	Dedicated *Dedicated

	sealer    *seal.Sealer
	register  *devicestore.Store
	attestor  *attestor
	cards     *consent.Verifier
	codes     codeSender
	trust     trust
	statusKey crypto.PublicKey
	waker     *notify.Waker // nil: no apps are woken
	trustList *trustlist.List
	retained  retained
	stopping  func() // ends what phones wait for
	replica   string // names this process among the replicas
	now       func() time.Time
}

// trust is what the configuration pins.
type trust struct {
	anchors       *certpath.Pool
	intermediates []*certpath.Certificate
	fetcher       certpath.Fetcher
	crl           *crlstore.Store
}

// Open builds the house from a configuration. The database must have been migrated, and be of the same mode.
func Open(ctx context.Context, c *config.Config, log *slog.Logger, now func() time.Time) (*Window, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	w := &Window{Config: c, Log: log, now: now, replica: fmt.Sprintf("%s/%d", host, os.Getpid())}
	for _, step := range []func(context.Context) error{w.openDatabase, w.openToken, w.openStores, w.openHolders, w.openDeviceCA, w.openTrust, w.openGateway, w.openClients, w.openUseCases, w.openGrants, w.openAccounts,
		w.openApprovals} {
		if err := step(ctx); err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// Close gives everything back.
func (w *Window) Close() {
	if w.Token != nil {
		_ = w.Token.Close()
	}
	if w.DB != nil {
		_ = w.DB.Close()
	}
}

func (w *Window) openDatabase(ctx context.Context) error {
	address, err := w.Config.DatabaseAddress()
	if err != nil {
		return err
	}
	w.DB, err = store.Open(ctx, address)
	return err
}

func (w *Window) openToken(ctx context.Context) error {
	h := w.Config.HSM
	pin, err := w.Config.Secret(h.PINFile)
	if err != nil {
		return fmt.Errorf("hsm.pin_file: %w", err)
	}
	if w.Token, err = p11.Open(ctx, p11.Config{Module: h.Module, TokenLabel: h.Token, PIN: pin, Sessions: h.Sessions}); err != nil {
		return err
	}
	if w.Token.Info().Software && w.Config.Mode == config.Production {
		return errors.New("HCA-6.3.1: the HSM is SoftHSM, which only development mode may use")
	}
	return nil
}

// openStores opens the tables. The key of the sealed columns comes out of the HSM, so that a copy of the
// database alone shows nobody's name (HCA-8.1.5).
func (w *Window) openStores(ctx context.Context) error {
	root, err := w.Token.DeriveSecret(ctx, "certwindow column sealing v1")
	if err != nil {
		return fmt.Errorf("the HSM has no key for the database: run certwindow ceremony setup: %w", err)
	}
	sealer, err := seal.New(root.Bytes(), rand.Reader)
	if err != nil {
		return err
	}
	w.sealer = sealer
	if w.Queue, err = work.NewInserter(w.DB, w.now); err != nil {
		return err
	}
	register := devicestore.New(w.DB.Gorm, sealer, devicestore.Hooks{
		Audit: store.AppendEvent, DeviceBound: store.VoidForDevice, DeviceReplaced: store.VoidForReplaced,
		StartSweep: func(tx *gorm.DB) error { return w.Queue.Enqueue(tx, jobs.Sweep{}) },
		Notice: func(tx *gorm.DB, person ra.PersonID, kind ra.NoticeKind, object string) error {
			return w.Store.Tell(tx, person, kind, object)
		},
		Records: []devicestore.Records{store.PersonRecords{Sealer: sealer}},
	}, w.now, rand.Reader)
	w.Store = store.New(w.DB, register, w.Queue.Enqueue, sealer, w.now, rand.Reader)
	mode, err := w.Store.StampSetting(ctx, "mode", w.Config.Mode)
	if err != nil {
		return fmt.Errorf("the database has no tables yet, or cannot be read: run certwindow migrate up: %w", err)
	}
	if mode != w.Config.Mode {
		return fmt.Errorf("the database belongs to %s mode; a database that was ever used in development cannot serve production, nor the other way", mode)
	}
	w.register = register
	if err := w.openSettings(ctx); err != nil {
		return err
	}
	w.Custody = custody.New(store.CustodyStore{Store: w.Store}, w.now)
	if w.attestor, err = newAttestor(w.Config, w.now); err != nil {
		return fmt.Errorf("attestation: %w", err)
	}
	w.Registry = devices.NewAttesting(register, w.attestor, w.now, rand.Reader)
	if err := w.openPush(); err != nil {
		return err
	}
	return w.openMessages()
}

func (w *Window) openTrust(ctx context.Context) error {
	anchors, err := w.certificates("hca.anchors", w.Config.HCA.Anchors)
	if err != nil {
		return err
	}
	w.trust.anchors = certpath.NewPool(anchors...)
	if w.trust.intermediates, err = w.certificates("hca.intermediates", w.Config.HCA.Intermediates); err != nil {
		return err
	}
	client, err := fetch.New(fetch.Config{Now: w.now})
	if err != nil {
		return err
	}
	w.trust.fetcher = client
	w.trust.crl, err = crlstore.New(ctx, crlstore.Config{Issuers: w.trust.intermediates, Shared: w.Store.CRLs(keyIDOf(w.trust.intermediates)), Now: w.now,
		Owner: w.replica, Fetch: func(ctx context.Context) ([]byte, error) { return client.CRL(ctx, w.Config.HCA.CRL) }})
	return err
}

// keyIDOf names the issuing CA whose CRL is kept.
func keyIDOf(issuers []*certpath.Certificate) string {
	return hex.EncodeToString(issuers[0].SubjectKeyID)
}

// Revoked tells what the HCA's own list says of a certificate, for the sweep (HCA-3.6).
func (w *Window) Revoked(c ra.Certificate) (bool, error) {
	cert, err := certpath.ParseCertificate(c.DER)
	if err != nil {
		return false, err
	}
	_, revoked, err := w.trust.crl.Lookup(cert)
	return revoked, err
}

// RefreshCRL brings the HCA's list up to date.
func (w *Window) RefreshCRL(ctx context.Context) error {
	_, err := w.trust.crl.Refresh(ctx)
	return err
}

func (w *Window) certificates(name, path string) ([]*certpath.Certificate, error) {
	raw, err := os.ReadFile(w.Config.Path(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	certs, err := certpath.ParseCertificates(raw)
	if err == nil && len(certs) == 0 {
		err = errors.New("the file holds no certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return certs, nil
}

// openGateway opens the dedicated certificate, whose key stays in the token, and the adapter that uses it.
func (w *Window) openGateway(ctx context.Context) error {
	certs, err := w.certificates("hca.dedicated", w.Config.HCA.Dedicated)
	if err != nil {
		return err
	}
	key, err := w.Token.Signer(ctx, ceremony.LabelDedicated)
	if err != nil {
		return fmt.Errorf("the dedicated certificate's key: %w", err)
	}
	w.Dedicated = newDedicated(w, certs[0], key)
	w.Adapter, err = w.gateway()
	return err
}

func (w *Window) openUseCases(ctx context.Context) error {
	marks, holder, digits, err := cardMarks(w.Config.Card)
	if err != nil {
		return err
	}
	w.cards = consent.New(consent.Config{Anchors: w.trust.anchors, Intermediates: w.trust.intermediates, Fetcher: w.trust.fetcher, Marks: marks,
		Skew: time.Duration(w.Config.Card.Skew), HolderOID: holder, DigitsOID: digits}, w.Store.IsMobile, w.now)
	code, messageLife := ra.InstitutionCode(w.Config.Window.Institution), w.Settings.Life(policy.MessageTextLife)
	w.Enrol = enrol.NewService(store.EnrolStore{Store: w.Store}, w.cards, w.Token, w.Dedicated.Standing,
		enrol.Config{Window: code, MessageLife: messageLife, KeyLife: w.Settings.Life(policy.KeyLife), Most: w.Settings.Number(policy.MostCertificates),
			Attestor: w.attestor}, w.now, rand.Reader)
	w.Delivery = enrol.NewDelivery(store.DeliveryStore{Store: w.Store}, w.now)
	w.Revoke = revoke.NewService(store.RevokeStore{Store: w.Store}, w.cards,
		revoke.Config{Window: code, MessageLife: messageLife}, w.now, rand.Reader)
	w.Renew = renew.New(store.RenewStore{Store: w.Store}, w.now)
	w.openIntake(marks, holder)
	w.Exchange = exchange.New(store.ExchangeStore{Store: w.Store}, w.Adapter, w.Dedicated.Standing,
		exchange.Profile{Issuers: w.issuers(), MaxValidity: time.Duration(w.Config.HCA.MaxValidity), Holder: holder}, w.now, rand.Reader)
	w.Sweep = sweep.New(store.SweepStore{Store: w.Store}, w.Revoke, w, func() sweep.Config {
		now := w.Settings.Now()
		return sweep.Config{CapPercent: now.Number(policy.SweepPercent), CapAbsolute: now.Number(policy.SweepAbsolute)}
	}, w.replica, w.now, rand.Reader)
	status, err := w.Token.Signer(ctx, ceremony.LabelStatus)
	if err != nil {
		return fmt.Errorf("the key of status statements: %w", err)
	}
	w.statusKey = status.Public()
	if err := w.openTrustList(status); err != nil {
		return err
	}
	w.Sign, err = w.remoteSigning(ctx, status)
	return err
}
