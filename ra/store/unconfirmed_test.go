package store_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// cutting is a way to PostgreSQL that is cut when cut says so of a commit: the server carries it out, and its answer is lost.
func cutting(t *testing.T, address string, cut func() bool) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	server := u.Host
	go func() {
		for {
			phone, err := l.Accept()
			if err != nil {
				return
			}
			go through(phone, server, cut)
		}
	}()
	u.Host = l.Addr().String()
	return u.String()
}

func through(here net.Conn, server string, cut func() bool) {
	defer here.Close()
	there, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer there.Close()
	var lost atomic.Bool
	go func() {
		defer here.Close()
		buf := make([]byte, 1<<16)
		for {
			n, err := there.Read(buf)
			if err != nil || lost.Load() {
				return // the answer has come, and goes no further
			}
			if _, err := here.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 1<<16)
	for {
		n, err := here.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte("commit")) && cut() {
			lost.Store(true)
		}
		if _, err := io.Copy(there, bytes.NewReader(buf[:n])); err != nil {
			return
		}
	}
}

// HCA-8.1.4: a commit whose answer was lost may have been carried out. Whoever was joined in it hears that, and not that his
// request was refused: asked again, he gets the answer that was kept.
func TestUnconfirmedCommit(t *testing.T) {
	var together, cuts atomic.Int32
	address := cutting(t, storetest.PostgresAddress(t), func() bool { return together.Swap(0) > 1 && cuts.CompareAndSwap(0, 1) })
	w := outage{storetest.NewWorld(t, storetest.Open(t, address))}
	now := w.Clock.Now()
	sent := func(n int64, nonce string) store.Sent {
		return store.Sent{KeyHash: "k", Nonce: nonce, NonceUntil: now.Add(time.Hour), Principal: "p", Key: fmt.Sprint(n), Until: now.Add(time.Hour)}
	}
	var n, unconfirmed atomic.Int64
	var all sync.WaitGroup
	over := time.Now().Add(20 * time.Second)
	for range 8 {
		all.Go(func() {
			for cuts.Load() == 0 && time.Now().Before(over) {
				i := n.Add(1)
				err := w.Store.Together(t.Context(), func(tx *store.Tx) error {
					together.Add(1)
					return tx.Taken(sent(i, fmt.Sprint(i)), store.Answer{Status: 200, Type: "application/json", Body: []byte("{}")}, now)
				})
				if err == nil {
					continue
				}
				if ra.KindOf(err) != ra.KindUnavailable {
					t.Errorf("%d: %v", i, err)
				}
				if kept, err := w.Store.Before(t.Context(), sent(i, fmt.Sprint("again ", i)), now); err == nil && kept != nil {
					unconfirmed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if unconfirmed.Load() < 2 {
		t.Errorf("%d joined ones hear what was kept of them", unconfirmed.Load())
	}
}
