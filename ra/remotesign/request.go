package remotesign

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strconv"
	"time"

	"certwindow/ra"
)

// Ask is what a client asks for on a holder's behalf.
type Ask struct {
	Client        ClientID // as it proved itself to be
	Certificate   ra.CertificateID
	Scope         string
	HashAlgorithm string
	Items         []Item
}

// Request puts hashes before a holder: only the phone that has the key's secret can release them. The handle is what
// the client asks about it by (Check); it is told once. The client is refused outside the institution's network
// (HCA-6.3.7), and what it could not get released.
func (s *Service) Request(ctx context.Context, actor ra.Actor, ask Ask) (a Authorisation, handle string, err error) {
	e := ra.Event{Actor: actor, Act: "sign.request", Object: certificateObject(ask.Certificate), Institution: actor.Institution}
	if err := s.inNetwork(actor); err != nil {
		return Authorisation{}, "", s.refused(ctx, e, err)
	}
	a, handle, err = s.prepare(ctx, ask)
	e.Institution = a.Institution
	if err != nil {
		return Authorisation{}, "", s.refused(ctx, e, err)
	}
	e.Object = authorisationObject(a.ID)
	e.Details = map[string]string{"certificate": string(a.Certificate), "client": string(a.Client), "scope": a.Scope, "count": strconv.Itoa(a.Count)}
	err = ra.Act[Tx](ctx, group{s.Store}, s.Now(), e, func(tx Tx, _ *ra.Event) error { return tx.InsertAuthorisation(a, nil) })
	if err != nil {
		return Authorisation{}, "", err
	}
	return a, handle, nil
}

// prepare judges a request and makes its authorisation.
func (s *Service) prepare(ctx context.Context, ask Ask) (a Authorisation, handle string, err error) {
	if ask.Client == DeviceClient || ask.Client == "" {
		return a, "", malformed("client", "This is no name of a system. Nothing was asked for.")
	}
	if err := checkItems(ask.HashAlgorithm, ask.Items); err != nil {
		return a, "", err
	}
	var c ra.Certificate
	if err := s.Store.View(ctx, func(tx Tx) error { c, err = tx.CertificateUse(ask.Certificate); return err }); err != nil {
		return a, "", err
	}
	a = Authorisation{Certificate: c.ID, Client: ask.Client, Scope: ask.Scope}
	if _, err := s.allowed(ctx, c.DeviceID, a); err != nil {
		return a, "", err
	}
	if a, err = s.newAuthorisation(c, ask); err != nil {
		return a, "", err
	}
	raw := make([]byte, 32)
	if _, err := io.ReadFull(s.Rand, raw); err != nil {
		return a, "", err
	}
	handle = base64.RawURLEncoding.EncodeToString(raw)
	a.HandleHash, a.SADHash = hashOf(handle), hashOf(sad(handle, a.Challenge))
	return a, handle, nil
}

func (s *Service) newAuthorisation(c ra.Certificate, ask Ask) (a Authorisation, err error) {
	id, err := ra.NewID(s.Now(), s.Rand)
	if err != nil {
		return a, err
	}
	challenge := make([]byte, 32)
	if _, err := io.ReadFull(s.Rand, challenge); err != nil {
		return a, err
	}
	items := make([]Item, len(ask.Items))
	for i, x := range ask.Items {
		items[i] = Item{Hash: x.Hash, Title: x.Title, Patients: x.Patients, Source: x.Source, State: HashWaiting}
	}
	now := s.Now()
	return Authorisation{ID: AuthorisationID(id), Certificate: c.ID, Person: c.PersonID, Device: c.DeviceID, Institution: c.Institution,
		Client: ask.Client, Scope: ask.Scope, HashAlgorithm: ask.HashAlgorithm, Challenge: challenge, Items: items, Count: len(items), State: Pending,
		CreatedAt: now, ExpiresAt: now.Add(Life)}, nil
}

func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte("certwindow authorisation\x00" + token))
	return sum[:]
}

// sad is the signature activation data that a client collects with. It comes of the handle, which the client alone
// has, and of the challenge, which the client is not told before the holder has released.
func sad(handle string, challenge []byte) string {
	m := hmac.New(sha256.New, []byte(handle))
	m.Write([]byte("certwindow sad v1\x00"))
	m.Write(challenge)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// maxPending bounds one list.
const maxPending = 20

// Pending are what waits for a person's decision on a device, with everything the person is to be shown (HCA-7.3:
// nobody else's).
func (s *Service) Pending(ctx context.Context, device ra.DeviceID, person ra.PersonID) (out []Authorisation, err error) {
	err = s.Store.View(ctx, func(tx Tx) error {
		out, err = tx.PendingOf(device, person, s.Now(), maxPending)
		return err
	})
	return out, err
}

// PendingOn is Pending for the holder who signed in on a device, and one of his certificates there. Another holder's is as
// if there were none, on a shared device too (HCA-7.4).
func (s *Service) PendingOn(ctx context.Context, device ra.DeviceID, person ra.PersonID, id ra.CertificateID) ([]Authorisation, error) {
	err := s.Store.View(ctx, func(tx Tx) error {
		c, err := tx.CertificateUse(id)
		if err == nil && (c.DeviceID != device || c.PersonID != person) {
			err = ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such certificate on this device.")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.Pending(ctx, device, person)
}

// Deny is the holder's no.
func (s *Service) Deny(ctx context.Context, actor ra.Actor, device ra.DeviceID, id AuthorisationID) error {
	e := ra.Event{Actor: actor, Act: "sign.deny", Object: authorisationObject(id)}
	return ra.Act[Tx](ctx, group{s.Store}, s.Now(), e, func(tx Tx, e *ra.Event) error {
		a, err := ofDevice(tx, device, id)
		e.Institution = a.Institution
		if err != nil {
			return err
		}
		now := s.Now()
		a.State, a.DecidedAt = Denied, &now
		if err := tx.Decide(a, nil); err != nil {
			return err
		}
		return tx.RefuseWaiting(id)
	})
}

// ofDevice loads an authorisation for the device whose holder decides it.
func ofDevice(tx Tx, device ra.DeviceID, id AuthorisationID) (Authorisation, error) {
	a, err := tx.Authorisation(id)
	if err == nil && a.Device != device {
		err = ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such authorisation for this device.")
	}
	return a, err
}

// Standing is what a client is told of its request.
type Standing struct {
	ID        AuthorisationID
	State     State
	ExpiresAt time.Time
	Hashes    []HashState // in the order of the request
	SAD       string      // once released: what Collect takes
}

// Check tells a client where its request stands.
func (s *Service) Check(ctx context.Context, actor ra.Actor, client ClientID, handle string) (Standing, error) {
	var a Authorisation
	err := s.Store.View(ctx, func(tx Tx) (err error) {
		if a, err = tx.AuthorisationByHandle(hashOf(handle)); err == nil && a.Client != client {
			err = ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such authorisation of this system.")
		}
		return err
	})
	if err != nil {
		return Standing{}, s.refused(ctx, ra.Event{Actor: actor, Act: "sign.check", Object: "client/" + string(client), Institution: a.Institution}, err)
	}
	out := Standing{ID: a.ID, State: a.State, ExpiresAt: a.ExpiresAt, Hashes: make([]HashState, len(a.Items))}
	for i, x := range a.Items {
		out.Hashes[i] = x.State
	}
	if a.State == Pending && !s.Now().Before(a.ExpiresAt) {
		out.State = Expired
	}
	if a.State == Released {
		out.SAD = sad(handle, a.Challenge)
	}
	return out, nil
}
