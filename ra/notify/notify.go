// Package notify tells holders what happened with their certificates (HCA-3.4). Notices are rows that are
// written with the change they tell of, and sent by a job that is tried again until it succeeds.
package notify

import (
	"context"
	"time"

	"certwindow/ra"
)

// State is where a notice stands.
type State string

const (
	Queued State = "queued"
	Sent   State = "sent"
	Silent State = "silent" // the holder has no address on this channel
)

// Notice is one message to a holder.
type Notice struct {
	ID        string
	Person    ra.PersonID
	Kind      ra.NoticeKind
	Object    string // what it is about, e.g. "certificate/01JD…"
	State     State
	Attempts  int
	CreatedAt time.Time
}

// Address is where a holder is reached, and in which language.
type Address struct {
	Email  string
	Phone  string
	Locale string // "zh-Hant-TW" or "en"
}

// Message is what a sender delivers. ID is the same at each attempt, so that a receiver can tell a repetition.
type Message struct {
	ID      string
	To      Address
	Subject string
	Body    string
}

// Sender delivers over one channel. An error means that it should be tried again.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Channels is a Sender that knows whom it can reach.
type Channels interface {
	Sender
	Reaches(to Address) bool
}

// Store keeps the notices.
type Store interface {
	LoadNotice(ctx context.Context, id string) (Notice, error)
	// NoticeTried records an attempt: sent when cause is empty.
	NoticeTried(ctx context.Context, id string, at time.Time, cause string) error
	// NoticeSilent records that the holder cannot be reached by this channel.
	NoticeSilent(ctx context.Context, id string) error
}

// Addresses finds where a person is reached.
type Addresses interface {
	Address(ctx context.Context, id ra.PersonID) (email, phone, locale string, err error)
}

// Service is the use case.
type Service struct {
	store     Store
	addresses Addresses
	sender    Channels
	window    string // how the window names itself in messages
	now       func() time.Time
}

// New wires the use case.
func New(store Store, addresses Addresses, sender Channels, window string, now func() time.Time) *Service {
	return &Service{store: store, addresses: addresses, sender: sender, window: window, now: now}
}

// Deliver sends one notice unless it was sent before. A person without an address on any channel cannot be told; that
// is recorded and not tried again.
func (s *Service) Deliver(ctx context.Context, id string) error {
	n, err := s.store.LoadNotice(ctx, id)
	if err != nil || n.State != Queued {
		return err
	}
	var to Address
	if to.Email, to.Phone, to.Locale, err = s.addresses.Address(ctx, n.Person); err != nil {
		return err
	}
	if !s.sender.Reaches(to) {
		return s.store.NoticeSilent(ctx, id)
	}
	m, err := s.write(n, to)
	if err != nil {
		return err
	}
	if err := s.sender.Send(ctx, m); err != nil {
		if terr := s.store.NoticeTried(context.WithoutCancel(ctx), id, s.now(), "not delivered"); terr != nil {
			return terr
		}
		return ra.Errorf(ra.KindUnavailable, "notice", err, "The notice could not be delivered. It is tried again.")
	}
	return s.store.NoticeTried(context.WithoutCancel(ctx), id, s.now(), "")
}
