package card

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The second protocol: what pages written for HCAServiSign expect. Each call is a form of one member, Parameter, that
// holds base64 of a JSON object; strings in the object are base64 again where a companion member says so. A page opens
// a module and a session, fetches certificate and key handles, and gets a bare PKCS #1 signature.
//
// The rules are those of the first protocol: only trusted sites are answered, this component shows the text and asks
// for the PIN itself unless the site may send one, and a card that goes ends the session it was opened with.

const (
	servisignServer  = "1.0.21.0101" // versions that pages compare with the oldest they accept
	servisignLibrary = "1.0.20.0310"
	// maxServiSessions is how many pages may have a session at once, servisignLife how long an idle one is kept.
	maxServiSessions = 32
	servisignLife    = 5 * time.Minute
)

// Result codes of HCAServiSign that this component answers with.
const (
	serviOK           = 0
	serviNoCert       = 5010
	serviExpired      = 5011
	serviNotYet       = 5012
	serviDevice       = 9016
	serviRemoved      = 9018
	serviCancelled    = 9021
	serviPINWrong     = 9039
	serviPINLength    = 9041
	serviPINLocked    = 9043
	serviNoToken      = 9056
	serviNotLoggedIn  = 9063
	serviNoSlot       = 9112
	serviParameter    = 61003
	serviNotSupported = 61201
	serviRefused      = 61908
)

// serviSession is what one page has open.
type serviSession struct {
	who  caller
	used time.Time // kept by serviSessions

	mu   sync.Mutex
	code int   // what ATL_GetErrorCode says
	pin  PIN   // only of a site that may send it; wiped at the first signature, and when the session ends
	stay *stay // of the card that the session was opened with; nil while none is open
}

// open begins a session with a card, and ends one before it.
func (x *serviSession) open(pin PIN, at *stay) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pin.Wipe()
	x.pin, x.stay = pin, at
}

func (x *serviSession) close() { x.open(PIN{}, nil) }

// card is the card of the session; nil while none is open.
func (x *serviSession) card() *stay {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stay
}

// takePIN hands the PIN over for one signature.
func (x *serviSession) takePIN() PIN {
	x.mu.Lock()
	defer x.mu.Unlock()
	pin := x.pin
	x.pin = PIN{}
	return pin
}

// last sets what ATL_GetErrorCode says, and lastCode tells it.
func (x *serviSession) last(code int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.code = code
}

func (x *serviSession) lastCode() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.code
}

// serviSessions are those of all pages, by the id that Echo gave out.
type serviSessions struct {
	mu  sync.Mutex
	all map[string]*serviSession
}

// open makes a session, and ends those that nobody has used for long. It fails when there are too many.
func (t *serviSessions) open(id string, who caller, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, x := range t.all {
		if now.Sub(x.used) > servisignLife {
			x.close()
			delete(t.all, k)
		}
	}
	if len(t.all) >= maxServiSessions {
		return false
	}
	t.all[id] = &serviSession{who: who, used: now}
	return true
}

// of is a page's own session.
func (t *serviSessions) of(id string, who caller, now time.Time) *serviSession {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.all[id]
	if x == nil || x.who != who || now.Sub(x.used) > servisignLife {
		return nil
	}
	x.used = now
	return x
}

func (t *serviSessions) end(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.all[id]; x != nil {
		x.close()
		delete(t.all, id)
	}
}

// serviAnswer is the answer to every call. Its members are base64, but for the last, which is ours.
type serviAnswer struct {
	Result           string `json:"result"`
	ServerVersion    string `json:"ServerVersion"`
	LibVersion       string `json:"LibVersion"`
	InstallerVersion string `json:"InstallerVersion"`
	SessionID        string `json:"SessionID"`
	// Insertion is the id of the card's stay in the reader, as /events gives it.
	Insertion string `json:"Insertion,omitempty"`
}

