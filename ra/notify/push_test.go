package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/notify"
)

// A gateway that is slow, redirects, answers without end or with an error is an error within its time, and gets nothing anew
// elsewhere; one that says that the token is gone is believed.
func TestHostilePushGateway(t *testing.T) {
	elsewhere := 0
	answers := map[string]http.HandlerFunc{
		"slow": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"broken": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"gone":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) },
		"huge": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		},
		"cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					elsewhere++
				}
				_, _ = io.Copy(io.Discard, r.Body)
				answer(w, r)
			}))
			defer s.Close()
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			p := ra.Push{Device: "device", Service: "apns", Token: "the token"}
			err := notify.NewGatewayPush(s.URL, []byte("secret"), s.Client(), time.Now).Wake(ctx, p)
			if want := name != "huge"; (err != nil) != want || errors.Is(err, notify.ErrTokenGone) != (name == "gone") {
				t.Errorf("%v", err)
			}
			if err != nil && strings.Contains(err.Error(), "the token") {
				t.Errorf("the token is told: %v", err)
			}
			s.CloseClientConnections()
		})
	}
	if elsewhere != 0 {
		t.Error("a redirect was followed")
	}
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	if err := notify.NewGatewayPush(s.URL, []byte("secret"), http.DefaultClient, time.Now).Wake(t.Context(), ra.Push{}); err == nil {
		t.Error("a gateway whose certificate nobody vouches for was told a token")
	}
}

// A token is printed nowhere.
func TestPushTokenIsHidden(t *testing.T) {
	p := ra.Push{Token: "the token"}
	if s := fmt.Sprintf("%v %+v %#v %s %q", p, p, p, p.Token, p.Token); strings.Contains(s, "the token") {
		t.Error(s)
	}
}
