package story

import (
	"context"
	"fmt"
	"time"

	"certwindow/cmd/demo/stage"
)

// Cast names who and what there is after Prepare: persons and devices by their ids in the window, cards by their
// labels on the stage.
type Cast struct {
	Wang, Chen            string
	WangCard, ChenCard    string
	IPhone, Tablet, Spare string
}

// Cast is valid after Prepare.
func (s *Story) Cast() Cast {
	return Cast{s.wang.id, s.chen.id, s.wang.card, s.chen.card, s.iphone.id, s.tablet.id, s.spare.id}
}

// AddStaff has the administrator and the approver make an account, whose initial password has to be changed at the first sign-in
// (HCA-8.2.6). The institution is the code of the account's own; an account of the whole window has none.
func (s *Story) AddStaff(ctx context.Context, account, name, role, institution string) (stage.Account, error) {
	return s.hire(ctx, account, name, role, institution)
}

// Enrol has a holder's card consent to a key in the HSM for the tablet, and returns the certificate's id once the
// HCA has issued. It needs every card in a reader: see stage.StartAgent.
func (s *Story) Enrol(ctx context.Context) (certificate string, err error) {
	application, _, err := s.consent(ctx, wish{s.wang, s.tablet, []string{"EMR-SIGN", "E-PRESCRIPTION"}, "hsm"})
	if err != nil {
		return "", err
	}
	return s.completed(ctx, application)
}

// Begin makes an application for a key on the iPhone that waits for its holder's card, and returns its id.
func (s *Story) Begin(ctx context.Context) (application string, err error) {
	application, _, err = s.begin(ctx, wish{s.wang, s.iphone, []string{"EMR-SIGN"}, "app"})
	return application, err
}

// PhoneEnrols has the phone of a device, by its id, do its part of an application that the card has signed: make its own
// key and hand in the request, or send the secret that a key in the HSM obeys.
func (s *Story) PhoneEnrols(ctx context.Context, deviceID, application string) error {
	for _, d := range []*device{&s.iphone, &s.tablet, &s.spare} {
		if d.id == deviceID {
			return d.phone.enrol(ctx, application)
		}
	}
	return fmt.Errorf("there is no device %s", deviceID)
}

// Scan has a fresh phone read the text of a binding's QR, and returns the code that it shows its holder.
func (s *Story) Scan(ctx context.Context, qr string) (shown string, err error) {
	p, err := newPhone(s.st, fmt.Sprintf("scan-%d", time.Now().UnixNano()))
	if err != nil {
		return "", err
	}
	return p.bind(ctx, qr)
}
