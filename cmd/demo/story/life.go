package story

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"certwindow/ra/settings"
)

// How long a text for the card lives: so short that one can be seen to grow too old, and as long as the rule allows, so that
// a slow machine plays the rest of the story as well.
const (
	shortLife = time.Second
	longLife  = 5 * time.Minute
)

// textsLive has two persons set the life of texts for the card (HCA-9), and waits until every server holds to it.
func (s *Story) textsLive(ctx context.Context, life time.Duration) error {
	form := url.Values{"setting": {"message-life"}, "value": {life.String()}}
	p, err := s.admin.post(ctx, "/settings", form)
	if err != nil {
		return err
	}
	if _, err := s.approver.approve(ctx, p.url.Path); err != nil {
		return err
	}
	for i := range s.st.Replicas() {
		if err := s.admin.at(s.st, i).knows(ctx, form); err != nil {
			return fmt.Errorf("server %d: %w", i+1, err)
		}
	}
	return nil
}

// knows waits until a server has read the settings anew. Until then it takes the same proposal for another change than the
// database's, which is refused under HCA-8.1.6; from then on it is no change at all.
func (c *clerk) knows(ctx context.Context, form url.Values) error {
	ctx, stop := context.WithTimeout(ctx, 20*settings.Every)
	defer stop()
	for {
		_, err := c.post(ctx, "/settings", form)
		var r *refusal
		switch {
		case err == nil:
			return errors.New("it proposes what holds already")
		case !errors.As(err, &r):
			return err
		case r.clause == "":
			return nil
		}
		pause(ctx, settings.Every/20)
	}
}
