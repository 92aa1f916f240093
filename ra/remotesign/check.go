package remotesign

import (
	"context"
	"errors"
	"sync"
	"time"

	"certwindow/policy"
	"certwindow/ra"
)

// facts are what a signature was allowed by.
type facts struct {
	certificate ra.Certificate
	device      ra.DeviceFacts
}

// allowed is the check before every signature; each refusal names its clause: the certificate is live, its holder the
// device's user and applicant (HCA-7.2, HCA-7.3), the app approved (HCA-8.2.1), the key in the HSM, and scope and client
// go together (HCA-5.1.2).
func (s *Service) allowed(ctx context.Context, device ra.DeviceID, w Authorisation) (f facts, err error) {
	err = s.Store.View(ctx, func(tx Tx) error {
		if f.certificate, f.device, err = s.usable(tx, device, w.Certificate, w.Person); err != nil {
			return err
		}
		c := f.certificate
		if c.KeyDesign != ra.KeyHSM {
			return ra.Errorf(ra.KindConflict, "key-not-in-hsm", nil, "This certificate's key is on the phone. Nothing was signed.")
		}
		approved, err := tx.Scopes()
		if err != nil {
			return err
		}
		return s.scopeAllows(ctx, c, w, approved)
	})
	return f, err
}

func (s *Service) scopeAllows(ctx context.Context, c ra.Certificate, w Authorisation, approved []policy.ApprovedScope) error {
	client := Client{ID: DeviceClient, Institution: c.Institution, Scopes: c.Scope}
	if w.Client != DeviceClient {
		var err error
		if client, err = s.Clients.Client(ctx, w.Client); err != nil && ra.KindOf(err) != ra.KindNotFound {
			return err
		}
	}
	return ra.Refused(policy.All(
		policy.SignatureScope(policy.Signing{Scope: w.Scope, Certificate: c.Scope, Client: client.Scopes, SameClient: client.Institution == c.Institution}),
		policy.Scope([]string{w.Scope}, string(c.Institution), approved),
	))
}

// inNetwork keeps HSM keys inside the institution's private network (HCA-6.3.7).
func (s *Service) inNetwork(actor ra.Actor) error {
	return ra.Refused(policy.HSMFrom(s.Zones, actor.Address))
}

// generationsFor is how long the number of the newest master key is believed: a rollover takes longer.
const generationsFor = time.Minute

// generations remembers the newest master key, so that the token is not searched for each signature.
type generations struct {
	mu     sync.Mutex
	newest int
	asked  time.Time
}

// newest is the generation that keys are moved to when they are used.
func (s *Service) newest(ctx context.Context) (int, error) {
	g := &s.generations
	g.mu.Lock()
	defer g.mu.Unlock()
	now := s.Now()
	if since := now.Sub(g.asked); g.newest > 0 && since >= 0 && since < generationsFor {
		return g.newest, nil
	}
	all, err := s.Keys.MasterGenerations(ctx)
	if err == nil && len(all) == 0 {
		err = errors.New("the token holds no master key")
	}
	if err != nil {
		return 0, err
	}
	g.newest, g.asked = all[len(all)-1], now
	return g.newest, nil
}
