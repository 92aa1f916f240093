package stage

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// pushGateway is the hospital's own, which wakes apps. It believes what the window signed alone.
type pushGateway struct {
	server *http.Server
	secret []byte
	at     string
	woken  chan string // tokens, as they come
}

func (s *Stage) startPushes(context.Context) error {
	if !s.opt.Pushes {
		return errNotWanted
	}
	g := &pushGateway{secret: []byte(rand.Text()), woken: make(chan string, 64)}
	if err := os.WriteFile(s.path("push.secret"), g.secret, 0o600); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(s.path("tls.pem"), s.path("tls.key"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	g.at = "https://" + listener.Addr().String()
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}}}
	go g.server.ServeTLS(listener, "", "")
	s.pushes = g
	return nil
}

// maxWebhook is far above any, in bytes.
const maxWebhook = 1 << 16

// ServeHTTP takes a webhook that is signed as Standard Webhooks have it, and says nothing but one token.
func (g *pushGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxWebhook))
	m := hmac.New(sha256.New, g.secret)
	m.Write([]byte(r.Header.Get("Webhook-Id") + "." + r.Header.Get("Webhook-Timestamp") + "."))
	m.Write(body)
	if want := "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil)); err != nil || !hmac.Equal([]byte(r.Header.Get("Webhook-Signature")), []byte(want)) {
		http.Error(w, "not signed", http.StatusUnauthorized)
		return
	}
	var told map[string]string
	if err := json.Unmarshal(body, &told); err != nil || len(told) != 3 || told["type"] != "wake" {
		http.Error(w, "no push: "+strings.ToValidUTF8(string(body), ""), http.StatusBadRequest)
		return
	}
	select {
	case g.woken <- told["token"]:
	default: // nobody looks
	}
}

// Woken waits for the gateway to be told of a token.
func (s *Stage) Woken(ctx context.Context, token string) error {
	for {
		select {
		case t := <-s.pushes.woken:
			if t == token {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// WakesApps tells whether the stage has such a gateway.
func (s *Stage) WakesApps() bool { return s.pushes != nil }

func (g *pushGateway) address() string {
	if g == nil {
		return ""
	}
	return g.at
}

func (g *pushGateway) close() {
	if g != nil {
		_ = g.server.Close()
	}
}
