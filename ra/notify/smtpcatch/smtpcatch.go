// Package smtpcatch is a mail server that keeps what it is sent: the other end of package notify, for tests and
// for the demonstration.
package smtpcatch

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/mail"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Message is one mail that was taken.
type Message struct {
	ID      string // Message-ID without brackets
	To      []string
	Subject string
	Body    string // as it came, transfer encoding included
}

// Catcher listens on a loopback port. It is safe for concurrent use.
type Catcher struct {
	server   *smtp.Server
	listener net.Listener

	mu       sync.Mutex
	messages []Message
	failing  bool
	came     chan struct{} // closed and made anew at each message
}

// maxMessage is far above any notice.
const maxMessage = 1 << 20

// Start listens on a free port of 127.0.0.1.
func Start() (*Catcher, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &Catcher{listener: l, came: make(chan struct{})}
	c.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{c: c}, nil }))
	c.server.Domain = "localhost"
	c.server.MaxMessageBytes = maxMessage
	c.server.ReadTimeout, c.server.WriteTimeout = 10*time.Second, 10*time.Second
	go c.server.Serve(l)
	return c, nil
}

// Addr is host:port.
func (c *Catcher) Addr() string { return c.listener.Addr().String() }

// Close ends the server. The listener is closed beside it: the server may not have begun to use it yet.
func (c *Catcher) Close() error {
	err := c.server.Close()
	if lerr := c.listener.Close(); err == nil && !errors.Is(lerr, net.ErrClosed) {
		err = lerr
	}
	return err
}

// Fail makes the server refuse every message from now on, or take them again.
func (c *Catcher) Fail(failing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing = failing
}

// Messages are those that came, oldest first.
func (c *Catcher) Messages() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Message(nil), c.messages...)
}

// Wait returns when at least n messages have come.
func (c *Catcher) Wait(ctx context.Context, n int) error {
	for {
		c.mu.Lock()
		have, came := len(c.messages), c.came
		c.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-came:
		}
	}
}

type session struct {
	c  *Catcher
	to []string
}

func (s *session) Reset()        { s.to = nil }
func (s *session) Logout() error { return nil }

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.c.failing {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later"}
	}
	s.c.messages = append(s.c.messages, Message{ID: strings.Trim(m.Header.Get("Message-Id"), "<>"), To: s.to, Subject: subject, Body: string(body)})
	close(s.c.came)
	s.c.came = make(chan struct{})
	return nil
}
