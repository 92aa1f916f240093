package story

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/demo/stage"
	"certwindow/cmd/phone/client"
	"certwindow/devices/appcred"
	"certwindow/policy"
)

// doctor is the holder of whom the telling of accounts tells: with phones of his own, on each of which he signs in. Each
// may try so often in a while and no more, so that a later scene uses the spare one.
type doctor struct {
	person
	phone, other, spare device
}

// tellAccounts plays what befalls a holder's account and a phone's requests, with the reference phone: passwords, one-time
// codes, lost answers. It comes after the story, on the same stage; where there are two servers, each request goes to the
// next of them.
func tellAccounts(t *testing.T, st *stage.Stage, s *Story, w *watcher, address string) {
	t.Helper()
	d := &doctor{person: person{name: "郭光宏", nationalID: nationalID('K', "18500001"), holder: "8800000000085001", card: "card-guo", email: "guo@hospital.example"},
		phone: device{code: "IPHONE-8501"}, other: device{code: "IPHONE-8502"}, spare: device{code: "IPHONE-8503"}}
	if err := s.play(t.Context(), []scene{s.arrival(d), s.lockedOut(d, w), s.oneTime(d), s.answersLost(t, d, w, address)}); err != nil {
		t.Fatal(err)
	}
	st.LoseAnswers(nil)
}

// arrival is the scene before: he is registered, with all of his phones.
func (s *Story) arrival(d *doctor) scene {
	return scene{"Another doctor, with three phones", []act{{"he is registered with his card, and signs in on each", func(ctx context.Context) (string, error) {
		if err := s.welcome(ctx, &d.person, &d.phone, "guo.hong"); err != nil {
			return "", err
		}
		s.hide("password of a holder", d.password.Reveal())
		for _, another := range []*device{&d.other, &d.spare} {
			page, err := s.clerk.post(ctx, "/devices/new", url.Values{"code": {another.code}, "platform": {"ios"}, "model": {"iPhone 15"}, "institution": {stage.Window}, "person": {d.id}})
			if err != nil {
				return "", err
			}
			another.id = page.id()
			if _, err := s.bind(another)(ctx); err != nil {
				return "", err
			}
			if err := s.signsIn(ctx, another, d.account, byPassword(d.password)); err != nil {
				return "", err
			}
		}
		return "", nil
	}}}}
}

func byPassword(p appcred.Secret) client.Factor {
	return client.Factor{Kind: policy.FactorPassword, Value: p.Reveal()}
}

// signsIn signs a holder in. A phone that asks too often waits and asks again, as the window tells it to.
func (s *Story) signsIn(ctx context.Context, on *device, account string, proof client.Factor) error {
	what := "one-time code of a holder"
	if proof.Kind == policy.FactorPassword {
		what = "password of a holder"
	}
	s.hide(what, proof.Value)
	return patiently(ctx, func() error {
		_, err := on.phone.LoginBy(ctx, account, proof)
		return err
	})
}

// patiently does something again for as long as the window says that there were too many requests.
func patiently(ctx context.Context, do func() error) error {
	for {
		err := do()
		var r *client.Refusal
		if !errors.As(err, &r) || r.Status != http.StatusTooManyRequests || ctx.Err() != nil {
			return err
		}
		pause(ctx, time.Second)
	}
}

// refusedAs is an error that says so, where something was not refused with a code.
func refusedAs(what string, err error, code string) error {
	var r *client.Refusal
	if !errors.As(err, &r) || r.Code != code {
		return fmt.Errorf("%s: %v; it should be refused as %s", what, err, code)
	}
	return nil
}

// reopened is the same phone after its app was ended and begun again, or after another app was begun on it.
func (p *phone) reopened(app string) (*phone, error) {
	about := client.About{Platform: "ios", Model: "reference", OSVersion: "26.1", App: app, AppVersion: appVersion}
	c, err := client.Open(p.dir, about, time.Now)
	if err != nil {
		return nil, err
	}
	c.SetPassword("demo " + strings.TrimPrefix(filepath.Base(p.dir), "phone-"))
	return &phone{c, p.dir, p.st}, nil
}

// counterResets has the clerk identify the holder and hand him an initial password; no login of his goes on.
func (s *Story) counterResets(ctx context.Context, d *doctor) (initial appcred.Secret, err error) {
	where := "/persons/" + d.id + "/account"
	var r *refusal
	if _, err := s.clerk.post(ctx, where, url.Values{}); !errors.As(err, &r) || r.clause != "HCA-8.2.7" {
		return "", fmt.Errorf("nobody was identified, and: %v", err)
	}
	page, err := s.clerk.post(ctx, where, url.Values{"identified": {"yes"}})
	if err != nil {
		return "", err
	}
	text, err := found(page, "data-initial-password")
	s.hide("initial password of a holder", text)
	return appcred.Secret(text), err
}

// changes has the holder set a password of his own in place of the initial one, on the phone on which he is signed in.
func (s *Story) changes(ctx context.Context, d *doctor, initial, next appcred.Secret) error {
	s.hide("password of a holder", next.Reveal())
	if err := patiently(ctx, func() error { return d.phone.phone.ChangePassword(ctx, initial, next) }); err != nil {
		return err
	}
	d.password = next
	d.phone.phone.ProveBy(next)
	return nil
}

// clerkReads tells whether the person's page says something.
func (s *Story) clerkReads(ctx context.Context, d *doctor, words string) error {
	p, err := s.clerk.get(ctx, "/persons/"+d.id)
	if err == nil && !strings.Contains(p.body, words) {
		err = fmt.Errorf("the person's page does not say %q", words)
	}
	return err
}
