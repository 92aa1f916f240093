package hcasim

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"certwindow/ra/hca/cmc"
)

// Paths of the CMC endpoint and of the control endpoint beside it.
const (
	PathCMC    = "/cmc"
	PathFaults = "/control/faults"
)

// CMCHandler serves what belongs behind TLS: the CMC endpoint and the control of faults.
func (s *Simulator) CMCHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathCMC, s.serveCMC)
	mux.HandleFunc("GET "+PathFaults, s.control(s.listFaults))
	mux.HandleFunc("POST "+PathFaults, s.control(s.addFault))
	mux.HandleFunc("DELETE "+PathFaults, s.control(s.clearFaults))
	return mux
}

// PublicHandler serves what everybody fetches over plain HTTP: CRLs, OCSP and CA certificates.
func (s *Simulator) PublicHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /crl/{name}", s.serveCRL)
	mux.HandleFunc("POST /ocsp", s.serveOCSPPost)
	mux.HandleFunc("GET /ca/{name}", s.serveCA)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Base64 may hold "//", which a ServeMux would take for a path to be tidied.
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.EscapedPath(), "/ocsp/") {
			s.serveOCSPGet(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Simulator) serveCMC(w http.ResponseWriter, r *http.Request) {
	faults := s.faults.take()
	if faults.has(FaultClosed) {
		panic(http.ErrAbortHandler)
	}
	if !s.wait(r, faults[FaultSlow].Delay) {
		return
	}
	if faults.has(FaultDown) {
		w.Header().Set("Retry-After", "2")
		http.Error(w, "the service is down, as told", http.StatusServiceUnavailable)
		return
	}
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/pkcs7-mime" {
		http.Error(w, "application/pkcs7-mime is wanted", http.StatusUnsupportedMediaType)
		return
	}
	der, err := io.ReadAll(http.MaxBytesReader(w, r.Body, cmc.MaxRequest))
	if err != nil {
		http.Error(w, "the request could not be read or is too large", http.StatusBadRequest)
		return
	}
	answer, err := s.exchange(der, faults)
	switch {
	case errors.Is(err, errGarbage):
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case err != nil:
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	case faults.has(FaultLoseAnswer):
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", cmc.ResponseType)
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.Write(answer)
}

// wait holds a request up. It returns false when nobody waits for the answer any more.
func (s *Simulator) wait(r *http.Request, d time.Duration) bool {
	if d == 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-s.done:
	}
	return false
}

// Answer is what the CA says to one signed CMC request that was brought to it by hand. An error means that there is
// nothing to answer to.
func (s *Simulator) Answer(der []byte) ([]byte, error) { return s.exchange(der, s.faults.take()) }

// exchange answers one signed CMC request.
func (s *Simulator) exchange(der []byte, faults faultSet) ([]byte, error) {
	r, err := s.authenticate(der)
	var f *failure
	switch {
	case errors.As(err, &f):
		// Nothing of it is recorded: whoever is not the window must not decide its transactions.
		return s.reply(r, failed(r.part(), f), faults)
	case err != nil:
		return nil, err
	}
	v, err := s.process(r, faults)
	if err != nil {
		return nil, err
	}
	return s.reply(r, v, faults)
}

func (s *Simulator) serveCRL(w http.ResponseWriter, r *http.Request) {
	part := crlComplete
	switch name := r.PathValue("name"); name {
	case "complete.crl":
	case "root.crl":
		part = crlRoot
	default:
		n, err := strconv.Atoi(strings.TrimSuffix(name, ".crl"))
		if err != nil || n < 0 || n >= s.settings.Partitions || name != strconv.Itoa(n)+".crl" {
			http.NotFound(w, r)
			return
		}
		part = n
	}
	der, err := s.crl(part)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/pkix-crl")
	w.Write(der)
}

func (s *Simulator) serveOCSPPost(w http.ResponseWriter, r *http.Request) {
	der, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOCSPRequest))
	if err != nil {
		http.Error(w, "the request could not be read or is too large", http.StatusBadRequest)
		return
	}
	s.writeOCSP(w, der)
}

// serveOCSPGet takes the base64 of the request in the path (RFC 6960 appendix A.1), percent-encoded or not.
func (s *Simulator) serveOCSPGet(w http.ResponseWriter, r *http.Request) {
	_, encoded, ok := strings.Cut(r.URL.EscapedPath(), "/ocsp/")
	text, err := url.PathUnescape(encoded)
	if !ok || err != nil || len(text) > maxOCSPRequest {
		http.Error(w, "malformed path", http.StatusBadRequest)
		return
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		http.Error(w, "malformed path", http.StatusBadRequest)
		return
	}
	s.writeOCSP(w, der)
}

func (s *Simulator) writeOCSP(w http.ResponseWriter, der []byte) {
	w.Header().Set("Content-Type", "application/ocsp-response")
	w.Write(s.OCSP(der))
}

func (s *Simulator) serveCA(w http.ResponseWriter, r *http.Request) {
	var der []byte
	switch r.PathValue("name") {
	case "root.cer":
		der = s.root.cert.Raw
	case "ca.cer":
		der = s.ca.cert.Raw
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/pkix-cert")
	w.Write(der)
}

// control lets only those in who know the token.
func (s *Simulator) control(next http.HandlerFunc) http.HandlerFunc {
	want := []byte("Bearer " + s.token)
	return func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a token is wanted", http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

func (s *Simulator) listFaults(w http.ResponseWriter, _ *http.Request) {
	list := s.Faults()
	if list == nil {
		list = []Fault{}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(list)
}

func (s *Simulator) addFault(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<10))
	if err != nil {
		http.Error(w, "too large", http.StatusBadRequest)
		return
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var f Fault
	if err := dec.Decode(&f); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.SetFault(f); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.listFaults(w, r)
}

func (s *Simulator) clearFaults(w http.ResponseWriter, r *http.Request) {
	s.ClearFaults()
	s.listFaults(w, r)
}
