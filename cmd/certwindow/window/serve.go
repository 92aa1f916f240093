package window

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"certwindow/cmd/certwindow/config"
	"certwindow/devices"
	"certwindow/hsm/ceremony"
	"certwindow/ra"
	"certwindow/ra/jobs"
	"certwindow/ra/jobs/work"
	"certwindow/ra/remotesign"
	"certwindow/ra/store"
	"certwindow/ra/sweep"
	"certwindow/web"
	"certwindow/web/admin"
	"certwindow/web/api"
)

// workers is how many jobs are carried out at a time.
const workers = 16

// crlEvery is how often the HCA's list is looked for; it is fetched only when it is due.
const crlEvery = time.Minute

// shutdownTime is how long requests and jobs in hand may take to finish.
const shutdownTime = 20 * time.Second

// Serve answers requests and works jobs until ctx ends.
func (w *Window) Serve(ctx context.Context) error {
	if !w.Dedicated.KeyMatches() {
		return errors.New("HCA-3.1: the dedicated certificate is not of the key in the token; configure the pair that belongs together")
	}
	if err := w.Queue.Work(w.DB, w.useCases(), work.Config{Workers: workers, SweepEvery: time.Duration(w.Config.Sweep.Every), Logger: w.Log}); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(w.Config.Path(w.Config.TLS.Certificate), w.Config.Path(w.Config.TLS.Key))
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	handler, err := w.handler(pair)
	if err != nil {
		return err
	}
	server := web.Server(handler, w.serverTLS(pair), w.Log)
	listener, err := net.Listen("tcp", w.Config.Listen)
	if err != nil {
		return err
	}
	if err := w.Queue.Start(ctx); err != nil {
		listener.Close()
		return err
	}
	server.RegisterOnShutdown(w.stopping)
	return w.run(ctx, server, listener)
}

// serverTLS asks every client for a certificate of our device authority, which phones have and browsers do not; who
// must have one is the API's to say (HCA-6.3.6). None is demanded of it in the handshake: document systems show those
// that two persons put on the register, whoever issued them (RFC 8705 section 2.2).
func (w *Window) serverTLS(pair tls.Certificate) *tls.Config {
	devices := x509.NewCertPool()
	devices.AddCert(w.DeviceCA.Root())
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert, ClientCAs: devices}
}

func (w *Window) run(ctx context.Context, server *http.Server, listener net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(listener, "", "") }()
	go w.keepCRL(ctx)
	go w.keepSettings(ctx)
	w.Log.Info("ready", "address", listener.Addr().String(), "mode", w.Config.Mode)
	if f := w.Config.ReadyFile; f != "" {
		if err := os.WriteFile(w.Config.Path(f), []byte(listener.Addr().String()+"\n"), 0o644); err != nil {
			return err
		}
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	w.Log.Info("stopping")
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	err = errors.Join(err, server.Shutdown(end), w.Queue.Stop(end))
	_, unsigned := w.Checkpoint(end) // nothing is logged any more by this process
	return errors.Join(err, unsigned)
}

