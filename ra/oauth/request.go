package oauth

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	lib "github.com/go-oauth2/oauth2/v4"

	"certwindow/ra"
	"certwindow/ra/remotesign"
)

// Standing is where a request for access stands.
type Standing string

// The standings of a request.
const (
	Pending  Standing = "pending"
	Approved Standing = "approved"
	Denied   Standing = "denied"
	Done     Standing = "done" // its code was given out
)

// Request is what a holder is asked on a page of the window and answers on the phone.
type Request struct {
	ID            string
	BrowserHash   []byte // of what the browser that asked keeps: nobody else gets the code
	Client        string
	Redirect      string
	Scope         string
	State         string // the client's own word, given back
	Challenge     string // of PKCE, S256
	Rich          bool   // asked for by authorization_details (RFC 9396)
	Person        ra.PersonID
	Authorisation remotesign.AuthorisationID // of the scope "credential": its release is the holder's answer
	ShortCode     string                     // shown on both screens
	Standing      Standing
	CreatedAt     time.Time
	ExpiresAt     time.Time
}

// Asked is what an authorization request says (RFC 6749 section 4.1.1).
type Asked struct {
	Client    string
	Redirect  string
	Scope     string
	State     string
	Challenge string
	Rich      bool           // by authorization_details
	Account   string         // of the scope "service": whose access it is
	Sign      remotesign.Ask // of the scope "credential"
}

// RequestLife is how long a request waits for its holder.
const RequestLife = 5 * time.Minute

// Begin puts a request before a holder. It tells what only the browser that asked is to have. An account that does not
// exist is asked as well, so that nobody learns which do.
func (s *Server) Begin(ctx context.Context, actor ra.Actor, a Asked) (r Request, browser string, err error) {
	c, err := s.Clients.Active(ctx, a.Client)
	if err != nil {
		return r, "", err
	}
	if !slices.Contains(c.Redirects, a.Redirect) || len(a.Challenge) != 43 {
		return r, "", refuse(ra.KindMalformed, "invalid_request", "The address to return to is not registered, or PKCE is missing.", nil)
	}
	now := s.Now()
	r = Request{Client: c.ID, Redirect: a.Redirect, Scope: a.Scope, State: a.State, Challenge: a.Challenge, Rich: a.Rich, Standing: Pending, CreatedAt: now, ExpiresAt: now.Add(RequestLife)}
	if r.ID, err = ra.NewID(now, s.Rand); err != nil {
		return r, "", err
	}
	if browser, err = s.secret(); err != nil {
		return r, "", err
	}
	r.BrowserHash = hashOf("browser", browser)
	switch a.Scope {
	case Service:
		if r.Person, err = s.whose(ctx, a.Account, c.Institution); err == nil {
			r.ShortCode, err = s.shortCode()
		}
	case Credential:
		a.Sign.Client = remotesign.ClientID(c.ID)
		var signing remotesign.Authorisation
		if signing, _, err = s.Asks.Request(ctx, actor, a.Sign); err == nil {
			r.Authorisation, r.Person, r.ShortCode, r.ExpiresAt = signing.ID, signing.Person, signing.ShortCode(), signing.ExpiresAt
		}
	default:
		err = errScope
	}
	if err != nil {
		return r, "", err
	}
	e := ra.Event{Actor: actor, Act: "oauth.ask", Object: "client/" + c.ID, Institution: c.Institution, Details: map[string]string{"scope": r.Scope, "request": r.ID}}
	return r, browser, s.act(ctx, e, func(tx Tx, _ *ra.Event) error { return tx.InsertAccessRequest(r) })
}

// whose finds the holder of an account, who must practise where the system is. What is asked of a holder is asked of nobody
// as well, so that the answer takes as long.
func (s *Server) whose(ctx context.Context, account string, at ra.InstitutionCode) (ra.PersonID, error) {
	id, ok, err := s.Accounts(ctx, account)
	if err != nil {
		return "", err
	}
	var p ra.PersonFacts
	err = s.Store.View(ctx, func(tx Tx) (err error) { p, err = tx.Person(id); return err })
	if !ok {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !p.Active || !p.MemberOf(at) {
		return "", nil
	}
	return id, nil
}

// shortCode is six random digits.
func (s *Server) shortCode() (string, error) {
	var raw [8]byte
	if _, err := io.ReadFull(s.Rand, raw[:]); err != nil {
		return "", err
	}
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(raw[:])%1_000_000), nil
}

