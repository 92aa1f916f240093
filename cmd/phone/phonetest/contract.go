package phonetest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// contract holds every exchange of a test against openapi.yaml, so that neither handler nor client can drift from
// it: what was answered must be what the contract says, and what was not refused must have been asked as it says.
type contract struct {
	t       testing.TB
	next    http.Handler
	phones  routers.Router
	systems routers.Router
	staff   routers.Router
}

var decoders = sync.OnceFunc(func() {
	openapi3filter.RegisterBodyDecoder("application/jwt", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/css", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("image/png", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/jwk-set+json", openapi3filter.JSONBodyDecoder)
})

// newContract reads the document that the handler itself serves.
func newContract(t testing.TB, next http.Handler) *contract {
	t.Helper()
	decoders()
	return &contract{t, next, routerOf(t, next, "/api/v1/openapi.yaml"), routerOf(t, next, "/csc/v2/openapi.yaml"), routerOf(t, next, "/api/staffing/v1/openapi.yaml")}
}

func routerOf(t testing.TB, next http.Handler, path string) routers.Router {
	t.Helper()
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "https://window.example"+path, nil))
	doc, err := openapi3.NewLoader().LoadFromData(rec.Body.Bytes())
	must(t, err)
	must(t, doc.Validate(context.Background()))
	router, err := gorillamux.NewRouter(doc)
	must(t, err)
	return router
}

// routerFor is the contract that an address belongs to, and the form that its refusals have.
func (c *contract) routerFor(path string) (router routers.Router, refusal string) {
	if strings.HasPrefix(path, "/api/staffing/") {
		return c.staff, "application/problem+json"
	}
	if strings.HasPrefix(path, "/api/") {
		return c.phones, "application/problem+json"
	}
	return c.systems, "application/"
}

// ServeHTTP passes a request on and judges both ways.
func (c *contract) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.next.ServeHTTP(out, r)
		return
	}
	asked := r.Clone(context.WithoutCancel(r.Context()))
	asked.Body = io.NopCloser(bytes.NewReader(body))
	r.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	c.next.ServeHTTP(rec, r)
	c.judge(asked, rec)
	for name, values := range rec.Header() {
		out.Header()[name] = values
	}
	out.WriteHeader(rec.Code)
	_, _ = out.Write(rec.Body.Bytes())
}

func (c *contract) judge(asked *http.Request, got *httptest.ResponseRecorder) {
	what := asked.Method + " " + asked.URL.Path
	full := got.Code == http.StatusServiceUnavailable && got.Header().Get("Retry-After") != ""
	if got.Code >= 500 && got.Code != http.StatusNotImplemented && !full {
		c.t.Errorf("%s: %d: no request may cause that: %s", what, got.Code, got.Body)
	}
	router, refusal := c.routerFor(asked.URL.Path)
	route, params, err := router.FindRoute(asked)
	if err != nil {
		if got.Code/100 != 4 && got.Code != http.StatusNotImplemented || !strings.HasPrefix(got.Header().Get("Content-Type"), refusal) {
			c.t.Errorf("%s is not in the contract and was answered with %d", what, got.Code)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if got.Code < 400 {
		if err := openapi3filter.ValidateRequest(asked.Context(), in); err != nil {
			c.t.Errorf("%s was taken, and is not as the contract says: %v", what, err)
		}
	}
	res := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: got.Code, Header: got.Header(), Options: in.Options}
	res.SetBodyBytes(got.Body.Bytes())
	if err := openapi3filter.ValidateResponse(asked.Context(), res); err != nil {
		c.t.Errorf("%s: the answer %d is not as the contract says: %v", what, got.Code, err)
	}
}
