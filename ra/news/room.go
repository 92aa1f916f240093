package news

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"certwindow/ra"
)

const (
	every  = 500 * time.Millisecond // how often the watcher asks: within this another replica's change is noticed
	gap    = 50 * time.Millisecond  // the shortest time between two of its questions, however much this process changes
	linger = time.Minute            // how long it goes on after the last phone left: phones ask again at once
	page   = 500                    // topics of one question
	answer = 5 * time.Second        // what a question may take
)

// Room is where the phones of one process wait. Its watcher runs only as long as somebody does.
type Room struct {
	store Store
	log   *slog.Logger
	most  int

	mu       sync.Mutex
	seats    map[ra.DeviceID]*Seat
	topics   map[Topic]map[*Seat]struct{}
	stop     context.CancelFunc // of the watcher; nil: none runs
	watching sync.WaitGroup
	closed   bool
}

// Seat is the place of one waiting phone.
type Seat struct {
	Stirred <-chan struct{} // gives a value when something may have changed: look again
	Over    <-chan struct{} // closed when the phone is not to wait any longer

	stirred chan struct{}
	over    chan struct{}
	holder  Holder
}

// NewRoom makes a room for at most so many phones.
func NewRoom(store Store, log *slog.Logger, most int) *Room {
	return &Room{store: store, log: log, most: most, seats: map[ra.DeviceID]*Seat{}, topics: map[Topic]map[*Seat]struct{}{}}
}

// Enter takes a seat. A device has one: a second ends the first. What is changed from now on stirs it, so that who enters
// before he looks misses nothing. A full room, and one that was closed, is KindUnavailable.
func (r *Room) Enter(h Holder) (*Seat, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before := r.seats[h.Device]; before != nil {
		r.remove(before)
		close(before.over)
	}
	if r.closed || len(r.seats) >= r.most {
		return nil, ra.Errorf(ra.KindUnavailable, "no-place", nil, "Too many phones wait here at the moment. Nothing was lost; ask again in a while.")
	}
	s := &Seat{stirred: make(chan struct{}, 1), over: make(chan struct{}), holder: h}
	s.Stirred, s.Over = s.stirred, s.over
	r.seats[h.Device] = s
	for _, t := range h.topics() {
		if r.topics[t] == nil {
			r.topics[t] = map[*Seat]struct{}{}
		}
		r.topics[t][s] = struct{}{}
	}
	if r.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		r.stop = stop
		r.watching.Go(func() { r.watch(ctx) })
	}
	return s, nil
}

// Leave gives a seat back, whoever has the device's now.
func (r *Room) Leave(s *Seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(s)
}

// remove forgets a seat, whose lock is held.
func (r *Room) remove(s *Seat) {
	if r.seats[s.holder.Device] != s {
		return
	}
	delete(r.seats, s.holder.Device)
	for _, t := range s.holder.topics() {
		if delete(r.topics[t], s); len(r.topics[t]) == 0 {
			delete(r.topics, t)
		}
	}
}

// Close ends every wait, and the watcher. Nobody enters any more.
func (r *Room) Close() {
	r.mu.Lock()
	r.closed = true
	for _, s := range r.seats {
		r.remove(s)
		close(s.over)
	}
	if r.stop != nil {
		r.stop()
	}
	r.mu.Unlock()
	r.watching.Wait()
}

// Waiting is how many phones wait.
func (r *Room) Waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seats)
}

func (h Holder) topics() [2]Topic { return [2]Topic{OfDevice(h.Device), OfPerson(h.Person)} }

// watch asks for what was marked, until nobody has waited for a while.
func (r *Room) watch(ctx context.Context) {
	mark, failed, alone := int64(-1), false, time.Duration(0)
	for {
		committed := r.store.NewsCommitted() // before the question, so that no commit falls between the two
		next, err := r.look(ctx, mark)
		if mark = next; err != nil && !failed && ctx.Err() == nil {
			r.log.Warn("phones that wait are not told of changes until the database answers", "cause", err.Error())
		}
		failed = err != nil
		if err != nil {
			committed = nil // it would not make the database answer
		}
		began := time.Now()
		if !pause(ctx, gap, nil) || !pause(ctx, every-gap, committed) {
			return
		}
		if alone += time.Since(began); r.Waiting() > 0 {
			alone = 0
		}
		if alone >= linger && r.retire() {
			return
		}
	}
}

// retire ends the watcher unless somebody came meanwhile.
func (r *Room) retire() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seats) > 0 || r.stop == nil {
		return false
	}
	r.stop()
	r.stop = nil
	return true
}

// pause waits for so long, or for sooner; false when ctx ended.
func pause(ctx context.Context, d time.Duration, sooner <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-sooner:
	case <-t.C:
	}
	return true
}

// look stirs the phones that a change after the mark concerns, and gives the mark for the next time. Without a mark it
// finds one, and stirs everybody who came before.
func (r *Room) look(ctx context.Context, mark int64) (int64, error) {
	ctx, stop := context.WithTimeout(ctx, answer)
	defer stop()
	if mark < 0 {
		now, err := r.store.NewsMark(ctx)
		if err != nil {
			return mark, err
		}
		r.stirAll()
		return now, nil
	}
	for {
		topics, last, err := r.store.NewsAfter(ctx, mark, page)
		if err != nil {
			return mark, err
		}
		r.stir(topics)
		mark = last
		if len(topics) < page {
			return mark, nil
		}
	}
}

func (r *Room) stir(topics []Topic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range topics {
		for s := range r.topics[t] {
			s.stir()
		}
	}
}

func (r *Room) stirAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.seats {
		s.stir()
	}
}

// stir leaves word that one look is needed, however often it is called before that.
func (s *Seat) stir() {
	select {
	case s.stirred <- struct{}{}:
	default:
	}
}
