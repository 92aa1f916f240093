package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"certwindow/ra"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
	"certwindow/ra/revoke"
)

// Access are the requests of systems that holders answer; oauth.Server has them.
type Access interface {
	Waiting(ctx context.Context, person ra.PersonID) ([]oauth.Request, error)
	Answer(ctx context.Context, actor ra.Actor, person ra.PersonID, id string, yes bool) error
}

// listAllAuthorisations are what waits for the signed-in holder on this device, whichever certificate it is for.
func (c *call) listAllAuthorisations() (answer, error) {
	list, err := c.api.Keys.Pending(c.ctx(), c.device.ID, c.login.Person)
	if err != nil {
		return answer{}, err
	}
	return authorisationsOf(list)
}

type accessRequest struct {
	Request   string    `json:"request"`
	Client    string    `json:"client"`
	ShortCode string    `json:"short_code"`
	ExpiresAt time.Time `json:"expires_at"`
}

// listAccess are the systems that ask for access in the signed-in holder's name. The app shows the short code, which the
// page that began it shows as well.
func (c *call) listAccess() (answer, error) {
	list, err := c.api.Access.Waiting(c.ctx(), c.login.Person)
	if err != nil {
		return answer{}, err
	}
	out := []accessRequest{}
	for _, r := range list {
		out = append(out, accessRequest{Request: r.ID, Client: r.Client, ShortCode: r.ShortCode, ExpiresAt: r.ExpiresAt.UTC()})
	}
	return document(http.StatusOK, map[string][]accessRequest{"access_requests": out})
}

func (c *call) approveAccess() (answer, error) { return c.answerAccess(true) }

func (c *call) denyAccess() (answer, error) { return c.answerAccess(false) }

func (c *call) answerAccess(yes bool) (answer, error) {
	var b struct{}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	return c.nothing(c.api.Access.Answer(c.ctx(), c.actor(), c.login.Person, c.Param("request"), yes))
}

// snapshot is everything that an app wants to hear of: it waits for a holder's answer, for a key, or has changed.
type snapshot struct {
	Authorisations []remotesign.AuthorisationID             `json:"authorisations"`
	AccessRequests []string                                 `json:"access_requests"`
	Applications   []ra.ApplicationID                       `json:"applications"`
	Certificates   map[ra.CertificateID]ra.CertificateState `json:"certificates"`
}

// snapshot reads it, with a name that is the same as long as nothing changes.
func (c *call) snapshot() (s snapshot, tag string, err error) {
	s = snapshot{[]remotesign.AuthorisationID{}, []string{}, []ra.ApplicationID{}, map[ra.CertificateID]ra.CertificateState{}}
	signing, err := c.api.Keys.Pending(c.ctx(), c.device.ID, c.login.Person)
	if err != nil {
		return s, "", err
	}
	for _, a := range signing {
		s.Authorisations = append(s.Authorisations, a.ID)
	}
	access, err := c.api.Access.Waiting(c.ctx(), c.login.Person)
	if err != nil {
		return s, "", err
	}
	for _, r := range access {
		s.AccessRequests = append(s.AccessRequests, r.ID)
	}
	waiting, err := c.api.Enrolments.Waiting(c.ctx(), c.device.ID)
	if err != nil {
		return s, "", err
	}
	for _, a := range waiting {
		if a.PersonID == c.login.Person {
			s.Applications = append(s.Applications, a.ID)
		}
	}
	certificates, err := c.api.Certificates.Certificates(c.ctx(), c.actor(), revoke.Query{Device: c.device.ID, Person: c.login.Person, Limit: maxCertificates})
	if err != nil {
		return s, "", err
	}
	for _, x := range certificates {
		if x.Generation == c.device.Generation {
			s.Certificates[x.ID] = x.State
		}
	}
	raw, err := json.Marshal(s)
	sum := sha256.Sum256(raw)
	return s, `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, err
}

// How long a phone's question may stand, and how often the database is asked meanwhile: it is what all replicas share.
const (
	eventsTime = 25 * time.Second
	eventsTick = time.Second
)

// waiters knows the one question of each device that stands at this replica.
type waiters struct {
	mu   sync.Mutex
	ends map[ra.DeviceID]chan struct{}
}

// enter puts a device's question in place of the one before, which ends. leave takes it away again.
func (w *waiters) enter(id ra.DeviceID) (ended <-chan struct{}, leave func()) {
	mine := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	if before, ok := w.ends[id]; ok {
		close(before)
	}
	w.ends[id] = mine
	return mine, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.ends[id] == mine {
			delete(w.ends, id)
		}
	}
}

// getEvents answers as soon as anything is otherwise than what the app has seen, whose name it gives in If-None-Match;
// after 25 seconds, at a second question of the same device and when the server stops, with 304 (RFC 9110 section 13.1.2). To ask is no use of the
// login, since an app does so by itself (HCA-8.1.1).
func (c *call) getEvents() (answer, error) {
	seen := c.Request().Header.Get("If-None-Match")
	ended, leave := c.api.waiting.enter(c.device.ID)
	defer leave()
	over := time.NewTimer(eventsTime)
	defer over.Stop()
	tick := time.NewTicker(eventsTick)
	defer tick.Stop()
	for {
		s, tag, err := c.snapshot()
		if err == nil && tag != seen { // the login may have ended while the question stood
			_, err = c.api.Holders.Known(c.ctx(), c.token, c.device.ID, c.thumbprint)
		}
		if err != nil {
			return answer{}, err
		}
		c.Response().Header().Set("ETag", tag)
		if tag != seen {
			return document(http.StatusOK, s)
		}
		select {
		case <-tick.C:
			continue
		case <-over.C:
		case <-ended:
		case <-c.api.stopping:
		case <-c.ctx().Done():
		}
		return answer{status: http.StatusNotModified}, nil
	}
}

// Stop ends the questions that stand, so that a server that shuts down need not wait for them.
func (a *API) Stop() { a.stopOnce.Do(func() { close(a.stopping) }) }
