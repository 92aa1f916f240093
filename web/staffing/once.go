package staffing

import (
	"context"
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

// once carries a request out under its Idempotency-Key: the same request gets the answer that it got before, as long as
// that is kept. What was not decided (the body cannot be read, a part of ours does not answer) is not kept.
func (c *call) once(body []byte, do func() (store.Answer, error)) (store.Answer, error) {
	keys := c.Request().Header.Values("Idempotency-Key")
	if len(keys) != 1 || !idempotencyForm.MatchString(keys[0]) {
		return store.Answer{}, malformed("idempotency-key", "This address needs one Idempotency-Key of 16 to 64 characters of base64url. Nothing was changed.")
	}
	var request [32]byte
	copy(request[:], c.api.Hasher.Hash("idempotency_keys.staffing", string(body)))
	now := c.api.Now()
	attempt, before, err := c.api.Requests.BeginAttempt(c.ctx(), "client/"+c.client.ID, keys[0], request, now, now.Add(attemptLife))
	if err != nil {
		return store.Answer{}, err
	}
	if before != nil {
		return *before, nil
	}
	out, err := do()
	ctx, stop := context.WithTimeout(context.WithoutCancel(c.ctx()), finishTime)
	defer stop()
	if err != nil && !decided(err) {
		if derr := c.api.Requests.DropAttempt(ctx, attempt); derr != nil {
			c.api.Log.Warn("an attempt was not dropped; it ends by itself", "request_id", problem.RequestID(c), "cause", derr.Error())
		}
		return store.Answer{}, err
	}
	if err != nil {
		d := problem.Of(err, problem.RequestID(c))
		raw, merr := json.Marshal(d)
		if merr != nil {
			return store.Answer{}, merr
		}
		out = store.Answer{Status: d.Status, Type: problem.ContentType, Body: raw}
	}
	if err := c.api.Requests.EndAttempt(ctx, attempt, out, now.Add(keepAnswer)); err != nil {
		// It was done: the program must hear that. Told again, the register finds its own work done.
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
