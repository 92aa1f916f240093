package api

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"certwindow/ra"
)

const (
	maxBody  = 64 << 10 // bytes; a request for a key has 16 KiB at most
	maxDepth = 4        // of nested objects and arrays; ours have one
)

// readBody takes a JSON body where the route has one, and refuses any other body.
func (c *call) readBody(wanted bool, most int) error {
	r := c.Request()
	if wanted {
		kinds := r.Header.Values("Content-Type")
		if len(kinds) != 1 || !isJSON(kinds[0]) {
			return echo.ErrUnsupportedMediaType
		}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(most)+1))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig) || len(body) > most:
		return echo.ErrStatusRequestEntityTooLarge
	case err != nil:
		return malformed("body", "The body ended early. Nothing was changed.")
	case wanted && len(body) == 0:
		return malformed("body", "The body is missing. Nothing was changed.")
	case !wanted && len(body) > 0:
		return malformed("body", "This address takes no body. Nothing was changed.")
	}
	c.body = body
	return nil
}

func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" {
		return false
	}
	charset, has := params["charset"]
	return len(params) == 0 || (len(params) == 1 && has && strings.EqualFold(charset, "utf-8"))
}

// into reads the body into one of the contract's objects: UTF-8, its members and no others, each once, nothing
// after the end. Values that the object's own check must refuse stay for that.
func (c *call) into(v any) error {
	if err := shallow(c.body); err != nil {
		return malformed("json", "The body is not JSON as this address takes it. Nothing was changed.")
	}
	if err := json.Unmarshal(c.body, v, json.RejectUnknownMembers(true)); err != nil {
		return ra.Errorf(ra.KindMalformed, "json", err, "The body is not the JSON object that the contract says. Nothing was changed.")
	}
	return nil
}

// shallow walks the tokens of a body, which is an object, before anything is built from it.
func shallow(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	if d.PeekKind() != '{' {
		return errors.New("not an object")
	}
	for {
		if _, err := d.ReadToken(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if d.StackDepth() > maxDepth {
			return errors.New("nested too deeply")
		}
	}
}

// octets decodes base64 with padding (RFC 4648 section 4) in its one canonical form.
func octets(field, s string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(raw) == 0 || base64.StdEncoding.EncodeToString(raw) != s {
		return nil, ra.Errorf(ra.KindMalformed, field, nil, "%q must be base64 with padding. Nothing was changed.", field)
	}
	return raw, nil
}

// words checks a short text that people will read: printable, and of at most that many characters.
func words(field, s string, most int) error {
	if n := utf8.RuneCountInString(s); n < 1 || n > most || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ra.Errorf(ra.KindMalformed, field, nil, "%q must be 1 to %d printable characters. Nothing was changed.", field, most)
	}
	return nil
}

// document is an answer in JSON.
func document(status int, v any) (answer, error) {
	raw, err := json.Marshal(v)
	return answer{status: status, mediaType: echo.MIMEApplicationJSON, body: raw}, err
}
