package story

import (
	"context"
	"fmt"
	"net/url"

	"certwindow/cmd/demo/stage"
)

// Newcomer is a holder of whom the story does not tell: with a card, a phone and certificates of his own, which may come to
// any end.
type Newcomer struct {
	Person, Device string // ids in the window
	Name, Code     string // what the person and the device are called
	Certificates   []string

	who person
	on  device
}

// Welcome registers the n-th newcomer, n from 1 to 99, and enrols as many certificates on his phone as are asked for. All
// cards are in their readers afterwards.
func (s *Story) Welcome(ctx context.Context, n, certificates int) (x Newcomer, err error) {
	p := person{name: "高" + given[n%len(given)], nationalID: nationalID('H', fmt.Sprintf("1%07d", 7400000+n)), holder: fmt.Sprintf("88000000000%05d", 70000+n),
		card: fmt.Sprintf("card-newcomer-%d", n), email: fmt.Sprintf("newcomer%d@hospital.example", n)}
	d := device{code: fmt.Sprintf("NEWCOMER-%04d", n)}
	if err := s.welcome(ctx, &p, &d, fmt.Sprintf("newcomer.%d", n)); err != nil {
		return x, err
	}
	x = Newcomer{Person: p.id, Device: d.id, Name: p.name, Code: d.code, who: p, on: d}
	for range certificates {
		application, err := s.apply(ctx, x)
		if err != nil {
			return x, err
		}
		certificate, err := s.completed(ctx, application)
		if err != nil {
			return x, err
		}
		x.Certificates = append(x.Certificates, certificate)
	}
	return x, nil
}

// Apply has a newcomer's card consent to one certificate more, and returns the application that then goes to the HCA. All
// cards are in their readers afterwards.
func (s *Story) Apply(ctx context.Context, x Newcomer) (application string, err error) {
	if err := s.st.StartAgent(ctx); err != nil {
		return "", err
	}
	return s.apply(ctx, x)
}

func (s *Story) apply(ctx context.Context, x Newcomer) (application string, err error) {
	application, _, err = s.consent(ctx, wish{x.who, x.on, []string{"EMR-SIGN"}, "hsm"})
	return application, err
}

// welcome registers a person with a card, a bound iPhone and an account on it.
func (s *Story) welcome(ctx context.Context, p *person, d *device, account string) error {
	if err := s.st.Card(ctx, p.card, p.name, p.holder, "person"); err != nil {
		return err
	}
	if err := s.st.StartAgent(ctx); err != nil {
		return err
	}
	if err := s.registerPerson(ctx, p); err != nil {
		return err
	}
	page, err := s.clerk.post(ctx, "/devices/new", url.Values{"code": {d.code}, "platform": {"ios"}, "model": {"iPhone 17"}, "institution": {stage.Window}, "person": {p.id}})
	if err != nil {
		return err
	}
	d.id = page.id()
	if _, err := s.bind(d)(ctx); err != nil {
		return err
	}
	return s.openAccount(ctx, p, account, d)
}
