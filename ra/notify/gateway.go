package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Gateway hands messages to the hospital's own gateway for text messages and push, as a webhook (HCA-3.4). A request is
// signed as Standard Webhooks have it: the id, the time and the body, by HMAC-SHA256.
type Gateway struct {
	url    string
	secret []byte
	http   *http.Client
	now    func() time.Time
}

// gatewayTime bounds one hand-over.
const gatewayTime = 15 * time.Second

// NewGateway makes one; nothing is connected yet. The client decides whom it trusts.
func NewGateway(url string, secret []byte, client *http.Client, now func() time.Time) *Gateway {
	c := *client
	c.Timeout = gatewayTime
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // a signed message goes where it was meant to
	return &Gateway{url: url, secret: secret, http: &c, now: now}
}

// Message of a gateway: what it is to deliver, over which channel, to which number or address.
type gatewayMessage struct {
	Channel string `json:"channel"` // sms, push
	To      string `json:"to"`
	Locale  string `json:"locale"`
	Subject string `json:"subject"`
	Body    string `json:"body"`
}

// Send hands one message over as a text message.
func (g *Gateway) Send(ctx context.Context, m Message) error { return g.Deliver(ctx, "sms", m) }

// Deliver hands one message over for a channel. Anything but an answer of the 200 kind means that it should be tried
// again; the id is the same then, so that the gateway can tell.
func (g *Gateway) Deliver(ctx context.Context, channel string, m Message) error {
	body, err := json.Marshal(gatewayMessage{Channel: channel, To: m.To.Phone, Locale: m.To.Locale, Subject: m.Subject, Body: m.Body})
	if err != nil {
		return err
	}
	status, err := g.post(ctx, m.ID, body)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("notify: the gateway answered %d", status)
	}
	return err
}

// post signs a webhook, sends it and gives the answer's status.
func (g *Gateway) post(ctx context.Context, id string, body []byte) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	at := strconv.FormatInt(g.now().Unix(), 10)
	mac := hmac.New(sha256.New, g.secret)
	io.WriteString(mac, id+"."+at+".")
	mac.Write(body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", at)
	r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	res, err := g.http.Do(r)
	if err != nil {
		return 0, fmt.Errorf("notify: the gateway does not answer") // the cause would hold its address and no more
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	return res.StatusCode, nil
}

// ByAddress sends mail to who has a mail address, and hands the rest to a gateway where there is one.
type ByAddress struct {
	Mail    Sender
	Gateway Sender // nil: none
}

// Reaches tells whether one of the channels can reach the address.
func (b ByAddress) Reaches(to Address) bool {
	return to.Email != "" || b.Gateway != nil && to.Phone != ""
}

// Send delivers over the first channel that can.
func (b ByAddress) Send(ctx context.Context, m Message) error {
	if m.To.Email != "" {
		return b.Mail.Send(ctx, m)
	}
	return b.Gateway.Send(ctx, m)
}
