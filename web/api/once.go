package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"regexp"
	"time"

	"certwindow/ra"
	"certwindow/ra/remotesign"
	"certwindow/ra/store"
	"certwindow/web/problem"
)

const (
	keepAnswer  = 24 * time.Hour   // how long the same key gives the same answer
	attemptLife = 2 * time.Minute  // longer than the server lets a request take; after a crash the key is free again
	finishTime  = 10 * time.Second // for what must be written though the caller has gone
)

var idempotencyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

// once carries a request out under its Idempotency-Key: the same request gets the answer that it got before, as
// long as that is kept. What was not decided (the body cannot be read, a part of ours does not answer) is not kept.
func (c *call) once(do func(*call) (answer, error)) (answer, error) {
	key, err := c.idempotencyKey()
	if err != nil {
		return answer{}, err
	}
	request := c.asked()
	now := c.api.Now()
	attempt, before, err := c.api.Requests.BeginAttempt(c.ctx(), string(c.device.ID), key, request, now, now.Add(attemptLife))
	if err != nil {
		return answer{}, err
	}
	if before != nil {
		return kept(before), nil
	}
	out, err := do(c)
	ctx, stop := context.WithTimeout(context.WithoutCancel(c.ctx()), finishTime)
	defer stop()
	if err != nil && !decided(err) {
		if derr := c.api.Requests.DropAttempt(ctx, attempt); derr != nil {
			c.api.Log.Warn("an attempt was not dropped; it ends by itself", "request_id", problem.RequestID(c), "cause", derr.Error())
		}
		return answer{}, err
	}
	if err != nil {
		if out, err = refusal(problem.Of(err, problem.RequestID(c))); err != nil {
			return answer{}, err
		}
	}
	answered := store.Answer{Status: out.status, Type: out.mediaType, Body: out.body}
	if err := c.api.Requests.EndAttempt(ctx, attempt, answered, now.Add(keepAnswer)); err != nil {
		// It was done: the phone must hear that. Asked again, each use case finds its own work done.
		c.api.Log.Warn("an answer was not kept", "request_id", problem.RequestID(c), "cause", err.Error())
	}
	return out, nil
}

// joined is once for signatures that are made and committed at once: the request is taken, and its answer kept, in the
// very transaction of the signatures and their row. Of the same request twice at a time one is carried out, and both get
// its answer.
func (c *call) joined(r *remotesign.Release, do func(*call) (answer, error)) (answer, error) {
	key, err := c.idempotencyKey()
	if err != nil {
		return answer{}, err
	}
	now := c.api.Now()
	c.sent.Principal, c.sent.Key, c.sent.Request, c.sent.Until = string(c.device.ID), key, c.asked(), now.Add(keepAnswer)
	before, err := c.api.Requests.Before(c.ctx(), c.sent, now)
	switch {
	case err != nil:
		return answer{}, err
	case before != nil:
		return kept(before), c.useNonce()
	}
	taken := false
	r.Taken = func(tx remotesign.Tx, o remotesign.Outcome) error {
		out, err := outcomeOf(o, true)
		if err != nil {
			return err
		}
		taken = true
		return tx.(taker).Taken(c.sent, store.Answer{Status: out.status, Type: out.mediaType, Body: out.body}, now)
	}
	out, err := do(c)
	switch {
	case err == nil && !taken:
		return answer{}, errors.New("api: signatures were made and their request was not taken")
	case err == nil:
		return out, nil
	case errors.Is(err, store.ErrRaced):
		return c.answered(err)
	case decided(err):
		return c.keep(err, now)
	}
	return answer{}, err // nothing was done, and it may come again, signed anew
}

// taker is a transaction in which a request is taken; store.Tx is one.
type taker interface {
	Taken(r store.Sent, a store.Answer, now time.Time) error
}

var _ taker = (*store.Tx)(nil)

// answered is what the twin of this request, which was faster, was answered with.
func (c *call) answered(raced error) (answer, error) {
	before, err := c.api.Requests.Before(c.ctx(), c.sent, c.api.Now())
	switch {
	case err != nil:
		return answer{}, err
	case before == nil:
		return answer{}, raced
	}
	return kept(before), c.useNonce()
}

// keep makes a refusal the answer that is kept.
func (c *call) keep(refused error, now time.Time) (answer, error) {
	out, err := refusal(problem.Of(refused, problem.RequestID(c)))
	if err != nil {
		return answer{}, err
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(c.ctx()), finishTime)
	defer stop()
	if err := c.api.Requests.Keep(ctx, c.sent, store.Answer{Status: out.status, Type: out.mediaType, Body: out.body}, now); err != nil {
		if errors.Is(err, store.ErrRaced) {
			return c.answered(err)
		}
		c.api.Log.Warn("an answer was not kept", "request_id", problem.RequestID(c), "cause", err.Error())
	}
	return out, nil
}

func kept(a *store.Answer) answer {
	return answer{status: a.Status, mediaType: a.Type, body: a.Body}
}

// idempotencyKey is the one that the request names.
func (c *call) idempotencyKey() (string, error) {
	keys := c.Request().Header.Values("Idempotency-Key")
	if len(keys) != 1 || !idempotencyForm.MatchString(keys[0]) {
		return "", malformed("idempotency-key", "This address needs one Idempotency-Key of 16 to 64 characters of base64url. Nothing was changed.")
	}
	return keys[0], nil
}

// asked is what the request asks and which holder is signed in, so that another one is told from it: on a shared device
// nobody is given the answer to another's request, whose key and body he may have seen (HCA-7.4).
func (c *call) asked() [32]byte {
	return sha256.Sum256([]byte(c.Request().Method + "\x00" + c.Request().URL.Path + "\x00" + string(c.login.Person) + "\x00" + string(c.body)))
}

// decided tells whether asking again could not change an error.
func decided(err error) bool {
	switch ra.KindOf(err) {
	case ra.KindRefused, ra.KindConflict, ra.KindNotFound:
		return true
	}
	return false
}

// refusal is a problem document as an answer to keep.
func refusal(d problem.Document) (answer, error) {
	raw, err := json.Marshal(d)
	return answer{status: d.Status, mediaType: problem.ContentType, body: raw}, err
}
