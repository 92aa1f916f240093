package api

import (
	"context"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"time"

	"certwindow/ra"
	"certwindow/ra/news"
	"certwindow/ra/oauth"
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

// How many phones wait here, how long one of them does, and how many look at how things stand at the same moment: after an
// outage of the database all of them do, and the doctors who sign meanwhile need its connections too.
const (
	mostWaiting = 10_000
	eventsTime  = 25 * time.Second
	mostLooking = 4
)

// getEvents answers as soon as anything is otherwise than what the app has seen, whose name it gives in If-None-Match;
// after 25 seconds, at a second question of the same device and when the server stops, with 304 (RFC 9110 section
// 13.1.2). To ask is no use of the login, since an app does so by itself (HCA-8.1.1). The end of the login, of the
// device's binding or of its use by the holder ends the wait at once, with their refusal (HCA-7.3, HCA-7.4).
func (c *call) getEvents() (answer, error) {
	seen := c.Request().Header.Get("If-None-Match")
	who := news.Holder{Device: c.device.ID, Generation: c.device.Generation, Institution: c.device.Institution, Person: c.login.Person}
	seat, err := c.api.room.Enter(who)
	if err != nil {
		c.retryAfter = patience(c.device.ID)
		return answer{}, err
	}
	defer c.api.room.Leave(seat)
	over := time.NewTimer(eventsTime)
	defer over.Stop()
	for first := true; ; first = false {
		s, err := c.look(who, first)
		if c.ctx().Err() != nil {
			break // nobody listens
		}
		if err != nil {
			return answer{}, err
		}
		tag, err := s.Tag()
		if err != nil {
			return answer{}, err
		}
		c.Response().Header().Set("ETag", tag)
		if tag != seen {
			return document(http.StatusOK, s)
		}
		select {
		case <-seat.Stirred:
			continue
		case <-over.C:
		case <-seat.Over:
		case <-c.ctx().Done():
		}
		break
	}
	return answer{status: http.StatusNotModified}, nil
}

// look is how things stand for the holder, if he still is signed in: the guard has just asked that of who came first.
func (c *call) look(who news.Holder, first bool) (news.Standing, error) {
	select {
	case c.api.looking <- struct{}{}:
		defer func() { <-c.api.looking }()
	case <-c.ctx().Done():
		return news.Standing{}, c.ctx().Err()
	}
	if !first {
		if _, err := c.api.Holders.Known(c.ctx(), c.token, c.device.ID, c.thumbprint); err != nil {
			return news.Standing{}, err
		}
	}
	return c.api.News.Standing(c.ctx(), who, c.api.Now())
}

// patience is when a phone that found no place may come again, in seconds: not all of them in the same one.
func patience(id ra.DeviceID) string {
	h := fnv.New32a()
	io.WriteString(h, string(id))
	return strconv.Itoa(10 + int(h.Sum32()%20))
}

// Stop ends the questions that stand, so that a server that shuts down need not wait for them.
func (a *API) Stop() { a.room.Close() }

// Waiting is how many phones wait for news in this process.
func (a *API) Waiting() int { return a.room.Waiting() }
