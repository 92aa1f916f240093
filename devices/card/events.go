package card

import (
	"fmt"
	"net/http"
	"time"
)

// keepAlive is how often a quiet stream is written to, so that one whose page has gone is noticed.
const keepAlive = 15 * time.Second

// handleEvents answers /events: server-sent events, one "cards" event with all readers at once and then
// one at each insertion and removal. Only trusted sites may listen, so they are told by CORS.
func (s *Server) handleEvents(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	who, err := s.identify(r)
	allowOrigin(w, r, who, err)
	if err != nil {
		writeAnswer(w, s.failed("events", caller(r.Header.Get("Origin")), err))
		return
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		writeAnswer(w, s.failed("events", who, failf(CodeTimeout, "too many streams")))
		return
	}
	h.Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	if err := out.SetWriteDeadline(time.Time{}); err != nil {
		s.cfg.Log.Debug("events", "deadline", err) // a test's recorder has none to lift
	}
	s.stream(w, out, r)
}

// stream writes events until the page or the server goes.
func (s *Server) stream(w http.ResponseWriter, out *http.ResponseController, r *http.Request) {
	changes, end := s.watch.subscribe()
	defer end()
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	text, err := s.presenceEvent()
	for err == nil {
		if _, err = w.Write(text); err == nil {
			err = out.Flush()
		}
		if err != nil {
			return
		}
		select {
		case <-changes:
			text, err = s.presenceEvent()
		case <-tick.C:
			text = []byte(": still here\n\n")
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *Server) presenceEvent() ([]byte, error) {
	b, err := encode(s.watch.snapshot())
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "event: cards\ndata: %s\n\n", b), nil
}
