package client

import (
	"context"
	"errors"
	"fmt"
)

// ErrNotApplied says that a certificate is not being renewed: its holder has to apply for the next one by card, at the
// counter.
var ErrNotApplied = errors.New("nobody has applied for the next certificate yet: the holder does so by card, at the counter")

// Renew makes the key of the application that renews a certificate, hands in its request and waits for the newer
// certificate. The holder has applied for it by card before: a renewal is an application like any other, for a new key.
// It may be called again after a crash or a lost connection.
func (p *Phone) Renew(ctx context.Context, certificate string) (c Issued, err error) {
	waiting, err := p.Applications(ctx)
	if err != nil {
		return c, err
	}
	for _, a := range waiting {
		if a.Renews != certificate {
			continue
		}
		if p.state.Renewing == nil {
			p.state.Renewing = map[string]string{}
		}
		p.state.Renewing[certificate] = a.Application // it waits no more once its request is handed in
		if err := p.save(); err != nil {
			return c, err
		}
		if err := p.Enrol(ctx, a.Application); err != nil {
			return c, err
		}
	}
	application, begun := p.state.Renewing[certificate]
	if !begun {
		return c, ErrNotApplied
	}
	return p.Certificate(ctx, application)
}

// Newest is the certificate that is used in place of one: the last of those that follow it and that this phone holds, or
// the certificate itself. Of an older one the key stays where it is until its certificate has ended; it is used no more.
func (p *Phone) Newest(ctx context.Context, certificate string) (Certificate, error) {
	list, err := p.Certificates(ctx)
	if err != nil {
		return Certificate{}, err
	}
	known := map[string]Certificate{}
	for _, c := range list {
		known[c.Certificate] = c
	}
	now, there := known[certificate]
	if !there {
		return now, fmt.Errorf("the window knows no certificate %s of this holder on this phone", certificate)
	}
	for range list { // a chain is no longer than the list
		next, there := known[now.RenewedBy]
		if _, held := p.state.Holds[now.RenewedBy]; !there || !held {
			break
		}
		now = next
	}
	return now, nil
}
