package session

import (
	"context"

	"certwindow/ra"
	"certwindow/ra/consent"
)

// CardHolder tells whose card signed a ResetChallenge in the browser that it was made for, and uses the text up. A refusal
// is written down here; what is then done for the holder, by whoever does it.
func (s *Service) CardHolder(ctx context.Context, a CardAttempt) (consent.Identity, error) {
	if s.Cards == nil {
		return consent.Identity{}, errNoCards()
	}
	leave, err := s.door.enter(a.Address)
	if err != nil {
		return consent.Identity{}, err
	}
	defer leave()
	now := s.moment()
	if err := s.limitOne(ctx, "address:"+prefixOf(a.Address), limitPerAddress, now); err != nil {
		return consent.Identity{}, err
	}
	who, err := s.identify(ctx, forReset, boundTo(a.Browser), a.Nonce, a.Answer, now)
	if err != nil {
		ev := ra.Event{At: now, Actor: ra.Actor{Kind: ra.ActorHolder, Address: a.Address, RequestID: a.RequestID}, Act: "account.reset", Object: "person/unknown"}
		return consent.Identity{}, s.refuseCard(ctx, ev, err, err)
	}
	return who, nil
}
