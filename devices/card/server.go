package card

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Prompter asks the person at the computer.
type Prompter interface {
	// PIN shows what will be signed and asks for the PIN. It returns ErrCancelled when the person declines,
	// and ends when ctx does.
	PIN(ctx context.Context, p Prompt) (PIN, error)
	// Confirm asks yes or no; no is ErrCancelled.
	Confirm(ctx context.Context, text string) error
}

// ErrCancelled is a person's no.
var ErrCancelled = errors.New("cancelled by the user")

// Prompt is what the person is shown before the PIN is asked for.
type Prompt struct {
	Origin   string // who asks
	Reader   string
	Holder   string // subject CN of the signing certificate
	CardSN   string
	Text     string // exactly the text that is signed; empty when Opaque
	Opaque   bool   // the content cannot be shown as text
	Digest   string // SHA-256 of the content, lower hex; of a RAW request the digest itself
	FinalTry bool   // a wrong PIN locks the card
}

// Config is what a Server works with. Module, SignCMS, Now, Rand and Log are required.
type Config struct {
	Module  Module
	SignCMS CMSSigner
	// Prompter asks for the PIN. Without one, only callers named in PINFromPage can sign.
	Prompter Prompter
	// Origins are the trusted sites.
	Origins []string
	// PINFromPage are those among them, or DirectClient, that send the PIN themselves. Nobody then sees
	// the text except in that page.
	PINFromPage []string
	// RefuseDirect turns away programs that call without a browser.
	RefuseDirect bool
	// AddOrigin keeps a site that the person has approved at /addDomain. Nil: none can be added.
	AddOrigin func(origin string) error
	// PINTries is the number of wrong PINs that lock a card, when all cards in use agree on it; 0 unknown.
	// Only with 3 can "two tries left" be told.
	PINTries int
	// ModuleTimeout bounds one use of the library (20 s when zero), PromptTimeout the person's answer
	// (100 s), PollInterval the time between two looks at the readers (200 ms).
	ModuleTimeout, PromptTimeout, PollInterval time.Duration

	Now  func() time.Time
	Rand io.Reader
	Log  *slog.Logger
}

// Server answers the protocol over HTTP. Close it after use.
type Server struct {
	cfg     Config
	origins originList
	pinFrom map[caller]bool
	owner   *owner
	watch   *watcher
	mux     *http.ServeMux
	ctx     context.Context // ends at Close
	stop    context.CancelFunc
	busy    sync.Mutex // held by the one operation that may ask the person something
	streams chan struct{}
	servi   serviSessions
}

// maxStreams is how many pages may listen to /events at once.
const maxStreams = 16

// NewServer checks the configuration and begins to watch the readers.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Module == nil || cfg.SignCMS == nil || cfg.Now == nil || cfg.Rand == nil || cfg.Log == nil {
		return nil, errors.New("card: configuration is incomplete")
	}
	s := &Server{pinFrom: map[caller]bool{}, streams: make(chan struct{}, maxStreams),
		servi: serviSessions{all: map[string]*serviSession{}}}
	for _, o := range cfg.Origins {
		normal, err := ParseOrigin(o)
		if err != nil {
			return nil, err
		}
		s.origins.add(normal)
	}
	for _, o := range cfg.PINFromPage {
		if o == DirectClient {
			s.pinFrom[DirectClient] = true
			continue
		}
		normal, err := ParseOrigin(o)
		if err != nil {
			return nil, err
		}
		if !s.origins.has(normal) {
			return nil, errors.New("card: " + normal + " may send a PIN but is not a trusted site")
		}
		s.pinFrom[caller(normal)] = true
	}
	cfg.ModuleTimeout = orDefault(cfg.ModuleTimeout, 20*time.Second)
	cfg.PromptTimeout = orDefault(cfg.PromptTimeout, 100*time.Second)
	cfg.PollInterval = orDefault(cfg.PollInterval, 200*time.Millisecond)
	s.cfg = cfg
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.owner = newOwner(cfg.Module, cfg.Now, cfg.ModuleTimeout)
	s.watch = newWatcher(cfg.Rand)
	s.mux = s.routes()
	go s.poll()
	return s, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

// Close stops watching and ends the streams of /events and every question to the person. Once it has
// returned nil the module is used no more; an error means that the library hangs in a call, and that closing
// the library would not be safe.
func (s *Server) Close() error {
	s.stop()
	return s.owner.close()
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/pkcs11info", s.handleInfo)
	mux.HandleFunc("/sign", s.handleSign)
	mux.HandleFunc("/decrypt", s.handleDecrypt)
	mux.HandleFunc("POST /{$}", s.handleServiSign)
	mux.HandleFunc("GET /p11Image.bmp", s.handleImage)
	mux.HandleFunc("GET /events", s.handleEvents)
	mux.HandleFunc("GET /popupForm", page("popup.html"))
	mux.HandleFunc("GET /ChtPopupForm", page("popup.html"))
	mux.HandleFunc("GET /popup.js", script("popup.js"))
	mux.HandleFunc("GET /addDomain", page("adddomain.html"))
	mux.HandleFunc("POST /addDomain", s.handleAddDomain)
	mux.HandleFunc("GET /adddomain.js", script("adddomain.js"))
	mux.HandleFunc("GET /selfTest.htm", s.handleSelfTest)
	return mux
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !localHost(r) {
		http.Error(w, "this service answers to the name localhost only", http.StatusMisdirectedRequest)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	s.mux.ServeHTTP(w, r)
}

// readBody reads a request's body, or refuses it.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, fail(CodeTooLarge, err)
	}
	if err != nil {
		return nil, fail(CodeBadJSON, err)
	}
	return body, nil
}

// writeAnswer sends an answer. Every answer is status 200, for pages look at nothing but ret_code.
func writeAnswer(w http.ResponseWriter, answer any) {
	b, err := encode(answer)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b) // a client that has gone cannot be told
}

// encode is JSON in ASCII alone: the reader of /p11Image.bmp makes one character of each byte.
func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		switch {
		case r < utf8.RuneSelf:
			out.WriteByte(byte(r))
		case r > 0xFFFF:
			hi, lo := utf16.EncodeRune(r)
			writeEscape(&out, hi)
			writeEscape(&out, lo)
		default:
			writeEscape(&out, r)
		}
	}
	return out.Bytes(), nil
}

func writeEscape(out *bytes.Buffer, r rune) {
	const digits = "0123456789abcdef"
	out.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		out.WriteByte(digits[r>>shift&0xF])
	}
}

// failed is the part of an answer that reports a failure, and logs it. The log names who asked for what and
// the code; never the request itself.
func (s *Server) failed(op string, who caller, err error) status {
	f := asFailure(err, CodeTimeout)
	s.cfg.Log.Warn(op, "caller", string(who), "ret_code", "0x"+hexUint(uint(f.code)), "last_error", f.lastError, "cause", f.cause)
	return status{
		Func: op, RetCode: f.code, LastError: f.lastError,
		Version: helperVersion, ServerVersion: serverVersion,
		Message: f.code.Text(), Message2: lastErrorText(f.lastError),
	}
}

// status is what every answer begins with.
type status struct {
	Func          string `json:"func"`
	RetCode       Code   `json:"ret_code"`
	LastError     int64  `json:"last_error"`
	Version       string `json:"version,omitempty"`
	ServerVersion string `json:"serverVersion,omitempty"`
	Message       string `json:"message,omitempty"`
	Message2      string `json:"message2,omitempty"`
}

// succeeded is the beginning of an answer that brings what was asked for.
func succeeded(op string) status {
	return status{Func: op, Version: helperVersion, ServerVersion: serverVersion}
}
