package csc

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

const (
	maxBody  = 1 << 20   // bytes: 500 hashes with their labels
	maxForm  = 256 << 10 // the same as the fields of a form, with every sign of their JSON escaped
	maxDepth = 5         // of nested objects and arrays; authorization_details in their object have so many
)

func asHTTP(err error, h **echo.HTTPError) bool { return errors.As(err, h) }

// read takes the whole body of one media type, up to a bound.
func (c *call) read(media string, most int64) ([]byte, error) {
	kinds := c.Request().Header.Values("Content-Type")
	if len(kinds) != 1 {
		return nil, malformed("The content type must be " + media + ", once.")
	}
	got, params, err := mime.ParseMediaType(kinds[0])
	if charset, has := params["charset"]; err != nil || got != media || has && !strings.EqualFold(charset, "utf-8") {
		return nil, malformed("The content type must be " + media + ".")
	}
	body, err := io.ReadAll(io.LimitReader(c.Request().Body, most+1))
	if err != nil || int64(len(body)) > most {
		return nil, malformed("The body ended early or is too large.")
	}
	return body, nil
}

// into reads the body into one of the contract's objects.
func (c *call) into(v any) error {
	if c.Request().URL.RawQuery != "" {
		return malformed("This address takes no query.")
	}
	body, err := c.read(echo.MIMEApplicationJSON, maxBody)
	if err != nil {
		return err
	}
	return decode(body, v)
}

// decode reads an object: UTF-8, its members and no others, each once, not nested deeply, nothing after the end. A
// member that is null is absent (section 7.1).
func decode(body []byte, v any) error {
	if err := shallow(body); err != nil {
		return malformed("The body is not JSON as this address takes it.")
	}
	err := json.Unmarshal(body, v, json.RejectUnknownMembers(true))
	var wrong *json.SemanticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && errors.Is(wrong.Err, json.ErrUnknownName):
		return malformed("The body has a member that this address does not know.")
	case errors.As(err, &wrong):
		name, inside, deeper := strings.Cut(strings.TrimPrefix(string(wrong.JSONPointer), "/"), "/")
		switch {
		case name == "" || len(name) >= 40 || !utf8.ValidString(name):
		case deeper && inside != "":
			return invalid(name)
		default:
			return missing(kindOf(wrong.GoType), name)
		}
	}
	return malformed("The body is not the JSON object that the contract says.")
}

// kindOf is what the specification calls the type that a member has.
func kindOf(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return "object"
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Int:
		return "integer"
	case reflect.Bool:
		return "boolean"
	case reflect.Slice:
		return "array"
	}
	return "object"
}

// shallow walks the tokens of a body before anything is built from it, and wants one object.
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

// form reads a form of which each field is given once (RFC 6749 section 3.2).
func (c *call) form() (url.Values, error) {
	if c.Request().URL.RawQuery != "" {
		return nil, malformed("This address takes no query.")
	}
	body, err := c.read(echo.MIMEApplicationForm, maxForm)
	if err != nil {
		return nil, err
	}
	return once(string(body))
}

// once parses fields and refuses one that is there twice.
func once(query string) (url.Values, error) {
	v, err := url.ParseQuery(query)
	if err != nil || !utf8.ValidString(query) {
		return nil, malformed("The parameters cannot be read.")
	}
	for name, values := range v {
		if len(values) > 1 || !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return nil, malformed("A parameter is repeated, or no text.")
		}
	}
	return v, nil
}

// octets decodes base64 with padding (RFC 4648 section 4) in its one canonical form.
func octets(s string) ([]byte, bool) {
	raw, err := base64.StdEncoding.DecodeString(s)
	return raw, err == nil && len(raw) > 0 && base64.StdEncoding.EncodeToString(raw) == s
}