// handleServiSign answers POST /, where the adapter script of HCAServiSign sends every call.
func (s *Server) handleServiSign(w http.ResponseWriter, r *http.Request) {
	who, err := s.identify(r)
	allowOrigin(w, r, who, err)
	if err != nil {
		s.failed("servisign", caller(r.Header.Get("Origin")), err)
		s.writeServi(w, strconv.Itoa(serviRefused), "", "")
		return
	}
	body, err := readBody(w, r)
	defer clear(body) // it may hold a PIN
	var call fields
	if err == nil {
		call, err = parseParameter(body)
	}
	if err != nil {
		s.failed("servisign", who, err)
		s.writeServi(w, strconv.Itoa(serviParameter), "", "")
		return
	}
	id := call["sessionid"]
	if call["functionname"] == "Echo" {
		if s.servi.of(id, who, s.cfg.Now()) == nil {
			id = s.newServiSession(who)
		}
		result := "0"
		if id == "" {
			result = strconv.Itoa(serviDevice)
		}
		s.writeServi(w, result, id, "")
		return
	}
	x := s.servi.of(id, who, s.cfg.Now())
	if x == nil {
		s.writeServi(w, "", "", "")
		return
	}
	result, insertion := s.serviCall(r, call, x, who)
	s.writeServi(w, result, id, insertion)
}

func (s *Server) newServiSession(who caller) string {
	id, err := s.watch.newID()
	if err != nil || !s.servi.open(id, who, s.cfg.Now()) {
		return ""
	}
	return id
}

func (s *Server) writeServi(w http.ResponseWriter, result, session, insertion string) {
	b64 := func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) }
	writeAnswer(w, serviAnswer{Result: b64(result), ServerVersion: b64(servisignServer), LibVersion: b64(servisignLibrary),
		InstallerVersion: b64(servisignLibrary), SessionID: b64(session), Insertion: insertion})
}

// parseParameter reads a call. The adapter percent-encodes base64 once for the form, and once more inside the object.
func parseParameter(body []byte) (fields, error) {
	if len(body) > maxBody {
		return nil, failf(CodeTooLarge, "body over %d bytes", maxBody)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["Parameter"]) != 1 {
		return nil, failf(CodeBadJSON, "no form with one Parameter")
	}
	text, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(form.Get("Parameter"), " ", "+"))
	if err != nil {
		return nil, failf(CodeBase64, "Parameter is not base64")
	}
	defer clear(text)
	f, err := parseFlat(text)
	if err != nil {
		return nil, fail(CodeBadJSON, err)
	}
	for name := range f {
		value, ok := strings.CutSuffix(name, "_ServiSignBase64Flag")
		if !ok || !f.flag(name, false) {
			continue
		}
		plain, err := url.PathUnescape(f[value])
		if err != nil {
			return nil, failf(CodeBase64, "a member is not percent-encoded")
		}
		raw, err := base64.StdEncoding.DecodeString(plain)
		if err != nil {
			return nil, failf(CodeBase64, "a member is not base64")
		}
		f[value] = string(raw)
	}
	return f, nil
}

// serviHandle is every handle that is given out: a page has one module, one session and one key.
const serviHandle = "1"

// serviCall carries out one function and keeps its code for ATL_GetErrorCode. An empty result, or a handle of 0, is a
// failure.
func (s *Server) serviCall(r *http.Request, call fields, x *serviSession, who caller) (result, insertion string) {
	name := call["functionname"]
	if name == "ATL_GetErrorCode" {
		return strconv.Itoa(x.lastCode()), ""
	}
	var err error
	switch name {
	case "ServiSignRelease", "ServiSignForceRelease":
		s.servi.end(call["sessionid"])
		return "0", ""
	case "ATL_InitModule", "ATL_GetHCACardSN", "ATL_GetHCACardType", "ATL_GetCardHCACardVersion", "ATL_GetCertificateFromGPKICard":
		result, insertion, err = s.serviLook(r, call)
	case "ATL_InitSession":
		result, insertion, err = s.serviOpen(r, call, x, who)
	case "ATL_GetKeyObjectHandle":
		result, err = serviHandle, nil
		if x.card() == nil || call["iKeyType"] != "0" || !slices.Contains([]string{"", "1"}, call["param"]) {
			result, err = "0", errNotLoggedIn
		}
	case "ATL_MakeSignatureEx2":
		result, insertion, err = s.serviSign(r, call, x, who)
	case "ATL_CloseSession":
		x.close()
		result = "0"
	case "ATL_DeleteKeyObject", "ATL_CloseModule", "ATL_CloseModuleEx":
		result = "0"
	default:
		x.last(serviNotSupported)
		return "", ""
	}
	x.last(serviOK)
	if err != nil {
		x.last(serviCode(err))
		s.failed("servisign "+name, who, err)
		return result, ""
	}
	if name == "ATL_MakeSignatureEx2" {
		s.cfg.Log.Info("servisign "+name, "caller", string(who), "insertion", insertion)
	}
	return result, insertion
}
