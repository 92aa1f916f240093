// Package web assembles the server: request ids, logs, limits, security headers, health and metrics around
// the parts that answer (web/admin for people, web/api for the phone).
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"certwindow/web/problem"
)

// Config is what the server needs. Every field without a remark must be set.
type Config struct {
	Log     *slog.Logger
	Now     func() time.Time
	Rand    io.Reader // safe for concurrent use
	Metrics *prometheus.Registry
	Checks  []Check // what must answer before this replica is ready
	// Mounts register the routes of the parts. Each keeps its own table of routes and roles, and refuses by default.
	Mounts []func(*echo.Echo)
	// ErrorPage shows a problem to a person. Nil: everybody gets documents.
	ErrorPage func(echo.Context, problem.Document) error
	// MetricsFrom tells whether /metrics answers this address. Nil: loopback only.
	MetricsFrom func(address string) bool
	// MaxBody caps a request's body in bytes. Zero: DefaultMaxBody.
	MaxBody int64
	// Uploads are the routes that take more, in bytes, by method and path as they were registered.
	Uploads map[string]int64
}

// DefaultMaxBody is above every form and document that the window takes; a signed message has 64 KiB at most.
const DefaultMaxBody = 1 << 20

// Limits of a connection. A phone on a poor line sends a request of a few kilobytes within them.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 60 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 32 << 10
)

// New assembles the handler.
func New(cfg Config) (*echo.Echo, error) {
	if cfg.Log == nil || cfg.Now == nil || cfg.Rand == nil || cfg.Metrics == nil {
		return nil, errors.New("web: log, clock, random source and metrics are needed")
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	m, err := newMeter(cfg.Metrics)
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = errorHandler(cfg)
	e.Use(identify(cfg), secure, observe(cfg, m), recovery, limitBody(cfg.MaxBody, cfg.Uploads))
	r := newReadiness(cfg.Checks, cfg.Now, cfg.Log)
	e.GET("/healthz", func(c echo.Context) error { return c.JSON(http.StatusOK, map[string]string{"status": "ok"}) })
	e.GET("/readyz", r.answer)
	e.GET("/metrics", metricsFor(cfg))
	for _, mount := range cfg.Mounts {
		mount(e)
	}
	return e, nil
}

// Server makes the server around a handler. Its TLS configuration is the caller's; the caller listens.
func Server(h http.Handler, t *tls.Config, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		TLSConfig:         t,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// statusGone is what log and metrics say of a request whose sender hung up before it was answered. It is nobody's
// error: a stranger could fill the log with those of ours, so that none that is one would be noticed.
const statusGone = 499

// errorHandler is the one place where an error becomes an answer.
func errorHandler(cfg Config) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		if errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil && !c.Response().Committed {
			c.Response().WriteHeader(statusGone)
			return
		}
		problem.Log(c, cfg.Log, err)
		if c.Response().Committed {
			return
		}
		var werr error
		if cfg.ErrorPage != nil && problem.WantsPage(c.Request()) {
			werr = cfg.ErrorPage(c, problem.Of(err, problem.RequestID(c)))
		} else {
			werr = problem.Write(c, err)
		}
		if werr != nil {
			cfg.Log.Error("an error could not be told", "request_id", problem.RequestID(c), "cause", werr.Error())
		}
	}
}

func limitBody(usual int64, uploads map[string]int64) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			most := max(usual, uploads[r.Method+" "+c.Path()])
			if r.ContentLength > most {
				return echo.ErrStatusRequestEntityTooLarge
			}
			r.Body = http.MaxBytesReader(c.Response(), r.Body, most)
			err := next(c)
			var big *http.MaxBytesError
			if errors.As(err, &big) {
				return echo.ErrStatusRequestEntityTooLarge
			}
			return err
		}
	}
}

// recovery turns a panic into an internal error; its stack goes to the log with it.
func recovery(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if r := recover(); r != nil {
				if r == http.ErrAbortHandler {
					panic(r)
				}
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		return next(c)
	}
}

func metricsFor(cfg Config) echo.HandlerFunc {
	may := cfg.MetricsFrom
	if may == nil {
		may = loopback
	}
	h := promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{})
	return func(c echo.Context) error {
		if !may(c.RealIP()) {
			return echo.ErrNotFound
		}
		h.ServeHTTP(c.Response(), c.Request())
		return nil
	}
}
