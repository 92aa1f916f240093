package story

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"certwindow/cmd/phone/client"
)

// most is how many hashes one authorisation holds.
const most = 500

// stopped is the scene of certificates that end while a batch is being signed: what was signed before stays, nothing comes
// after (HCA-7.2).
func (s *Story) stopped() scene {
	w := &s.ward
	var byCard, byWindow *batch
	return scene{"Revoked in the middle of a batch", []act{
		{"the doctor's card revokes the certificate after the first part of 500", func(ctx context.Context) (told string, err error) {
			var done func() error
			byCard, told, err = s.stoppedBy(ctx, w.revoked, func(certificate string) (end func() error, err error) {
				end, done, err = s.revocationReady(ctx, certificate, w.doctor.card)
				return end, err
			})
			if err != nil {
				return "", err
			}
			return told, done()
		}},
		s.refusal("what was not signed before", "HCA-7.2", func(ctx context.Context) error { _, err := byCard.fetch(ctx, most-1); return err }),
		s.refusal("another request for the revoked certificate", "HCA-7.2", func(ctx context.Context) error {
			_, err := s.records.asks(ctx, byCard.of, "出院病歷", 1)
			return err
		}),
		{"the window suspends the other one after the first part", func(ctx context.Context) (told string, err error) {
			byWindow, told, err = s.stoppedBy(ctx, w.suspended, func(certificate string) (end func() error, err error) {
				return func() error {
					_, err := s.clerk.post(ctx, "/certificates/"+certificate+"/suspend", url.Values{"suspend_note": {"the doctor called"}})
					return err
				}, nil
			})
			return told, err
		}},
		s.refusal("what was not signed before", "HCA-7.2", func(ctx context.Context) error { _, err := byWindow.fetch(ctx, most-1); return err }),
	}}
}

// revocationReady has a card sign a certificate's revocation ahead; revoke hands it in, and done waits for the HCA.
func (s *Story) revocationReady(ctx context.Context, certificate, card string) (revoke, done func() error, err error) {
	page, err := s.clerk.post(ctx, "/certificates/"+certificate+"/revoke", url.Values{"reason": {"superseded"}})
	if err != nil {
		return nil, nil, err
	}
	text, err := found(page, "data-text")
	if err != nil {
		return nil, nil, err
	}
	signed, err := s.cards.sign(ctx, card, text)
	if err != nil {
		return nil, nil, err
	}
	message, err := signed.message()
	if err != nil {
		return nil, nil, err
	}
	return func() error { return s.submit(ctx, page.id(), message, signed.Insertion) },
		func() error { _, err := s.completed(ctx, page.id()); return err }, nil
}

// early is how many hashes at the most may be signed when the end begins, so that a slow machine ends the certificate before
// the batch.
const early = most * 3 / 10

// stoppedBy has the phone release as large a batch as there is, and the certificate ended as soon as a part of it is signed;
// ready prepares that end. A batch of which nobody saw an early part is no case, and another one is. Where the batch was faster
// than the end that had begun, the doctor is enrolled for another certificate.
func (s *Story) stoppedBy(ctx context.Context, certificate string, ready func(certificate string) (end func() error, err error)) (b *batch, told string, err error) {
	defer moved(s.records.HTTP, inside, s.st.Replica(0), nil)() // what stands between costs time that the batch does not have
	end, err := ready(certificate)
	for range 20 {
		if err != nil {
			return b, "", err
		}
		var (
			stopped *client.Refusal
			begun   bool
		)
		if b, stopped, begun, err = s.endedMidway(ctx, certificate, end); err != nil {
			return b, "", err
		}
		n := b.collected()
		switch {
		case n == most && stopped == nil && !begun:
		case n == most && stopped == nil:
			if certificate, err = s.wardKey(ctx, "hsm"); err == nil {
				end, err = ready(certificate)
			}
		case stopped == nil || stopped.Clause != "HCA-7.2" || n == 0 || n+b.refused != most:
			return b, "", fmt.Errorf("%d collected, %d refused, the phone is told %v", n, b.refused, stopped)
		default:
			return b, fmt.Sprintf("%d are signed and verify, %d never are; the phone is told %s", n, b.refused, stopped.Clause), nil
		}
	}
	return b, "", errors.New("no batch was stopped")
}

// endedMidway releases one batch, and tells whether the end was begun: it comes with the first part that is signed, unless
// that is a large one.
func (s *Story) endedMidway(ctx context.Context, certificate string, end func() error) (b *batch, stopped *client.Refusal, begun bool, err error) {
	if b, err = s.asked(ctx, certificate, "巡房紀錄", most); err != nil {
		return nil, nil, false, err
	}
	shown, err := s.ward.phone.phone.shows(ctx, b)
	if err != nil {
		return nil, nil, false, err
	}
	collected := make(chan error, 1)
	go func() {
		collected <- b.collect(ctx, func(signed int) error {
			if begun || signed > early {
				return nil
			}
			begun = true
			return end()
		})
	}()
	out, err := s.ward.phone.phone.Release(ctx, shown)
	err = errors.Join(err, <-collected, b.verify())
	return b, out.Stopped, begun, err
}
