package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"certwindow/web/problem"
)

// house is a server under test with its log and a clock that stands still unless moved.
type house struct {
	*echo.Echo
	log bytes.Buffer
	at  time.Time
}

func build(t *testing.T, change func(*Config)) *house {
	t.Helper()
	h := &house{at: time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)}
	cfg := Config{Log: slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: func() time.Time { return h.at },
		Rand: rand.Reader, Metrics: prometheus.NewRegistry(), MaxBody: 100,
		Mounts: []func(*echo.Echo){func(e *echo.Echo) {
			e.GET("/persons/:id", func(c echo.Context) error { return c.String(200, "ok") })
			e.POST("/take", func(c echo.Context) error {
				_, err := io.ReadAll(c.Request().Body)
				return err
			})
			e.GET("/panic", func(echo.Context) error { panic("the secret cause") })
			e.GET("/fail", func(echo.Context) error { return errors.New("the secret cause") })
		}}}
	if change != nil {
		change(&cfg)
	}
	var err error
	if h.Echo, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) do(method, path string, body io.Reader, head ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, body)
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func TestRequestIDIsOurs(t *testing.T) {
	h := build(t, nil)
	a := h.do("GET", "/persons/1", nil, "X-Request-Id", "forged\nline").Header().Get("X-Request-Id")
	b := h.do("GET", "/persons/1", nil).Header().Get("X-Request-Id")
	if len(a) != 26 || a == b || strings.Contains(h.log.String(), "forged") {
		t.Errorf("%q %q", a, b)
	}
}

// HCA-8.1.5: logs hold no personal data; a search and an id stay out of them.
func TestLogHoldsNeitherPathNorQuery(t *testing.T) {
	h := build(t, nil)
	h.do("GET", "/persons/01JDSECRET?name=%E7%8E%8B&national_id=A123456789", nil)
	h.do("GET", "/nowhere/A123456789", nil)
	if l := h.log.String(); strings.Contains(l, "A123456789") || strings.Contains(l, "SECRET") || !strings.Contains(l, "/persons/:id") {
		t.Errorf("log: %s", l)
	}
	m := h.do("GET", "/metrics", nil, "X-Real-Ip", "127.0.0.1")
	if m.Code != 404 {
		t.Errorf("a stranger who claims to be local reads the metrics: %d", m.Code)
	}
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.RemoteAddr = "127.0.0.1:999"
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if s := rec.Body.String(); rec.Code != 200 || !strings.Contains(s, `route="/persons/:id"`) || !strings.Contains(s, `route="none"`) || strings.Contains(s, "A123456789") {
		t.Errorf("metrics: %d %s", rec.Code, s)
	}
}

func TestFailuresAreOpaqueOutsideAndLoggedInside(t *testing.T) {
	for _, path := range []string{"/panic", "/fail"} {
		h := build(t, nil)
		rec := h.do("GET", path, nil)
		if rec.Code != 500 || rec.Header().Get("Content-Type") != problem.ContentType || strings.Contains(rec.Body.String(), "secret") {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
		id := rec.Header().Get("X-Request-Id")
		if !strings.Contains(h.log.String(), "secret cause") || !strings.Contains(h.log.String(), id) || !strings.Contains(rec.Body.String(), id) {
			t.Errorf("%s: log %s", path, h.log.String())
		}
	}
}

func TestPeopleGetAPageAndProgramsADocument(t *testing.T) {
	h := build(t, func(c *Config) {
		c.ErrorPage = func(c echo.Context, d problem.Document) error { return c.HTML(d.Status, "page "+d.RequestID) }
	})
	if rec := h.do("GET", "/nowhere", nil, "Accept", "text/html"); rec.Code != 404 || !strings.HasPrefix(rec.Body.String(), "page 0") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := h.do("GET", "/nowhere", nil); rec.Code != 404 || !strings.Contains(rec.Body.String(), `"code":"not-found"`) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := h.do("PUT", "/take", nil); rec.Code != 405 || !strings.Contains(rec.Body.String(), "method-not-allowed") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestBodiesAreCapped(t *testing.T) {
	h := build(t, nil)
	if rec := h.do("POST", "/take", strings.NewReader(strings.Repeat("x", 101))); rec.Code != 413 {
		t.Errorf("announced: %d", rec.Code)
	}
	if rec := h.do("POST", "/take", io.MultiReader(strings.NewReader(strings.Repeat("x", 101)))); rec.Code != 413 {
		t.Errorf("not announced: %d %s", rec.Code, rec.Body)
	}
	if rec := h.do("POST", "/take", strings.NewReader(strings.Repeat("x", 100))); rec.Code != 200 {
		t.Errorf("within: %d", rec.Code)
	}
}

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	h := build(t, nil)
	for _, path := range []string{"/persons/1", "/nowhere", "/panic", "/healthz", "/readyz"} {
		head := h.do("GET", path, nil).Header()
		for k, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cache-Control": "no-store"} {
			if head.Get(k) != want {
				t.Errorf("%s: %s is %q", path, k, head.Get(k))
			}
		}
	}
}

