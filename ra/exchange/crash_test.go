package exchange_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/certpath"
	"certwindow/ra/exchange"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// crash is what a process that dies leaves behind: a panic that nobody of ours catches.
type crash struct{}

// dying is a store that lets its process die at one of its transactions: before it is committed, or right after.
type dying struct {
	store.ExchangeStore
	left   int
	commit bool
}

func (d *dying) Update(ctx context.Context, fn func(exchange.Tx) error) error {
	d.left--
	if d.left != 0 {
		return d.ExchangeStore.Update(ctx, fn)
	}
	if !d.commit {
		return d.ExchangeStore.Update(ctx, func(tx exchange.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			panic(crash{})
		})
	}
	if err := d.ExchangeStore.Update(ctx, fn); err != nil {
		return err
	}
	panic(crash{})
}

// run tells whether the process died.
func dies(f func()) (died bool) {
	defer func() {
		if x := recover(); x != nil {
			if _, ok := x.(crash); !ok {
				panic(x)
			}
			died = true
		}
	}()
	f()
	return false
}

// HCA-3.3, HCA-7.5: wherever a process dies, at any of its transactions, before its commit or after, the next one goes
// on from there and ends with one certificate.
func TestDeathAtEachTransaction(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGate(t, db, sim)
		deaths := 0
		for n := 1; ; n++ {
			survived := false
			for _, commit := range []bool{false, true} {
				a := g.requested(t)
				d := &dying{ExchangeStore: store.ExchangeStore{Store: g.Store}, left: n, commit: commit}
				died := dies(func() {
					if _, err := g.service(d, g.adapter).Run(context.Background(), a.ID); err != nil {
						t.Error(err)
					}
				})
				if !died {
					survived = true
				} else {
					deaths++
				}
				if _, err := g.run(a.ID); err != nil {
					t.Fatalf("after death at transaction %d (committed: %v): %v", n, commit, err)
				}
				g.once(t, a)
				g.freeAll(t)
			}
			if survived {
				break
			}
		}
		if deaths < 8 {
			t.Errorf("only %d deaths were tried", deaths)
		}
		g.Audit(t)
	})
}

// freeAll gives the person's places back, for the next application.
func (g *gate) freeAll(t testing.TB) {
	t.Helper()
	if err := g.DB.Gorm.Exec("UPDATE applications SET slot = NULL").Error; err != nil {
		t.Fatal(err)
	}
}

// halting is an adapter whose process dies around the sending: before anything left, or when the HCA has acted and its
// answer is in hand.
type halting struct {
	hca.Adapter
	before bool
}

func (h halting) Send(ctx context.Context, p hca.Prepared) (hca.Outcome, error) {
	if !h.before {
		if _, err := h.Adapter.Send(ctx, p); err != nil {
			return hca.Outcome{State: hca.Unknown}, err
		}
	}
	panic(crash{})
}

// HCA-3.3: a process that dies between sending and storing leaves an application whose outcome is unknown and whose
// place is held; the next one asks, and sends again only what the HCA never saw.
func TestDeathAroundSending(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGate(t, db, sim)
		for _, before := range []bool{true, false} {
			a := g.requested(t)
			for range 3 { // and it dies again
				if !dies(func() {
					_, err := g.service(store.ExchangeStore{Store: g.Store}, halting{g.adapter, before}).Run(context.Background(), a.ID)
					if err != nil {
						t.Error(err)
					}
				}) {
					break // the HCA told of it at the query, so nothing was sent
				}
				if got := g.Application(t, a.ID); got.State != ra.AppSent || got.Slot == nil || got.CertificateID != nil {
					t.Fatalf("right after the death: %s, place %v", got.State, got.Slot)
				}
			}
			if _, err := g.run(a.ID); err != nil {
				t.Fatal(err)
			}
			g.once(t, a)
		}
	})
}

// childEnv holds the instructions of a child process, in JSON.
const childEnv = "CERTWINDOW_TEST_EXCHANGE_CHILD"

// orders are what a child process needs to be a window.
type orders struct {
	Database, URL                     string
	TLSRoot, Root, CA, Dedicated, Key []byte
	Application                       ra.ApplicationID
	Person                            ra.PersonFacts
}