// keepCRL keeps the HCA's list fresh. Until it has one, the sweep waits; cards are judged by OCSP first.
func (w *Window) keepCRL(ctx context.Context) {
	tick := time.NewTicker(crlEvery)
	defer tick.Stop()
	for {
		if err := w.RefreshCRL(ctx); err != nil && ctx.Err() == nil {
			w.Log.Warn("the HCA's revocation list could not be refreshed", "cause", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// useCases are what the jobs call.
func (w *Window) useCases() work.UseCases {
	return work.UseCases{
		Exchange: func(ctx context.Context, j jobs.Exchange) (time.Duration, error) {
			return w.Exchange.Run(ctx, j.Application)
		},
		Notice: func(ctx context.Context, j jobs.Notice) error { return w.Notify.Deliver(ctx, j.Notice) },
		Sweep: func(ctx context.Context, _ jobs.Sweep) (time.Duration, error) {
			_, err := w.Inventory(ctx, false)
			if errors.Is(err, sweep.ErrBusy) {
				return 10 * time.Second, nil
			}
			return 0, err
		},
		Lapse: func(ctx context.Context, _ jobs.Lapse) error {
			_, err := w.Enrol.Lapse(ctx)
			_, late := w.Approve.Expire(ctx)
			_, uncollected := w.Sign.Expire(ctx)
			_, stranded := w.Store.TakeUpStranded(ctx)
			return errors.Join(err, late, uncollected, stranded, w.Accounts.Sweep(ctx), w.Intake.Forget(ctx), w.retain(ctx), w.Grants.Forget(ctx))
		},
		Checkpoint: func(ctx context.Context, _ jobs.Checkpoint) error {
			_, err := w.Checkpoint(ctx)
			return err
		},
		Wake:   w.wake,
		Bulk:   func(ctx context.Context, j jobs.Bulk) (time.Duration, error) { return w.Bulk.Work(ctx, j.Bulk) },
		Import: func(ctx context.Context, j jobs.Import) (time.Duration, error) { return w.Intake.Work(ctx, j.Import) },
	}
}

// Checks are what must work for this replica to be ready.
func (w *Window) Checks() []web.Check {
	return []web.Check{
		{Name: "database", Run: w.DB.SQL.PingContext},
		{Name: "hsm", Run: w.hsmReady},
		{Name: "hca", Run: w.Adapter.Healthy},
	}
}

// hsmReady asks for the master key as well: a module can go on answering when its token is gone, and without the
// master key no holder's key can be used (HCA-6.3.2).
func (w *Window) hsmReady(ctx context.Context) error {
	if err := w.Token.Healthy(ctx); err != nil {
		return err
	}
	generations, err := w.Token.MasterGenerations(ctx)
	if err == nil && len(generations) == 0 {
		err = errors.New("the token holds no master key")
	}
	return err
}

func (w *Window) handler(pair tls.Certificate) (http.Handler, error) {
	// Phones pin the last certificate that the server shows: the one that its successors will be issued under.
	top, err := x509.ParseCertificate(pair.Certificate[len(pair.Certificate)-1])
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	spki := sha256.Sum256(top.RawSubjectPublicKeyInfo)
	pin := hex.EncodeToString(spki[:])
	status, err := remotesign.KeyName(w.statusKey)
	if err != nil {
		return nil, err
	}
	keys := devices.WindowKeys{Pin: pin, Status: status}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), meter{depth: w.Store.Depth,
		dedicated: func() time.Time { return w.Dedicated.Certificate().NotAfter },
		log:       func(err error) { w.Log.Warn("metrics could not be read", "cause", err.Error()) }})
	site, err := admin.New(admin.Config{Development: w.Config.Mode == config.Development, Now: w.now, Log: w.Log, Accounts: w.Accounts,
		Registry: w.Registry, Apps: w.Registry, Personal: w.Registry, Clients: w.Clients, Retention: w.Config.Limits.Retention, Enrolments: w.Enrol, Revocations: w.Revoke, Renewals: w.Renew, Approvals: w.Approve, Holders: w.Holders, Exchange: w.Exchange, Imports: w.Intake, Bulks: w.Bulk, Window: w.Config.Window.Institution, CardComponent: w.Config.Card.Component,
		AuditLog: w.auditLog, CountLog: w.countLog, Record: w.record, Evidence: w.Evidence,
		Overview: w.overview(), Records: store.ReportStore{Store: w.Store}, PDF: w.fonts(),
		Cards: w.Registry, CardClaims: w.cards.Claims, ServiSign: w.Config.Card.ServiSign, Settings: w.Settings, Vault: vault{w},
		BindText: func(code string) string {
			return devices.BindText{Server: w.Config.PublicURL, Code: code, WindowKeys: keys}.String()
		}})
	if err != nil {
		return nil, err
	}
	var pushes api.Pushes
	if w.waker != nil {
		pushes = w.Registry
	}
	phone, err := api.New(api.Config{Pushes: pushes, Now: w.now, Log: w.Log, Devices: w.Registry, Authority: w.DeviceCA, Holders: w.Holders, Enrolments: w.Enrol, Delivery: w.Delivery, Certificates: w.Revoke, Renewals: w.Renew,
		Keys: w.Sign, Access: w.Grants, News: w.Store, Requests: w.Store, StatusKey: w.statusKey, StatusKeyID: ceremony.LabelStatus, Pin: pin,
		Apps: w.Registry, TrustList: w.trustList.Statement})
	if err != nil {
		return nil, err
	}
	w.stopping = phone.Stop
	systems, err := w.documentSystems()
	if err != nil {
		return nil, err
	}
	personnel, err := w.personnelSystems()
	if err != nil {
		return nil, err
	}
	return web.New(web.Config{Log: w.Log, Now: w.now, Rand: rand.Reader, Metrics: metrics, Checks: w.Checks(),
		Mounts: []func(*echo.Echo){site.Mount, phone.Mount, systems.Mount, personnel.Mount}, ErrorPage: site.ErrorPage, Uploads: site.Uploads()})
}

// Operator is the actor of a command.
func Operator(name string) ra.Actor { return ra.Actor{Kind: ra.ActorCommand, ID: name} }
