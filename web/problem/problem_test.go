package problem

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"certwindow/ra"
)

func TestEveryKindHasItsStatus(t *testing.T) {
	want := map[ra.Kind]int{
		ra.KindInternal: 500, ra.KindMalformed: 400, ra.KindRefused: 422, ra.KindConflict: 409, ra.KindNotFound: 404,
		ra.KindUnauthenticated: 401, ra.KindForbidden: 403, ra.KindTooMany: 429, ra.KindUnavailable: 503, ra.Kind(99): 500,
	}
	for k, status := range want {
		d := Of(fmt.Errorf("wrapped: %w", ra.Errorf(k, "a-code", errors.New("cause"), "said")), "RID")
		if d.Status != status || d.RequestID != "RID" || d.Title == "" || !strings.HasPrefix(d.Type, typePrefix) {
			t.Errorf("kind %d: %+v", k, d)
		}
		if strings.Contains(fmt.Sprintf("%+v", d), "cause") {
			t.Errorf("kind %d tells its cause: %+v", k, d)
		}
	}
}

func TestRefusalNamesItsClause(t *testing.T) {
	d := Of(ra.Refuse("HCA-7.5", "five-certificates", "The person holds five.", nil), "RID")
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if m["clause"] != "HCA-7.5" || m["code"] != "five-certificates" || m["request_id"] != "RID" || m["status"] != 422.0 {
		t.Errorf("got %s", b)
	}
}

func TestInternalErrorsAreOpaque(t *testing.T) {
	for _, err := range []error{
		errors.New("dial tcp 10.0.0.7: password secret"),
		ra.Errorf(ra.KindInternal, "db-broken", errors.New("secret"), "table secret is gone"),
	} {
		b, _ := json.Marshal(Of(err, "RID"))
		if strings.Contains(string(b), "secret") || strings.Contains(string(b), "db-broken") {
			t.Errorf("tells %s", b)
		}
	}
}

func TestEchoErrorsKeepTheirStatusAndHideTheirMessage(t *testing.T) {
	for _, status := range []int{404, 405, 413, 415, 400, 418} {
		d := Of(echo.NewHTTPError(status, "quoted <input>"), "RID")
		if d.Status != status || strings.Contains(d.Detail, "quoted") || d.Code == "" {
			t.Errorf("%d: %+v", status, d)
		}
	}
	if d := Of(echo.NewHTTPError(502, "x"), "RID"); d.Status != 500 || d.Code != "internal" {
		t.Errorf("502: %+v", d)
	}
}

func TestWriteAndLog(t *testing.T) {
	e := echo.New()
	rec := httptest.NewRecorder()
	c := e.NewContext(httptest.NewRequest(http.MethodGet, "/x", nil), rec)
	c.Response().Header().Set(echo.HeaderXRequestID, "RID")
	cause := errors.New("disk full")
	var out bytes.Buffer
	Log(c, slog.New(slog.NewTextHandler(&out, nil)), cause)
	if !strings.Contains(out.String(), "disk full") || !strings.Contains(out.String(), "RID") {
		t.Errorf("log: %s", out.String())
	}
	if err := Write(c, cause); err != nil {
		t.Fatal(err)
	}
	if rec.Code != 500 || rec.Header().Get("Content-Type") != ContentType || strings.Contains(rec.Body.String(), "disk full") {
		t.Errorf("answer: %d %v %s", rec.Code, rec.Header(), rec.Body)
	}
}

func TestWantsPage(t *testing.T) {
	for _, c := range []struct {
		path, accept string
		want         bool
	}{
		{"/persons", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", true},
		{"/persons", "*/*", false},
		{"/persons", "", false},
		{"/api/v1/devices", "text/html", false},
		{"/persons", "application/json", false},
	} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Header.Set("Accept", c.accept)
		if got := WantsPage(r); got != c.want {
			t.Errorf("%s %q: %v", c.path, c.accept, got)
		}
	}
}
