package story

import (
	"context"
	"fmt"
)

// ward is a doctor with a phone of his own, on which the story of the systems is told: it may come to any end.
type ward struct {
	doctor person
	phone  device
	// certificates with keys in the HSM: one that is revoked, one that is suspended, one that stays; and one on the phone.
	revoked, suspended, stays, own string
	other                          *recordSystem // another system of the same hospital
}

// TellSystems tells, after Tell, of the hospital's systems that ask for signatures, and of what stops them. The stage has a
// time-stamping authority.
func (s *Story) TellSystems(ctx context.Context) error {
	return s.play(ctx, []scene{s.openWard(), s.stopped(), s.outside(), s.granted(), s.stamped(), s.lost()})
}

func (s *Story) openWard() scene {
	w := &s.ward
	w.doctor = person{name: "許佳穎", nationalID: nationalID('K', "27650013"), holder: "8800000000000033", card: "card-xu", email: "xu@hospital.example"}
	w.phone = device{code: "IPHONE-0033"}
	return scene{"A doctor with a phone, and two record systems", []act{
		{"card, phone and account", func(ctx context.Context) (string, error) { return "", s.welcome(ctx, &w.doctor, &w.phone, "xu.ying") }},
		{"three keys in the HSM, one on the phone", s.enrolWard},
		{"a second record system is registered", func(ctx context.Context) (_ string, err error) {
			w.other, err = s.registered(ctx, "ris")
			return "", err
		}},
	}}
}

func (s *Story) enrolWard(ctx context.Context) (string, error) {
	for _, x := range []struct {
		key  string
		into *string
	}{{"hsm", &s.ward.revoked}, {"hsm", &s.ward.suspended}, {"hsm", &s.ward.stays}, {"app", &s.ward.own}} {
		var err error
		if *x.into, err = s.wardKey(ctx, x.key); err != nil {
			return "", err
		}
	}
	return fmt.Sprint(s.ward.revoked, " ", s.ward.suspended, " ", s.ward.stays, " ", s.ward.own), nil
}

// wardKey enrols the doctor once more, for a key in the app or the HSM.
func (s *Story) wardKey(ctx context.Context, key string) (certificate string, err error) {
	application, _, err := s.consent(ctx, wish{s.ward.doctor, s.ward.phone, []string{"EMR-SIGN"}, key})
	if err != nil {
		return "", err
	}
	if key == "app" {
		if err := s.ward.phone.phone.enrol(ctx, application); err != nil {
			return "", err
		}
	}
	if certificate, err = s.completed(ctx, application); err != nil {
		return "", err
	}
	return certificate, s.ward.phone.phone.fetch(ctx, application)
}

// asked has the hospital's record system ask the doctor for signatures with one of the certificates.
func (s *Story) asked(ctx context.Context, certificate, title string, n int) (*batch, error) {
	c, err := s.records.credentialOf(ctx, s.ward.doctor.account, certificate)
	if err != nil {
		return nil, err
	}
	return s.records.asks(ctx, c, title, n)
}
