package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"regexp"
	"time"

	"certwindow/ra"
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
	keys := c.Request().Header.Values("Idempotency-Key")
	if len(keys) != 1 || !idempotencyForm.MatchString(keys[0]) {
		return answer{}, malformed("idempotency-key", "This address needs one Idempotency-Key of 16 to 64 characters of base64url. Nothing was changed.")
	}
	request := sha256.Sum256([]byte(c.Request().Method + "\x00" + c.Request().URL.Path + "\x00" + string(c.body)))
	now := c.api.Now()
	attempt, before, err := c.api.Requests.BeginAttempt(c.ctx(), string(c.device.ID), keys[0], request, now, now.Add(attemptLife))
	if err != nil {
		return answer{}, err
	}
	if before != nil {
		return answer{status: before.Status, mediaType: before.Type, body: before.Body}, nil
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
	kept := store.Answer{Status: out.status, Type: out.mediaType, Body: out.body}
	if err := c.api.Requests.EndAttempt(ctx, attempt, kept, now.Add(keepAnswer)); err != nil {
		// It was done: the phone must hear that. Asked again, each use case finds its own work done.
		c.api.Log.Warn("an answer was not kept", "request_id", problem.RequestID(c), "cause", err.Error())
	}
	return out, nil
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
