package csc

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"certwindow/ra"
	"certwindow/web/problem"
)

// failure is an error in the specification's form (section 10.2).
type failure struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// oauthWords are the codes of errors that leave as they are; everything else is told by its kind.
var oauthWords = map[string]bool{"invalid_grant": true, "invalid_token": true, "expired_token": true, "invalid_scope": true, "unsupported_grant_type": true,
	"invalid_client": true, "access_denied": true, "unsupported_response_type": true, "invalid_authentication_data": true,
	"invalid_authorization_details": true}

// failureOf says what the outside may read of an error, and under which status. A rule's clause stands at its beginning.
func failureOf(err error) (int, failure) {
	e := ra.AsError(err)
	if h := (*echo.HTTPError)(nil); e.Kind == ra.KindInternal {
		switch {
		case !asHTTP(err, &h) || h.Code >= 500:
		case h.Code == http.StatusNotFound:
			return h.Code, failure{"invalid_request", "There is no such method; info lists those that there are."}
		case h.Code == http.StatusMethodNotAllowed:
			return h.Code, failure{"invalid_request", "The method of HTTP is another here."}
		default:
			return http.StatusBadRequest, failure{"invalid_request", "The request could not be read."}
		}
		return http.StatusInternalServerError, failure{"server_error", "Something went wrong on our side; the log tells more under the request id."}
	}
	text := e.Detail
	if e.Clause != "" {
		text = string(e.Clause) + ": " + text
	}
	status, word := http.StatusBadRequest, "invalid_request"
	switch e.Kind {
	case ra.KindUnauthenticated:
		status, word = http.StatusUnauthorized, "invalid_token"
	case ra.KindForbidden:
		word = "unauthorized_client"
	case ra.KindTooMany:
		status, word = http.StatusTooManyRequests, "temporarily_unavailable"
	case ra.KindUnavailable:
		status, word = http.StatusServiceUnavailable, "temporarily_unavailable"
	}
	if oauthWords[e.Code] {
		word = e.Code
	}
	if e.Code == notImplemented {
		status = http.StatusNotImplemented
	}
	return status, failure{word, ascii(text)}
}

// notImplemented is the code of a method of the specification that this service does not have.
const notImplemented = "not-implemented"

// ascii leaves of a text what a description may hold (RFC 6749 section 5.2): printable, no quotes, no backslashes.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return '?'
		}
		return r
	}, s)
}

// refuse answers with an error.
func (c *call) refuse(err error) error {
	status, f := failureOf(err)
	switch status {
	case http.StatusUnauthorized:
		c.Response().Header().Set("WWW-Authenticate", c.challenge(f.Error))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		problem.TellToWait(c, problem.Of(err, ""))
	}
	return c.JSON(status, f)
}

// challenge says how to authenticate: in the scheme that was tried, and without a word of error where nothing was
// (RFC 6749 section 5.2, RFC 6750 section 3.1).
func (c *call) challenge(word string) string {
	tried := c.Request().Header.Get("Authorization")
	switch scheme, _, _ := strings.Cut(tried, " "); {
	case strings.EqualFold(scheme, "Basic"):
		return `Basic realm="certwindow"`
	case tried == "" && word == "invalid_token":
		return `Bearer realm="certwindow"`
	}
	return `Bearer realm="certwindow", error="` + word + `"`
}

func malformed(text string) error {
	return ra.Errorf(ra.KindMalformed, "invalid_request", nil, "%s", text)
}

func missing(kind, name string) error {
	return malformed("Missing (or invalid type) " + kind + " parameter " + name)
}

func invalid(name string) error { return malformed("Invalid parameter " + name) }

func tooMany() error {
	return ra.Errorf(ra.KindTooMany, "too-many", nil, "Too many requests. Nothing was done; wait a moment and try again.")
}
