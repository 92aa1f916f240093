package web_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"certwindow/web"
)

// pipes is a network of this process alone, so that the server's limits pass in the test's own time.
type pipes struct {
	calls chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.calls:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.over) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.calls <- there
	return here
}

// trickle sends a text byte by byte, one each half second, until the other side has enough, and tells how long that took.
func trickle(c net.Conn, text string) time.Duration {
	began := time.Now()
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	return time.Since(began)
}

// A client that sends its header, or its body, a byte at a time is cut off at the server's own limits, for which the
// clock of the test is moved; a hundred of them keep nobody else from being served.
func TestSlowClientsAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				http.Error(w, "cut off", http.StatusRequestTimeout)
				return
			}
			fmt.Fprint(w, "served")
		})
		server, network := web.Server(handler, nil, slog.New(slog.DiscardHandler)), &pipes{calls: make(chan net.Conn), over: make(chan struct{})}
		var running sync.WaitGroup
		running.Go(func() { _ = server.Serve(network) })
		var slow sync.WaitGroup
		limits := map[string]struct {
			sent string
			most time.Duration
		}{
			"header": {"POST / HTTP/1.1\r\nHost: window.example\r\nX-Slow: " + strings.Repeat("x", 4000), 10 * time.Second},
			"body":   {strings.Repeat("x", 4000), time.Minute},
		}
		for what, l := range limits {
			for range 50 {
				c := network.dial()
				if what == "body" {
					fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: window.example\r\nContent-Length: 4000\r\n\r\n")
				}
				slow.Go(func() {
					defer c.Close()
					go io.Copy(io.Discard, c)
					if took := trickle(c, l.sent); took > l.most {
						t.Errorf("a slow %s held its connection for %s", what, took)
					}
				})
			}
		}
		time.Sleep(3 * time.Second) // all of them are under way
		c := network.dial()
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: window.example\r\nConnection: close\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("somebody else is not served: %v", err)
		}
		_ = c.Close()
		slow.Wait()
		_ = server.Close()
		running.Wait()
	})
}
