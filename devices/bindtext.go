package devices

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
)

// BindText is what the QR on the counter's screen says, and the one place where it is written and read.
//
// The phone has no reason yet to trust anybody, so the QR carries the pin of the server's key: the phone talks
// to the holder of that key and to nobody else, whatever name service, proxy or certification authority says.
// A QR that somebody photographed is worth nothing alone: the code is used once, and the short code that both
// screens show covers the phone's own key. A QR that somebody forged leads to another server, so the phone
// shows the server's name and works out the short code by itself, and the clerk's screen has to show the same.
//
// It carries the status key as well. The window's word that a key may be used is then the word of the counter's window from the
// first statement on, and whoever comes between later, with the server's own TLS key if need be, cannot put his key in its place.
type BindText struct {
	Server string // https://host[:port], nothing after it
	Code   string // the one-time code of an Offer
	WindowKeys
}

// WindowKeys are the two keys by which a phone knows the window for ever after: both as the lower hex SHA-256 of a
// SubjectPublicKeyInfo.
type WindowKeys struct {
	Pin    string // of the server's certificate, or of an authority above it
	Status string // of the key that signs status statements, which who holds the server's TLS key does not hold
}

const (
	bindPrefix  = "certwindow-bind:2?"
	maxBindText = 512 // bytes; a QR that a phone reads from a screen holds no more
)

var errBindText = errors.New("this is not the QR of a service window's counter")

// String writes the text: the scheme and version, then server, code, roots and status.
func (t BindText) String() string {
	return bindPrefix + "server=" + url.QueryEscape(t.Server) + "&code=" + url.QueryEscape(t.Code) + "&roots=" + url.QueryEscape(t.Pin) + "&status=" + url.QueryEscape(t.Status)
}

// ParseBindText reads what a phone scanned. It takes exactly what String writes, and nothing else.
func ParseBindText(s string) (BindText, error) {
	rest, ok := strings.CutPrefix(s, bindPrefix)
	if !ok || len(s) > maxBindText {
		return BindText{}, errBindText
	}
	q, err := url.ParseQuery(rest)
	if err != nil {
		return BindText{}, errBindText
	}
	t := BindText{Server: q.Get("server"), Code: q.Get("code"), WindowKeys: WindowKeys{Pin: q.Get("roots"), Status: q.Get("status")}}
	if t.String() != s {
		return BindText{}, errBindText
	}
	return t, t.check()
}

func (t BindText) check() error {
	u, err := url.Parse(t.Server)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || t.Server != "https://"+u.Host {
		return errBindText
	}
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(t.Code); err != nil || len(raw) != 32 {
		return errBindText
	}
	for _, digest := range []string{t.Pin, t.Status} {
		if raw, err := hex.DecodeString(digest); err != nil || len(raw) != 32 || strings.ToLower(digest) != digest {
			return errBindText
		}
	}
	return nil
}