func TestReadinessIsHonestAndTellsNoInsides(t *testing.T) {
	var broken error
	runs := 0
	h := build(t, func(c *Config) {
		c.Checks = []Check{{Name: "database", Run: func(context.Context) error { runs++; return broken }}, {Name: "hsm", Run: func(context.Context) error { return nil }}}
	})
	if rec := h.do("GET", "/readyz", nil); rec.Code != 200 {
		t.Fatal(rec.Code)
	}
	broken = errors.New("dial 10.0.0.7: secret")
	for range 50 {
		h.do("GET", "/readyz", nil)
	}
	if runs != 1 {
		t.Errorf("%d runs for 51 questions at one moment", runs)
	}
	h.at = h.at.Add(readyFor)
	rec := h.do("GET", "/readyz", nil)
	if rec.Code != 503 || !strings.Contains(rec.Body.String(), `["database"]`) || strings.Contains(rec.Body.String(), "secret") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := h.do("GET", "/healthz", nil); rec.Code != 200 {
		t.Errorf("healthz: %d", rec.Code)
	}
	broken, h.at = nil, h.at.Add(readyFor)
	if rec := h.do("GET", "/readyz", nil); rec.Code != 200 {
		t.Errorf("after it was mended: %d", rec.Code)
	}
}

func TestCheckWithoutFunctionFails(t *testing.T) {
	h := build(t, func(c *Config) { c.Checks = []Check{{Name: "nothing"}} })
	if rec := h.do("GET", "/readyz", nil); rec.Code != 503 {
		t.Error(rec.Code)
	}
}

func TestServerHasItsTimeouts(t *testing.T) {
	s := Server(http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler))
	if s.ReadHeaderTimeout == 0 || s.ReadTimeout == 0 || s.WriteTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes == 0 {
		t.Errorf("%+v", s)
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("accepted")
	}
}

// Who hangs up makes no error of ours in the log, where he could hide true ones among many.
func TestSenderWhoHasGoneIsNobodysError(t *testing.T) {
	fail := context.Canceled
	h := build(t, func(c *Config) {
		c.Mounts = append(c.Mounts, func(e *echo.Echo) {
			e.GET("/slow", func(echo.Context) error { return fmt.Errorf("reading: %w", fail) })
		})
	})
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	ask := func(ctx context.Context) int {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, "GET", "/slow", nil))
		return rec.Code
	}
	if code := ask(gone); code != statusGone || strings.Contains(h.log.String(), "ERROR") || !strings.Contains(h.log.String(), "status=499") {
		t.Errorf("%d %s", code, h.log.String())
	}
	if code := ask(t.Context()); code != 500 || !strings.Contains(h.log.String(), "ERROR") {
		t.Errorf("somebody else's cancellation: %d", code)
	}
	h.log.Reset()
	fail = errors.New("disk full")
	if code := ask(gone); code != 500 || !strings.Contains(h.log.String(), "disk full") {
		t.Errorf("a true error meanwhile: %d %s", code, h.log.String())
	}
}
