package stage

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// replica is one server of the window. All of them share database and token.
type replica struct {
	name, listen, config, ready string
	process                     *process // nil while it is down
}

// open starts the servers, and what stands before them.
func (s *Stage) open(ctx context.Context) (err error) {
	if s.fronted() {
		if s.front, err = s.startFront(); err != nil {
			return err
		}
	}
	return s.StartServer(ctx)
}

// StartServer starts the servers, or starts again those that were stopped or killed.
func (s *Stage) StartServer(ctx context.Context) error {
	for i := range s.servers {
		if err := s.StartReplica(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// StartReplica starts one of the servers, counted from zero, if it is down.
func (s *Stage) StartReplica(ctx context.Context, i int) (err error) {
	r := s.servers[i]
	if r.process != nil {
		return nil
	}
	p, err := s.start(ctx, r.name, r.ready, []string{s.windowEnv()}, "certwindow", "serve", "--config", r.config)
	if err != nil {
		return err
	}
	s.front.set(func() { r.process = p })
	return nil
}

// StopServer ends the servers in good order.
func (s *Stage) StopServer() {
	for _, r := range s.servers {
		s.down(r).stop()
	}
}

// KillServer ends the servers between two instructions.
func (s *Stage) KillServer() {
	for i := range s.servers {
		s.KillReplica(i)
	}
}

// KillReplica ends one of the servers between two instructions.
func (s *Stage) KillReplica(i int) {
	if p := s.down(s.servers[i]); p != nil {
		p.kill()
	}
}

func (s *Stage) down(r *replica) (p *process) {
	s.front.set(func() { p, r.process = r.process, nil })
	return p
}

// Carry has the servers start anew so that a person carries their requests to the HCA and its answers back (HCA-3.3), or so
// that they ask it themselves again.
func (s *Stage) Carry(ctx context.Context, byHand bool) error {
	s.StopServer()
	s.carried = byHand
	for _, r := range s.servers {
		if err := s.writeConfig(r); err != nil {
			return err
		}
	}
	return s.StartServer(ctx)
}

// AnswerFiles has the HCA answer every request in one folder with a file in another.
func (s *Stage) AnswerFiles(ctx context.Context, requests, answers string) error {
	_, err := s.Run(ctx, "hcasim", "answer", "--dir", s.path("hca"), "--in", requests, "--out", answers)
	return err
}

// ServeAt starts one more server on the same database and token, on a free port of another address of this machine, and
// returns where it answers. It ends with the stage.
func (s *Stage) ServeAt(ctx context.Context, host string) (string, error) {
	free, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	address := free.Addr().String()
	free.Close()
	name := fmt.Sprintf("certwindow-beside-%d", len(s.beside)+1)
	r := &replica{name: name, listen: address, config: s.path(name + ".yaml"), ready: s.path(name + ".ready")}
	if err := s.writeConfig(r); err != nil {
		return "", err
	}
	p, err := s.start(ctx, r.name, r.ready, []string{s.windowEnv()}, "certwindow", "serve", "--config", r.config)
	if err != nil {
		return "", err
	}
	s.beside = append(s.beside, p)
	return address, nil
}

// Replicas is how many servers stand behind the address of the stage.
func (s *Stage) Replicas() int { return len(s.servers) }

// Replica is the address of one server, for a request that goes to that one alone.
func (s *Stage) Replica(i int) string {
	return "https://localhost" + s.servers[i].listen[strings.LastIndexByte(s.servers[i].listen, ':'):]
}

// fronted tells whether something stands between the servers and those who ask.
func (s *Stage) fronted() bool { return s.opt.Replicas > 1 || s.opt.Watch != nil }

// Exchange is one request of a browser or a phone, and its answer.
type Exchange struct {
	Request *http.Request // its body has been read
	Sent    []byte
	Status  int
	Header  http.Header
	Body    []byte
	Lost    bool // it did not reach the one who asked
}

// front is the load balancer of a hospital: it gives each request to the next server that is up.
type front struct {
	stage  *Stage
	server *http.Server
	proxy  *httputil.ReverseProxy

	mu   sync.Mutex
	next int
	lose func(*http.Request) bool // whose answer is lost; nil: nobody's
}

// LoseAnswers has the answers to requests that the test picks get lost on their way back: the window carries the request
// out, and who sent it sees the connection break. nil ends it. It needs Watch.
func (s *Stage) LoseAnswers(picked func(*http.Request) bool) {
	s.front.set(func() { s.front.lose = picked })
}

func (s *Stage) startFront() (*front, error) {
	client, err := s.Client()
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(s.path("tls.pem"), s.path("tls.key"))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", s.opt.Listen)
	if err != nil {
		return nil, err
	}
	f, silent := &front{stage: s}, log.New(io.Discard, "", 0)
	f.proxy = &httputil.ReverseProxy{Transport: between{s, client.Transport.(*http.Transport)}, Rewrite: f.choose, ErrorLog: silent}
	f.server = &http.Server{Handler: f, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}, ErrorLog: silent}
	go f.server.ServeTLS(listener, "", "")
	return f, nil
}

// choose passes a request on as it came, signatures and host name included.
func (f *front) choose(r *httputil.ProxyRequest) {
	var up []*replica
	f.set(func() {
		up = slices.DeleteFunc(slices.Clone(f.stage.servers), func(r *replica) bool { return r.process == nil })
		f.next++
	})
	target := &url.URL{Scheme: "https", Host: "127.0.0.1:1"} // nobody: the answer is 502
	if len(up) > 0 {
		target.Host = up[f.next%len(up)].listen
	}
	r.SetURL(target)
	r.Out.Host = r.In.Host
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if said, ok := r.In.Header[name]; ok {
			r.Out.Header[name] = said
		}
	}
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = as(r)
	if f.stage.opt.Watch == nil {
		f.proxy.ServeHTTP(w, r)
		return
	}
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(sent))
	seen := &tee{ResponseWriter: w, status: http.StatusOK}
	f.set(func() { seen.lost = f.lose != nil && f.lose(r) })
	f.proxy.ServeHTTP(seen, r)
	f.stage.opt.Watch(Exchange{Request: r, Sent: sent, Status: seen.status, Header: w.Header().Clone(), Body: seen.body.Bytes(), Lost: seen.lost})
	if seen.lost {
		panic(http.ErrAbortHandler) // the connection breaks
	}
}

// set does something that choose must see whole.
func (f *front) set(do func()) {
	if f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
	}
	do()
}

func (f *front) close() {
	if f != nil {
		_ = f.server.Close()
	}
}

// tee keeps an answer while it passes.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
	lost   bool // nothing of it is passed on
}

func (t *tee) WriteHeader(status int) {
	t.status = status
	if !t.lost {
		t.ResponseWriter.WriteHeader(status)
	}
}

func (t *tee) Write(b []byte) (int, error) {
	t.body.Write(b)
	if t.lost {
		return len(b), nil
	}
	return t.ResponseWriter.Write(b)
}
