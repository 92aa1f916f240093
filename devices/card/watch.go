package card

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"sync"
	"time"
)

// errRemoved is the cause with which an operation ends when its card goes.
var errRemoved = errors.New("the card was taken out")

// insertionBytes is the length of an insertion id before it is written in hex.
const insertionBytes = 16

// Presence is what /events says of one reader.
type Presence struct {
	SlotID          uint   `json:"slotID"`
	SlotDescription string `json:"slotDescription"`
	Present         bool   `json:"present"`
	// Insertion is a random id of this stay of a card in the reader, in hex; empty when there is none.
	// It is another one whenever a card is put in, even the same card (HCA-8.1.2).
	Insertion string `json:"insertion"`
}

// stay is a card's stay in a reader.
type stay struct {
	Presence
	serial string        // of the token, once it was read
	ended  chan struct{} // closed when the card goes
}

// watcher knows which card has been where since when. It is fed by observe with every look at the readers.
type watcher struct {
	rand io.Reader

	mu    sync.Mutex
	slots map[uint]*stay
	order []uint
	subs  map[chan struct{}]struct{}
}

func newWatcher(rand io.Reader) *watcher {
	return &watcher{rand: rand, slots: map[uint]*stay{}, subs: map[chan struct{}]struct{}{}}
}

// observe takes in what the readers look like now. A token with another serial number is another card,
// though nobody saw the first one go.
func (w *watcher) observe(slots []Slot) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := len(slots) != len(w.order)
	seen := make(map[uint]bool, len(slots))
	w.order = w.order[:0]
	for _, slot := range slots {
		seen[slot.ID] = true
		w.order = append(w.order, slot.ID)
		moved, err := w.observeSlot(slot)
		if err != nil {
			return err
		}
		changed = changed || moved
	}
	for id, s := range w.slots {
		if !seen[id] {
			s.end()
			delete(w.slots, id)
			changed = true
		}
	}
	if changed {
		for sub := range w.subs {
			select {
			case sub <- struct{}{}:
			default: // one is waiting already
			}
		}
	}
	return nil
}

// observeSlot takes in one reader and says whether anything moved.
func (w *watcher) observeSlot(slot Slot) (moved bool, err error) {
	s := w.slots[slot.ID]
	serial := ""
	if slot.Token != nil {
		serial = slot.Token.Serial
	}
	if s != nil && s.Present && slot.Present && (s.serial == serial || s.serial == "" || serial == "") {
		if s.serial == "" {
			s.serial = serial
		}
		return false, nil
	}
	if s != nil && !s.Present && !slot.Present {
		return false, nil
	}
	if s != nil {
		s.end()
	}
	next := &stay{serial: serial, ended: make(chan struct{})}
	next.Presence = Presence{SlotID: slot.ID, SlotDescription: slot.Description, Present: slot.Present}
	w.slots[slot.ID] = next
	if !slot.Present {
		return true, nil
	}
	if next.Insertion, err = w.newID(); err != nil {
		next.Present = false
	}
	return true, err
}

// newID is a random id that nobody can guess.
func (w *watcher) newID() (string, error) {
	id := make([]byte, insertionBytes)
	if _, err := io.ReadFull(w.rand, id); err != nil {
		return "", err
	}
	return hex.EncodeToString(id), nil
}

// end marks the stay as over.
func (s *stay) end() { close(s.ended) }

// snapshot lists the readers in the library's order.
func (w *watcher) snapshot() []Presence {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]Presence, 0, len(w.order))
	for _, id := range w.order {
		if s := w.slots[id]; s != nil {
			list = append(list, s.Presence)
		}
	}
	return list
}

// current is the stay of the card in a reader; nil when there is none.
func (w *watcher) current(slotID uint) *stay {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.slots[slotID]; s != nil && s.Present {
		return s
	}
	return nil
}

// over says whether the stay has ended.
func (s *stay) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// hold gives a context that ends, with errRemoved as its cause, when the stay does.
func (s *stay) hold(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-s.ended:
			cancel(errRemoved)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// subscribe gives a channel that is signalled at each change, and the end of the subscription.
func (w *watcher) subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	w.subs[c] = struct{}{}
	w.mu.Unlock()
	return c, func() {
		w.mu.Lock()
		delete(w.subs, c)
		w.mu.Unlock()
	}
}

// look asks the library for its readers and tells the watcher. It runs in the owner's goroutine. Readers
// that cannot be listed hold no card that anybody could rely on.
func (s *Server) look(mod Module) ([]Slot, error) {
	slots, err := mod.Slots()
	if err != nil {
		slots = nil
	}
	if len(slots) > maxSlots {
		slots = slots[:maxSlots]
	}
	if werr := s.watch.observe(slots); werr != nil {
		return nil, fail(CodeReaderInfo, werr)
	}
	if err != nil {
		return nil, fail(CodeReaderInfo, err)
	}
	return slots, nil
}

// poll looks at the readers until the server is closed. Asking is the only way: the event call of PKCS#11
// gives stale events and misses removals in the libraries in use.
func (s *Server) poll() {
	tick := time.NewTicker(s.cfg.PollInterval)
	defer tick.Stop()
	failing := false
	for {
		err := s.owner.do(s.ctx, func(_ context.Context, mod Module) error {
			_, err := s.look(mod)
			return err
		})
		if failed := err != nil; failed != failing && s.ctx.Err() == nil {
			failing = failed
			s.cfg.Log.Info("readers", "readable", !failing, "error", err)
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
	}
}
