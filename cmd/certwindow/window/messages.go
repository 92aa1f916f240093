package window

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"certwindow/devices/appcred"
	"certwindow/ra"
	"certwindow/ra/notify"
)

// openMessages opens the ways by which holders are told and sent codes: mail, and the hospital's gateway for text
// messages and push where one is configured (HCA-3.4, HCA-8.2.7).
func (w *Window) openMessages() error {
	settings, err := w.smtp()
	if err != nil {
		return err
	}
	channels := notify.ByAddress{Mail: notify.NewMail(settings)}
	w.codes = codeSender{w: w, mail: channels.Mail}
	if w.Config.Gateway.URL != "" {
		if w.codes.gateway, err = w.gatewayOfMessages(); err != nil {
			return err
		}
		channels.Gateway = w.codes.gateway
	}
	w.Notify = notify.New(w.Store, w.register, channels, w.Config.Window.Name, w.now)
	return nil
}

func (w *Window) smtp() (notify.SMTP, error) {
	s := w.Config.SMTP
	out := notify.SMTP{Host: s.Host, Port: s.Port, From: s.From, TLS: s.TLS, User: s.User}
	if s.PasswordFile == "" {
		return out, nil
	}
	password, err := w.Config.Secret(s.PasswordFile)
	if err != nil {
		return out, fmt.Errorf("smtp.password_file: %w", err)
	}
	out.Password = string(password.Bytes())
	return out, nil
}

func (w *Window) gatewayOfMessages() (*notify.Gateway, error) {
	g := w.Config.Gateway
	secret, err := w.Config.Secret(g.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("gateway.secret_file: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if g.TLSRoots != "" {
		pem, err := os.ReadFile(w.Config.Path(g.TLSRoots))
		if err != nil {
			return nil, fmt.Errorf("gateway.tls_roots: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("gateway.tls_roots: the file holds no certificate")
		}
	}
	return notify.NewGateway(g.URL, secret.Bytes(), &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}, w.now), nil
}

// codeSender sends holders their one-time codes.
type codeSender struct {
	w       *Window
	mail    notify.Sender
	gateway *notify.Gateway // nil: no text messages and no push
}

// codeTexts are the words around a code, in each language. They say what it is for and that nobody asks for it, since
// codes are stolen by asking for them (HCA-8.2.7(1)).
var codeTexts = map[string][2]string{
	"zh-Hant-TW": {"一次性密碼", "%s 的一次性密碼：%s。五分鐘內有效，僅供您本人在行動裝置上輸入；任何人（包括本院人員）都不會向您索取。"},
	"en":         {"One-time password", "One-time password of %s: %s. It is good for five minutes, for you alone to type on your device; nobody, our own staff included, will ask you for it."},
}

// SendCode implements appcred.Sender.
func (s codeSender) SendCode(ctx context.Context, channel appcred.Channel, to appcred.Contact, code appcred.Secret) error {
	id, err := ra.NewID(s.w.now(), rand.Reader)
	if err != nil {
		return err
	}
	words, ok := codeTexts[to.Locale]
	if !ok {
		words = codeTexts["zh-Hant-TW"]
	}
	m := notify.Message{ID: id, To: notify.Address{Email: to.Email, Phone: to.Phone, Locale: to.Locale}, Subject: words[0],
		Body: fmt.Sprintf(words[1], s.w.Config.Window.Name, code.Reveal())}
	switch {
	case channel == appcred.Mail && to.Email != "":
		return s.mail.Send(ctx, m)
	case channel != appcred.Mail && s.gateway != nil && to.Phone != "":
		return s.gateway.Deliver(ctx, string(channel), m)
	}
	return errors.New("the holder has no address on this channel")
}
