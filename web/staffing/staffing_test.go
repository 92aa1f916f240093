package staffing_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/phone/client"
	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/ra"
)

const elsewhere ra.InstitutionCode = "0101090518"

// ward is a window with a doctor, and a personnel system on the register. Every exchange is held against openapi.yaml,
// which also holds that nothing is answered by anything of the 5xx kind.
type ward struct {
	t      *testing.T
	w      *phonetest.Window
	person ra.PersonID
	hr     phonetest.System
}

func newWard(t *testing.T) *ward {
	t.Helper()
	x := &ward{t: t, w: phonetest.New(t, phonetest.Options{})}
	x.person = x.w.Person(t, 1)
	x.hr = x.w.NewSystem(t)
	x.w.RegisterPersonnel(t, "his-hr", x.hr, phonetest.Code)
	return x
}

type answer struct {
	status int
	header http.Header
	body   string
	told   struct {
		Person  ra.PersonID
		Stopped bool
		Code    string // of a problem
	}
}

func (x *ward) request(body string) *http.Request {
	x.t.Helper()
	r, err := http.NewRequestWithContext(x.t.Context(), http.MethodPost, x.w.Server.URL+"/api/staffing/v1/events", strings.NewReader(body))
	if err != nil {
		x.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

func (x *ward) do(s phonetest.System, r *http.Request) (a answer) {
	x.t.Helper()
	res, err := s.HTTP.Do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	a.status, a.header, a.body = res.StatusCode, res.Header, string(raw)
	_ = json.Unmarshal(raw, &a.told)
	return a
}

// tell sends a body under a key.
func (x *ward) tell(s phonetest.System, key, body string) answer {
	x.t.Helper()
	r := x.request(body)
	r.Header.Set("Idempotency-Key", key)
	return x.do(s, r)
}

func key(n int) string { return fmt.Sprintf("key-of-this-test-%04d", n) }

// left says that the doctor with this number left, today.
func (x *ward) left(n int) string {
	return fmt.Sprintf(`{"person":{"national_id":"a1%08d"},"event":"left","date":%q}`, n, x.w.Now().Format(time.DateOnly))
}

// rows are the audit rows of an act.
func (x *ward) rows(act, outcome string) (n int64) {
	x.t.Helper()
	if err := x.w.DB.Gorm.Table("audit_events").Where("act = ? AND outcome = ?", act, outcome).Count(&n).Error; err != nil {
		x.t.Fatal(err)
	}
	return n
}

// HCA-3.7: what the institution's program tells signs the professional out and keeps him out in the same moment, starts
// the sweep, and leaves its row. Told again, by either name, nothing happens.
func TestAccountsStopAtOnce(t *testing.T) {
	x := newWard(t)
	device := x.w.Device(t, "ER-01", x.person)
	phone, err := client.Open(filepath.Join(t.TempDir(), "phone"), client.About{Platform: "android", Model: "Pixel 10", OSVersion: "16", App: phonetest.App.Package,
		AppVersion: phonetest.App.Version}, x.w.Now)
	if err != nil {
		t.Fatal(err)
	}
	code, err := phone.Bind(t.Context(), x.w.Offer(t, device))
	if err != nil {
		t.Fatal(err)
	}
	x.w.Confirm(t, device, code)
	if err := phone.WaitBound(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.w.Account(t, x.person, "doctor")
	if _, err := phone.Login(t.Context(), "doctor", appcred.Secret(phonetest.Password.Reveal())); err != nil {
		t.Fatal(err)
	}
	before, rows := x.w.Sweeps.Load(), x.rows("person.leave", "done")
	a := x.tell(x.hr, key(1), x.left(1))
	if a.status != http.StatusOK || a.told.Person != x.person || !a.told.Stopped {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if _, err := phone.Login(t.Context(), "doctor", appcred.Secret(phonetest.Password.Reveal())); err == nil {
		t.Error("he signs in after he left")
	}
	if x.w.Sweeps.Load() != before+1 || x.rows("person.leave", "done") != rows+1 {
		t.Error("no sweep was started, or no row written")
	}
	again := x.tell(x.hr, key(2), fmt.Sprintf(`{"person":{"holder":"000000A1%08d"},"event":"died","date":"2026-01-02"}`, 1))
	if again.status != http.StatusOK || again.told.Person != x.person || again.told.Stopped || x.w.Sweeps.Load() != before+1 {
		t.Errorf("told again: %d %s", again.status, again.body)
	}
}

// The same key gives the same answer and does nothing again; another body under it is a conflict. What is remembered of
// a request does not give the national id away to whoever hashes all of them (HCA-8.1.5).
func TestOncePerKey(t *testing.T) {
	x := newWard(t)
	x.w.Person(t, 2)
	first := x.tell(x.hr, key(1), x.left(1))
	if same := x.tell(x.hr, key(1), x.left(1)); same.status != 200 || same.body != first.body || !same.told.Stopped {
		t.Errorf("%d %s, was %s", same.status, same.body, first.body)
	}
	if other := x.tell(x.hr, key(1), x.left(2)); other.status != http.StatusConflict || other.told.Code != "idempotency-key-reused" {
		t.Errorf("%d %s", other.status, other.body)
	}
	if unknown := x.tell(x.hr, key(3), x.left(9)); unknown.status != 404 || x.tell(x.hr, key(3), x.left(9)).body != unknown.body {
		t.Errorf("%d %s", unknown.status, unknown.body)
	}
	var kept []struct {
		BodyHash []byte
		Answer   []byte
	}
	if err := x.w.DB.Gorm.Table("idempotency_keys").Where("principal = ?", "client/his-hr").Find(&kept).Error; err != nil || len(kept) != 2 {
		t.Fatal(kept, err)
	}
	for _, k := range kept {
		if plain := sha256.Sum256([]byte(x.left(1))); bytes.Equal(k.BodyHash, plain[:]) || strings.Contains(strings.ToUpper(string(k.Answer)), "A100000001") {
			t.Error("what is kept of a request tells the national id")
		}
	}
}

// HCA-3.7, HCA-8.1.6: which institution a program speaks for stands on the register. Another one's professional is not found, and
// stays; the try leaves a row.
func TestAnotherInstitutionsPersonIsNotFound(t *testing.T) {
	x := newWard(t)
	operator := ra.Actor{Kind: ra.ActorCommand}
	if err := x.w.Registry.AddInstitution(t.Context(), operator, devices.Institution{Code: elsewhere, Name: "Other Hospital", Agreement: hex.EncodeToString(make([]byte, 32)),
		AgreedFrom: x.w.Now().Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	other := x.w.NewSystem(t)
	x.w.RegisterPersonnel(t, "hr-other", other, elsewhere)
	for i, body := range []string{x.left(1), x.left(7)} {
		if a := x.tell(other, key(i), body); a.status != http.StatusNotFound || a.told.Code != "staffing-person" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if n := x.rows("person.leave", "refused") + x.rows("person.leave", "failed"); n != 2 {
		t.Errorf("%d rows of what was refused", n)
	}
	// While the institution itself is stopped, somebody who leaves must not be back with it.
	if err := x.w.Registry.SetStanding(t.Context(), operator, phonetest.Code, devices.InstitutionSuspended); err != nil {
		t.Fatal(err)
	}
	if a := x.tell(x.hr, key(5), x.left(1)); a.status != 200 || !a.told.Stopped {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Only the registered certificate of an active system of this kind is heard, and such a system gets nothing where
// signatures are asked for (HCA-5.1.2, HCA-6.3.6, HCA-8.1.6).
func TestKindsAreApart(t *testing.T) {
	x := newWard(t)
	signing, stranger := x.w.NewSystem(t), x.w.NewSystem(t)
	x.w.RegisterSystem(t, "his", signing, "https://his.example/back")
	nobody := phonetest.System{HTTP: x.w.Server.Client()}
	for what, s := range map[string]phonetest.System{"a signing system": signing, "a stranger": stranger, "no certificate": nobody} {
		if a := x.tell(s, key(1), x.left(1)); a.status != http.StatusUnauthorized || a.told.Code != "client-certificate" {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	for id, s := range map[string]phonetest.System{"his": signing, "his-hr": x.hr} {
		r := x.request(url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "scope": {"service"}}.Encode())
		r.URL.Path = "/oauth2/token"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if a := x.do(s, r); (a.status == 200) != (id == "his") {
			t.Errorf("%s: %d %s", id, a.status, a.body)
		}
	}
	if err := x.w.Systems.Stop(t.Context(), ra.Actor{Kind: ra.ActorStaff, ID: "admin"}, "his-hr"); err != nil {
		t.Fatal(err)
	}
	if a := x.tell(x.hr, key(2), x.left(1)); a.status != http.StatusUnauthorized {
		t.Errorf("it is heard after it was stopped: %d %s", a.status, a.body)
	}
}

// A certificate out of its time proves nobody.
func TestExpiredCertificate(t *testing.T) {
	x := newWard(t)
	x.w.Pass(2 * 365 * 24 * time.Hour)
	if a := x.tell(x.hr, key(1), x.left(1)); a.status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Nothing hostile or careless is answered by anything but problem documents of the 4xx kind, and nothing of it stops anybody.
func TestHostileInput(t *testing.T) {
	x := newWard(t)
	good := x.left(1)
	tomorrow := x.w.Now().Add(48 * time.Hour).Format(time.DateOnly)
	for i, body := range []string{"", "null", "[]", "{", good + "{}", `{"event":"left"}`, strings.Replace(good, "left", "resigned", 1), strings.Replace(good, "left", "離職", 1),
		strings.Replace(good, `"event"`, `"Event"`, 1), strings.Replace(good, `{"national_id":"a100000001"}`, `null`, 1), strings.Replace(good, `{"nat`, `{"holder":"x","nat`, 1),
		strings.Replace(good, `"a100000001"`, "null", 1), strings.Replace(good, `"a100000001"`, `"' OR 1=1--"`, 1), strings.Replace(good, "national_id", "name", 1),
		strings.Replace(good, `"event"`, `"institution":"0101090517","event"`, 1), good[:len(good)-1] + `,"event":"died"}`, "{\"event\":\"\xff\"}", strings.Repeat(`{"a":`, 900),
		fmt.Sprintf(`{"person":{"holder":%q},"event":"left","date":"2026-01-01"}`, strings.Repeat("x", 65)), `{"person":{"holder":"a\u0000b"},"event":"left","date":"2026-01-01"}`,
		`{"person":{"national_id":"A100000001"},"event":"left","date":"2026-02-30"}`, `{"person":{"national_id":"A100000001"},"event":"left","date":"` + tomorrow + `"}`,
		strings.Repeat(" ", 5000) + good} {
		a := x.tell(x.hr, key(i), body)
		if a.status/100 != 4 || a.told.Code == "" {
			t.Errorf("%.80s: %d %s", body, a.status, a.body)
		}
	}
	for what, change := range map[string]func(*http.Request){
		"no key":            func(r *http.Request) { r.Header.Del("Idempotency-Key") },
		"two keys":          func(r *http.Request) { r.Header.Add("Idempotency-Key", key(2)) },
		"a short key":       func(r *http.Request) { r.Header.Set("Idempotency-Key", "x") },
		"a form":            func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
		"two content types": func(r *http.Request) { r.Header.Add("Content-Type", "application/json") },
		"an encoding":       func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
		"a query":           func(r *http.Request) { r.URL.RawQuery = "institution=0101090517" },
		"a cookie":          func(r *http.Request) { r.Header.Set("Cookie", "session=x") },
		"a token":           func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") },
		"another method":    func(r *http.Request) { r.Method = http.MethodPut },
		"another address":   func(r *http.Request) { r.URL.Path += "/x" },
	} {
		r := x.request(good)
		r.Header.Set("Idempotency-Key", key(900))
		change(r)
		if a := x.do(x.hr, r); a.status/100 != 4 || a.told.Code == "" {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	if a := x.tell(x.hr, key(901), good); a.status != 200 || !a.told.Stopped {
		t.Errorf("something of it stopped him: %d %s", a.status, a.body)
	}
}

// One system cannot take all the window's time; it is told when to come again.
func TestTooMany(t *testing.T) {
	x := newWard(t)
	for i := range 101 {
		a := x.tell(x.hr, key(i), "{}")
		if i == 100 && (a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "") {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}