// Stand tells the browser that asked where its request stands now.
func (s *Server) Stand(ctx context.Context, id, browser string) (r Request, err error) {
	err = s.Store.View(ctx, func(tx Tx) error {
		if r, err = tx.AccessRequest(id); err != nil {
			return err
		}
		if !hmac.Equal(r.BrowserHash, hashOf("browser", browser)) {
			return ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such request of this browser.")
		}
		return s.resolve(tx, &r)
	})
	if err != nil {
		return Request{}, err
	}
	return r, nil
}

// resolve takes the standing of a request for signatures from their authorisation, and lets time have its say.
func (s *Server) resolve(tx Tx, r *Request) error {
	if r.Standing == Pending && r.Authorisation != "" {
		a, err := tx.Authorisation(r.Authorisation)
		if err != nil {
			return err
		}
		switch a.State {
		case remotesign.Released:
			r.Standing = Approved
		case remotesign.Denied, remotesign.Expired, remotesign.Closed:
			r.Standing = Denied
		}
	}
	if !s.Now().Before(r.ExpiresAt) && r.Standing == Pending {
		r.Standing = Denied
	}
	return nil
}

// CodeFor gives out the code of a request that its holder approved, once.
func (s *Server) CodeFor(ctx context.Context, actor ra.Actor, id, browser string) (code string, r Request, err error) {
	if r, err = s.Stand(ctx, id, browser); err != nil {
		return "", r, err
	}
	if r.Standing != Approved {
		return "", r, ra.Errorf(ra.KindConflict, "moved-on", nil, "The holder has not approved this, or its code was given out.")
	}
	c, err := s.Clients.Active(ctx, r.Client)
	if err != nil {
		return "", r, err
	}
	from := Approved
	if r.Authorisation != "" {
		from = Pending
	}
	if err := s.Store.Update(ctx, func(tx Tx) error { return tx.MoveAccessRequest(r.ID, from, Done) }); err != nil {
		return "", r, err
	}
	grant, err := ra.NewID(s.Now(), s.Rand)
	if err != nil {
		return "", r, err
	}
	x := &exchange{s: s, actor: actor, client: c, grant: Token{Grant: grant, Scope: r.Scope, Person: r.Person, Authorisation: r.Authorisation,
		Redirect: r.Redirect, Challenge: r.Challenge, Rich: r.Rich}}
	info, err := x.manager().GenerateAuthToken(ctx, lib.Code, &lib.TokenGenerateRequest{ClientID: c.ID, UserID: string(r.Person), RedirectURI: r.Redirect, Scope: r.Scope,
		CodeChallenge: r.Challenge, CodeChallengeMethod: lib.CodeChallengeS256})
	if err != nil {
		return "", r, x.explain(ctx, err)
	}
	return info.GetCode(), r, nil
}

// maxWaiting bounds one list.
const maxWaiting = 20

// Waiting are the requests for access that wait for a holder's answer.
func (s *Server) Waiting(ctx context.Context, person ra.PersonID) (out []Request, err error) {
	if person == "" { // what was asked of a name that nobody has is nobody's to see
		return nil, nil
	}
	err = s.Store.View(ctx, func(tx Tx) error {
		out, err = tx.AccessRequestsOf(person, s.Now(), maxWaiting)
		return err
	})
	return out, err
}

// Answer is a holder's yes or no, given on the phone.
func (s *Server) Answer(ctx context.Context, actor ra.Actor, person ra.PersonID, id string, yes bool) error {
	act, to := "oauth.deny", Denied
	if yes {
		act, to = "oauth.approve", Approved
	}
	e := ra.Event{Actor: actor, Act: act, Object: "person/" + string(person), Details: map[string]string{"request": id}}
	return s.act(ctx, e, func(tx Tx, e *ra.Event) error {
		r, err := tx.AccessRequest(id)
		if err == nil && (person == "" || r.Person != person || r.Authorisation != "") {
			err = ra.Errorf(ra.KindNotFound, "not-found", nil, "There is none, or none that you may see.")
		}
		if err != nil {
			return err
		}
		e.Details["client"] = r.Client
		if !s.Now().Before(r.ExpiresAt) {
			return ra.Refuse("HCA-7.4", "access-over", "The time for this answer is over. Nothing was changed; begin again in the system that asked.", nil)
		}
		return tx.MoveAccessRequest(id, Pending, to)
	})
}
