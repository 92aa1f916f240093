package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Asked is everything that an app wants to hear of: what waits for its holder's answer or for a key, where his certificates
// on this phone stand, and which of them it is time to renew.
type Asked struct {
	Authorisations []string          `json:"authorisations"`
	AccessRequests []string          `json:"access_requests"`
	Applications   []string          `json:"applications"`
	Certificates   map[string]string `json:"certificates"` // states, by id
	Renewals       []string          `json:"renewals"`     // no newer certificate follows these yet
	// Seen names this answer: what the next question brings.
	Seen string `json:"-"`
}

// Asked waits, by a question that the window lets stand for up to 25 seconds, until there is something else than the app
// has seen. changed is false where nothing else came; the app asks again. An app that has seen nothing is answered at once.
func (p *Phone) Asked(ctx context.Context, seen string) (a Asked, changed bool, err error) {
	r, err := p.newRequest(ctx, http.MethodGet, "/events", nil)
	if err != nil {
		return a, false, err
	}
	if seen != "" {
		r.Header.Set("If-None-Match", seen)
	}
	answer, res, err := p.exchange(r, nil)
	if err != nil {
		return a, false, err
	}
	a.Seen = res.Header.Get("ETag")
	if res.StatusCode == http.StatusNotModified {
		return a, false, nil
	}
	return a, true, json.Unmarshal(answer, &a)
}

// Authorisations lists what waits for the decision of the holder who is signed in, whichever certificate it is for. An
// app shows all of it before Release.
func (p *Phone) Authorisations(ctx context.Context) ([]Authorisation, error) {
	var out struct{ Authorisations []Authorisation }
	err := p.call(ctx, http.MethodGet, "/authorisations", nil, &out)
	return out.Authorisations, err
}

// AccessRequest is a system that asks for access in the holder's name. The page in his browser shows the same short code.
type AccessRequest struct {
	Request   string    `json:"request"`
	Client    string    `json:"client"`
	ShortCode string    `json:"short_code"`
	ExpiresAt time.Time `json:"expires_at"`
}

// AccessRequests lists the systems that ask.
func (p *Phone) AccessRequests(ctx context.Context) ([]AccessRequest, error) {
	var out struct {
		Requests []AccessRequest `json:"access_requests"`
	}
	err := p.call(ctx, http.MethodGet, "/access-requests", nil, &out)
	return out.Requests, err
}

// AnswerAccess is the holder's yes or no to a system that asks.
func (p *Phone) AnswerAccess(ctx context.Context, request string, yes bool) error {
	to := "denial"
	if yes {
		to = "approval"
	}
	_, _, err := p.send(ctx, http.MethodPost, "/access-requests/"+request+"/"+to, []byte("{}"), unique())
	return err
}
