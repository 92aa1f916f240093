package card

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// DirectClient stands in Config.PINFromPage for programs that call without a browser.
const DirectClient = "direct"

// openerHeader is how the popup says which page opened it. Only the popup can send it: from any other
// origin a browser asks first whether it may send a header of this name, and is not told that it may.
const openerHeader = "X-Card-Opener"

// ParseOrigin checks and normalises a web origin such as "https://window.example": scheme, host and an
// unusual port. Plain http is accepted only of a loopback host, since anybody on the way could change
// such a page.
func ParseOrigin(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return "", fmt.Errorf("%q is not a web origin", s)
	}
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	switch {
	case len(s) > maxField || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-:") != "" || host == "":
		return "", fmt.Errorf("%q is not a web origin", s)
	case scheme == "http" && !loopbackName(host):
		return "", fmt.Errorf("%q is not https", s)
	case scheme != "http" && scheme != "https":
		return "", fmt.Errorf("%q is neither https nor a loopback page", s)
	}
	if scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		port = ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	return scheme + "://" + host, nil
}

// loopbackName says whether a host name without port is this computer.
func loopbackName(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// originList is the list of trusted sites.
type originList struct {
	mu   sync.RWMutex
	list []string // normalised
}

func (l *originList) has(origin string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Contains(l.list, origin)
}

// add puts in a normalised origin.
func (l *originList) add(origin string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.list, origin) {
		l.list = append(l.list, origin)
	}
}

// caller is who a request comes from: a trusted page's origin, or DirectClient.
type caller string

var errUntrusted = errors.New("origin is not on the list")

// identify finds out who calls and refuses whoever may not.
//
// A page's own request carries its origin. The popup's carries our own origin, or none, and the header in
// which the popup names its opener. A program without a browser carries nothing of the kind.
func (s *Server) identify(r *http.Request) (caller, error) {
	origin, opener := r.Header.Get("Origin"), r.Header.Get(openerHeader)
	site := r.Header.Get("Sec-Fetch-Site")
	ours := origin == "http://"+r.Host || origin == "" && site == "same-origin"
	switch {
	case ours:
		origin = opener
	case origin != "":
	case site == "" || site == "none":
		return s.direct(r)
	}
	normal, err := ParseOrigin(origin)
	if err != nil || !s.origins.has(normal) {
		return "", fail(CodeUntrustedSite, errUntrusted)
	}
	return caller(normal), nil
}

// allowOrigin lets a trusted page's script read the answer; any other page's browser keeps it from its script.
func allowOrigin(w http.ResponseWriter, r *http.Request, who caller, refused error) {
	w.Header().Set("Vary", "Origin")
	if refused == nil && r.Header.Get("Origin") == string(who) {
		w.Header().Set("Access-Control-Allow-Origin", string(who))
	}
}

// direct admits a client that says nothing of where it comes from, if it is on this computer.
func (s *Server) direct(r *http.Request) (caller, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() || s.cfg.RefuseDirect {
		return "", fail(CodeUntrustedSite, errors.New("direct client is not allowed"))
	}
	return DirectClient, nil
}

// localHost says whether the request was sent to this computer by its own name. Another name means that
// somebody's name server points at us (DNS rebinding).
func localHost(r *http.Request) bool {
	u, err := url.Parse("http://" + r.Host)
	return err == nil && loopbackName(strings.ToLower(u.Hostname()))
}