// childMain is a window that sends one request, says that the answer has come, and stores nothing.
func childMain() {
	var o orders
	check(json.Unmarshal([]byte(os.Getenv(childEnv)), &o))
	db, err := store.Open(context.Background(), o.Database)
	check(err)
	key, err := x509.ParseECPrivateKey(o.Key)
	check(err)
	tlsRoot, err := x509.ParseCertificate(o.TLSRoot)
	check(err)
	root, err := certpath.ParseCertificate(o.Root)
	check(err)
	roots := x509.NewCertPool()
	roots.AddCert(tlsRoot)
	signer := &hcatest.Signer{}
	signer.Set(cmc.Credential{Key: key, Certificate: o.Dedicated, Chain: [][]byte{o.CA}})
	adapter, err := cmc.New(cmc.Config{URL: o.URL, TLSRoots: roots, Anchors: []*certpath.Certificate{root}, Signer: signer, Now: time.Now, Rand: rand.Reader})
	check(err)
	register := &storetest.Register{}
	register.Person(o.Person.ID, func(p *ra.PersonFacts) { *p = o.Person })
	s := exchange.New(store.ExchangeStore{Store: store.New(db, register, nil, storetest.Sealer(), time.Now, rand.Reader)}, waiting{adapter}, storetest.Good,
		exchange.Profile{Issuers: [][]byte{o.CA}}, time.Now, rand.Reader)
	_, err = s.Run(context.Background(), o.Application)
	check(fmt.Errorf("the child came to an end: %w", err))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

// waiting says that the HCA has answered, and holds the answer back until it is killed.
type waiting struct{ hca.Adapter }

func (w waiting) Send(ctx context.Context, p hca.Prepared) (hca.Outcome, error) {
	out, err := w.Adapter.Send(ctx, p)
	check(err)
	fmt.Println(out.State)
	select {}
}

// HCA-3.3: a real process, killed when the HCA has issued and before anything is stored.
func TestKilledProcess(t *testing.T) {
	sim := hcatest.NewWindow(t)
	for name, address := range map[string]func(testing.TB) string{"SQLite": storetest.SQLiteAddress, "PostgreSQL": storetest.PostgresAddress} {
		t.Run(name, func(t *testing.T) {
			where := address(t)
			g := newGate(t, storetest.Open(t, where), sim)
			a := g.requested(t)
			if state := g.runChild(t, where, a); state != string(hca.Issued) {
				t.Fatalf("the child was told %q", state)
			}
			got := g.Application(t, a.ID)
			if got.State != ra.AppSent || got.Slot == nil || g.Count(t, "certificates") != 0 {
				t.Fatalf("after the kill: %s, place %v, %d certificates", got.State, got.Slot, g.Count(t, "certificates"))
			}
			if n := len(g.issuedTo(t, a.CSR)); n != 1 {
				t.Fatalf("the HCA issued %d certificates", n)
			}
			if _, err := g.run(a.ID); err != nil {
				t.Fatal(err)
			}
			g.once(t, a)
		})
	}
}

// runChild starts a window of its own, and kills it as soon as the HCA has answered.
func (g *gate) runChild(t testing.TB, database string, a ra.Application) string {
	t.Helper()
	cred, err := g.hca.Signer.Dedicated(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalECPrivateKey(cred.Key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	person, err := g.Register.PersonFacts(nil, g.doctor)
	if err != nil {
		t.Fatal(err)
	}
	s := g.hca.Server
	raw, err := json.Marshal(orders{Database: database, URL: s.CMCURL, TLSRoot: s.TLSRoot().Raw, Root: s.Root().Raw, CA: s.CA().Raw,
		Dedicated: cred.Certificate, Key: key, Application: a.ID, Person: person})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(raw))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	state := lines.Text()
	if err := cmd.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	_ = cmd.Wait()
	return state
}

// counting is an adapter that counts what is asked of it.
type counting struct {
	hca.Adapter
	sent, asked int
}

func (c *counting) Send(ctx context.Context, p hca.Prepared) (hca.Outcome, error) {
	c.sent++
	return c.Adapter.Send(ctx, p)
}

func (c *counting) Query(ctx context.Context, p hca.Prepared) (hca.Outcome, error) {
	c.asked++
	return c.Adapter.Query(ctx, p)
}

// HCA-3.3: what may have left is asked after and never blindly sent again, since not every HCA knows a repetition.
func TestAsksBeforeSendingAgain(t *testing.T) {
	g := newGate(t, storetest.SQLite(t), hcatest.NewWindow(t))
	for _, c := range []struct {
		before      bool // the process died before anything left
		sent, asked int
	}{{false, 0, 1}, {true, 1, 1}} {
		a := g.requested(t)
		if !dies(func() {
			_, err := g.service(store.ExchangeStore{Store: g.Store}, halting{g.adapter, c.before}).Run(context.Background(), a.ID)
			t.Error(err)
		}) {
			t.Fatal("the process lives")
		}
		n := &counting{Adapter: g.adapter}
		if _, err := g.service(store.ExchangeStore{Store: g.Store}, n).Run(context.Background(), a.ID); err != nil {
			t.Fatal(err)
		}
		if n.sent != c.sent || n.asked != c.asked {
			t.Errorf("sent %d times and asked %d times, want %d and %d", n.sent, n.asked, c.sent, c.asked)
		}
		g.once(t, a)
	}
}
