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
type BindText struct {
	Server string // https://host[:port], nothing after it
	Code   string // the one-time code of an Offer
	Pin    string // lower hex SHA-256 of the SubjectPublicKeyInfo of the server's certificate, or of an authority above it
}

const (
	bindPrefix  = "certwindow-bind:1?"
	maxBindText = 512 // bytes; a QR that a phone reads from a screen holds no more
)

var errBindText = errors.New("this is not the QR of a service window's counter")

// String writes the text: the scheme and version, then server, code and roots.
func (t BindText) String() string {
	return bindPrefix + "server=" + url.QueryEscape(t.Server) + "&code=" + url.QueryEscape(t.Code) + "&roots=" + url.QueryEscape(t.Pin)
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
	t := BindText{Server: q.Get("server"), Code: q.Get("code"), Pin: q.Get("roots")}
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
	if raw, err := hex.DecodeString(t.Pin); err != nil || len(raw) != 32 || strings.ToLower(t.Pin) != t.Pin {
		return errBindText
	}
	return nil
}
