// Package problem turns errors of the use cases into what the outside may read: RFC 9457 documents for
// programs and the values of an error page for people. It is the only place that knows which kind of error
// becomes which HTTP status.
package problem

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"certwindow/policy"
	"certwindow/ra"
)

// ContentType is the media type of RFC 9457 section 3.
const ContentType = "application/problem+json"

// typePrefix begins every problem type. The types are names, not addresses (RFC 9457 section 3.1.1).
const typePrefix = "urn:certwindow:problem:"

// Document is a problem document (RFC 9457) with the extension members clause, code and request_id.
type Document struct {
	Type      string        `json:"type"`
	Title     string        `json:"title"`
	Status    int           `json:"status"`
	Detail    string        `json:"detail,omitempty"`
	Clause    policy.Clause `json:"clause,omitempty"` // the rule that refused
	Code      string        `json:"code"`             // stable word for programs
	RequestID string        `json:"request_id"`
}

// kinds is the whole mapping. A kind that is not in it is internal.
var kinds = map[ra.Kind]struct {
	status int
	name   string
	title  string
}{
	ra.KindInternal:        {http.StatusInternalServerError, "internal", "Internal error"},
	ra.KindMalformed:       {http.StatusBadRequest, "malformed", "Malformed request"},
	ra.KindRefused:         {http.StatusUnprocessableEntity, "refused", "Refused by a rule"},
	ra.KindConflict:        {http.StatusConflict, "conflict", "Conflict"},
	ra.KindNotFound:        {http.StatusNotFound, "not-found", "Not found"},
	ra.KindUnauthenticated: {http.StatusUnauthorized, "unauthenticated", "Not signed in"},
	ra.KindForbidden:       {http.StatusForbidden, "forbidden", "Not allowed"},
	ra.KindTooMany:         {http.StatusTooManyRequests, "too-many", "Too many requests"},
	ra.KindUnavailable:     {http.StatusServiceUnavailable, "unavailable", "A needed part does not answer"},
}

// opaque is all that is told of an internal error.
const opaque = "Something went wrong on our side. Nothing more can be said here; the log tells more under the request id."

// Of makes the document of an error. Errors that hold no ra.Error become internal ones, of which nothing is
// told; echo's own errors (no such route, wrong method, body too large) keep their status.
func Of(err error, requestID string) Document {
	var x *ra.Error
	var h *echo.HTTPError
	if !errors.As(err, &x) && errors.As(err, &h) {
		return ofHTTP(h, requestID)
	}
	e := ra.AsError(err)
	k, known := kinds[e.Kind]
	if !known || e.Kind == ra.KindInternal {
		k = kinds[ra.KindInternal]
		return Document{Type: typePrefix + k.name, Title: k.title, Status: k.status, Detail: opaque, Code: "internal", RequestID: requestID}
	}
	code := e.Code
	if code == "" {
		code = k.name
	}
	return Document{Type: typePrefix + k.name, Title: k.title, Status: k.status, Detail: e.Detail, Clause: e.Clause, Code: code, RequestID: requestID}
}

// ofHTTP maps an error that echo or its middleware made. Its message is not passed on: it may quote input.
func ofHTTP(h *echo.HTTPError, requestID string) Document {
	d := Document{Status: h.Code, RequestID: requestID}
	switch {
	case h.Code == http.StatusNotFound:
		d.Code, d.Detail = "not-found", "There is nothing at this address."
	case h.Code == http.StatusMethodNotAllowed:
		d.Code, d.Detail = "method-not-allowed", "This address does not take that method."
	case h.Code == http.StatusRequestEntityTooLarge:
		d.Code, d.Detail = "too-large", "The request is larger than this address accepts. Nothing was changed."
	case h.Code == http.StatusUnsupportedMediaType:
		d.Code, d.Detail = "media-type", "This address does not take that kind of content."
	case h.Code >= 400 && h.Code < 500:
		d.Code, d.Detail = "malformed", "The request could not be read. Nothing was changed."
	default:
		d.Status, d.Code, d.Detail = http.StatusInternalServerError, "internal", opaque
	}
	d.Type = typePrefix + d.Code
	d.Title = http.StatusText(d.Status)
	return d
}

// seconds that somebody waits who was told that there is too much to do, or that a part does not answer.
const (
	waitAfterTooMany = "60" // the limits count by the minute
	waitAfterBusy    = "2"
	waitAfterDown    = "5"
)

// TellToWait sets Retry-After (RFC 9110 section 10.2.3) on an answer that asks to come again later, where nobody has set
// a better one.
func TellToWait(c echo.Context, d Document) {
	h, wait := c.Response().Header(), ""
	switch {
	case d.Code == "logins-busy":
		wait = waitAfterBusy
	case d.Status == http.StatusTooManyRequests:
		wait = waitAfterTooMany
	case d.Status == http.StatusServiceUnavailable:
		wait = waitAfterDown
	}
	if wait != "" && h.Get("Retry-After") == "" {
		h.Set("Retry-After", wait)
	}
}

// RequestID is the id that the server gave to this request.
func RequestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// Write answers with the document of err. A request that has been answered already stays as it is.
func Write(c echo.Context, err error) error {
	if c.Response().Committed {
		return nil
	}
	d := Of(err, RequestID(c))
	body, merr := json.Marshal(d)
	if merr != nil {
		return merr
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	TellToWait(c, d)
	if c.Request().Method == http.MethodHead {
		return c.NoContent(d.Status)
	}
	return c.Blob(d.Status, ContentType, body)
}

// Log writes the cause of an error under its request id: internal ones as errors, parts that do not answer
// as warnings, everything else for debugging only.
func Log(c echo.Context, log *slog.Logger, err error) {
	d := Of(err, RequestID(c))
	level := slog.LevelDebug
	switch {
	case d.Status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	case d.Status >= 500:
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.String("request_id", d.RequestID), slog.Int("status", d.Status), slog.String("code", d.Code),
		slog.String("route", c.Path())}
	if d.Clause != "" {
		attrs = append(attrs, slog.String("clause", string(d.Clause)))
	}
	if level > slog.LevelDebug {
		attrs = append(attrs, slog.String("cause", err.Error()))
	}
	log.LogAttrs(c.Request().Context(), level, "request failed", attrs...)
}

// WantsPage tells whether the one who asks is a person with a browser, who should get a page, and not a
// program, which gets a document.
func WantsPage(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		return false
	}
	for _, part := range strings.Split(r.Header.Get("Accept"), ",") {
		media, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		switch strings.TrimSpace(media) {
		case "text/html", "application/xhtml+xml":
			return true
		}
	}
	return false
}
