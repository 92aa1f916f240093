package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"certwindow/ra"
	"certwindow/web/problem"
)

// identify gives every request a fresh id. One that a client sends is not believed: it would let a stranger
// write into our logs and pass one request off as another.
func identify(cfg Config) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			id, err := ra.NewID(cfg.Now(), cfg.Rand)
			if err != nil {
				return err
			}
			c.Request().Header.Del(echo.HeaderXRequestID)
			c.Response().Header().Set(echo.HeaderXRequestID, id)
			return next(c)
		}
	}
}

// secure sets the headers that hold for every answer. A part that shows pages adds its content security policy.
func secure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set("Cache-Control", "no-store")
		if c.Request().TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		return next(c)
	}
}

// meter counts requests by route, never by path, so that no id and no stranger makes it grow.
type meter struct{ seconds *prometheus.HistogramVec }

func newMeter(reg *prometheus.Registry) (*meter, error) {
	m := &meter{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "certwindow_http_request_seconds",
		Help:    "Time to answer a request, by route, method and status.",
		Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"route", "method", "status"})}
	if err := reg.Register(m.seconds); err != nil {
		return nil, err
	}
	return m, nil
}

// observe logs and counts each request. Neither path nor query goes into the log, only the route that took
// it: a path may hold an id, a query a name that was searched for (HCA-8.1.5).
func observe(cfg Config, m *meter) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			began := cfg.Now()
			if err := next(c); err != nil {
				c.Error(err)
			}
			took := cfg.Now().Sub(began)
			route, method, status := c.Path(), methodLabel(c.Request().Method), c.Response().Status
			if route == "" || (status == http.StatusNotFound && !registered(c, route)) {
				route = "none"
			}
			m.seconds.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
			cfg.Log.LogAttrs(c.Request().Context(), slog.LevelInfo, "request",
				slog.String("request_id", problem.RequestID(c)), slog.String("method", method), slog.String("route", route),
				slog.Int("status", status), slog.Int64("bytes", c.Response().Size),
				slog.Float64("seconds", took.Round(time.Microsecond).Seconds()), slog.String("address", c.RealIP()))
			return nil
		}
	}
}

// registered tells whether a route was one of ours; echo shows the raw path where none matched.
func registered(c echo.Context, route string) bool {
	for _, r := range c.Echo().Routes() {
		if r.Path == route {
			return true
		}
	}
	return false
}

func methodLabel(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// loopback tells whether an address is this machine's own.
func loopback(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.Unmap().IsLoopback()
}
