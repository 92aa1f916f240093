package story

import (
	"slices"
	"sync"
)

// hidden is a secret that a scene used.
type hidden struct{ what, value string }

// hiding collects them; scenes may act at the same time.
type hiding struct {
	mu   sync.Mutex
	list []hidden
}

// hide notes a secret that a scene used or was given: a code, a token, a password, a PIN. The integration test looks for it
// in all that the window wrote and kept, and finds it nowhere: no log, metric, error, page, column, file or backup.
func (s *Story) hide(what, value string) {
	s.hiding.mu.Lock()
	defer s.hiding.mu.Unlock()
	s.hiding.list = append(s.hiding.list, hidden{what, value})
}

// allHidden is what was noted so far.
func (s *Story) allHidden() []hidden {
	s.hiding.mu.Lock()
	defer s.hiding.mu.Unlock()
	return slices.Clone(s.hiding.list)
}
