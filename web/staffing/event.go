package staffing

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/store"
)

const (
	maxBody   = 4 << 10 // bytes; an event has some hundred
	maxDepth  = 2       // the event and its person
	maxHolder = 64      // characters, as the register takes them
)

// eventBody is the contract's Event.
type eventBody struct {
	Person map[string]string `json:"person"` // one member: national_id or holder
	Event  string            `json:"event"`
	Date   string            `json:"date"`
}

// told is the contract's Told.
type told struct {
	Person  ra.PersonID `json:"person"`
	Stopped bool        `json:"stopped"`
}

var (
	events       = []string{"changed", "left", "suspended", "ceased", "died"}
	nationalForm = regexp.MustCompile(`^[A-Za-z0-9]{10}$`)
	dateForm     = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
)

// tell is POST /events.
func (c *call) tell() (store.Answer, error) {
	body, err := c.body()
	if err != nil {
		return store.Answer{}, err
	}
	return c.once(body, func() (store.Answer, error) {
		e, err := decode(body)
		if err != nil {
			return store.Answer{}, err
		}
		person, stopped, err := c.api.Register.Tell(c.ctx(), c.actor(), c.client.Institution, e)
		if err != nil {
			return store.Answer{}, err
		}
		raw, err := json.Marshal(told{person, stopped})
		return store.Answer{Status: http.StatusOK, Type: echo.MIMEApplicationJSON, Body: raw}, err
	})
}

// body takes the whole body, of JSON and up to a bound.
func (c *call) body() ([]byte, error) {
	r := c.Request()
	kinds := r.Header.Values("Content-Type")
	if len(kinds) != 1 || len(r.Header.Values("Content-Encoding")) > 0 {
		return nil, echo.ErrUnsupportedMediaType
	}
	media, params, err := mime.ParseMediaType(kinds[0])
	charset, has := params["charset"]
	if err != nil || media != echo.MIMEApplicationJSON || has && !strings.EqualFold(charset, "utf-8") {
		return nil, echo.ErrUnsupportedMediaType
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig) || len(body) > maxBody:
		return nil, echo.ErrStatusRequestEntityTooLarge
	case err != nil:
		return nil, malformed("body", "The body ended early. Nothing was changed.")
	}
	return body, nil
}

// decode reads one event: UTF-8, the contract's members and no others, each once, nothing after the end. Whether its
// date has come is the register's to say.
func decode(body []byte) (e devices.StaffingEvent, err error) {
	if err := shallow(body); err != nil {
		return e, malformed("json", "The body is not JSON as this address takes it. Nothing was changed.")
	}
	var b eventBody
	if err := jsonv2.Unmarshal(body, &b, jsonv2.RejectUnknownMembers(true)); err != nil {
		return e, malformed("json", "The body is not the JSON object that the contract says. Nothing was changed.")
	}
	national, byID := b.Person["national_id"]
	holder, byCard := b.Person["holder"]
	switch {
	case len(b.Person) != 1 || byID == byCard:
		return e, malformed("person", `"person" has one member: national_id, or holder. Nothing was changed.`)
	case byID && !nationalForm.MatchString(national):
		return e, malformed("national-id", "A national id has ten letters and digits. Nothing was changed.")
	case byCard && !words(holder):
		return e, malformed("holder", `"holder" is the identifier on the card, 1 to 64 printable characters. Nothing was changed.`)
	case !slices.Contains(events, b.Event):
		return e, malformed("leave-reason", `"event" is one of changed, left, suspended, ceased, died. Nothing was changed.`)
	case !dateForm.MatchString(b.Date):
		return e, malformed("staffing-date", `"date" is a day such as 2026-11-22. Nothing was changed.`)
	}
	return devices.StaffingEvent{NationalID: national, Holder: holder, Event: b.Event, Date: b.Date}, nil
}

func words(s string) bool {
	n := utf8.RuneCountInString(s)
	return n >= 1 && n <= maxHolder && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
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
