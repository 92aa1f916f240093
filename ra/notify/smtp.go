package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/wneessen/go-mail"
)

// SMTP says how mail leaves. Password is empty for a relay that asks for none.
type SMTP struct {
	Host     string
	Port     int
	From     string
	TLS      bool // STARTTLS is demanded; without it nothing is encrypted, which only development may do
	User     string
	Password string
}

// Mail is a Sender over SMTP.
type Mail struct {
	cfg SMTP
}

// NewMail makes a Sender; nothing is connected yet.
func NewMail(cfg SMTP) *Mail { return &Mail{cfg: cfg} }

// Send delivers one message. Its Message-ID is made of the notice's id, so that a repetition after a lost
// acknowledgement can be told by the receiving side.
func (s *Mail) Send(ctx context.Context, m Message) error {
	msg := mail.NewMsg()
	if err := msg.From(s.cfg.From); err != nil {
		return fmt.Errorf("notify: sender address: %w", err)
	}
	if err := msg.To(m.To.Email); err != nil {
		return fmt.Errorf("notify: the holder's address cannot be used")
	}
	msg.SetMessageIDWithValue(m.ID + "@certwindow")
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetBodyString(mail.TypeTextPlain, m.Body)
	client, err := s.client()
	if err != nil {
		return err
	}
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

func (s *Mail) client() (*mail.Client, error) {
	policy := mail.NoTLS
	if s.cfg.TLS {
		policy = mail.TLSMandatory
	}
	opts := []mail.Option{mail.WithPort(s.cfg.Port), mail.WithTLSPolicy(policy), mail.WithTimeout(20 * time.Second)}
	if s.cfg.User != "" {
		opts = append(opts, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.cfg.User), mail.WithPassword(s.cfg.Password))
	}
	c, err := mail.NewClient(s.cfg.Host, opts...)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	return c, nil
}
