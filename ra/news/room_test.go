package news_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
	"certwindow/ra/news"
	"certwindow/ra/oauth"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// replicas are two windows on one database, each with connections of its own.
func replicas(t *testing.T, f func(t *testing.T, here, there *storetest.World)) {
	for name, address := range map[string]func(testing.TB) string{"SQLite": storetest.SQLiteAddress, "PostgreSQL": storetest.PostgresAddress} {
		t.Run(name, func(t *testing.T) {
			a := address(t)
			f(t, storetest.NewWorld(t, storetest.Open(t, a)), storetest.NewWorld(t, storetest.Open(t, a)))
		})
	}
}

func room(t *testing.T, w *storetest.World, most int) *news.Room {
	r := news.NewRoom(w.Store, slog.New(slog.DiscardHandler), most)
	t.Cleanup(r.Close)
	return r
}

func holder(n int) news.Holder {
	return news.Holder{Device: ra.DeviceID(fmt.Sprintf("device%d", n)), Generation: 1, Institution: storetest.Window, Person: ra.PersonID(fmt.Sprintf("person%d", n))}
}

// ask puts a request for access before a person.
func ask(t testing.TB, w *storetest.World, p ra.PersonID) string {
	t.Helper()
	id := w.ID(t)
	now := w.Clock.Now()
	w.Update(t, func(tx *store.Tx) error {
		return tx.InsertAccessRequest(oauth.Request{ID: id, BrowserHash: []byte(id), Client: "his", Person: p, Standing: oauth.Pending, CreatedAt: now, ExpiresAt: now.Add(time.Minute)})
	})
	return id
}

func enter(t testing.TB, r *news.Room, h news.Holder) *news.Seat {
	t.Helper()
	s, err := r.Enter(h)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// patience is far above what anything here takes: how busy the machine is decides no test.
const patience = 20 * time.Second

// comes waits for a value, or for the end of a channel.
func comes(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
	}
}

// settled is the first seat of a room, whose watcher has begun: who enters after it is stirred by changes alone.
func settled(t testing.TB, r *news.Room, h news.Holder) *news.Seat {
	t.Helper()
	s := enter(t, r, h)
	comes(t, s.Stirred, "the watcher's first look")
	return s
}

// What another replica commits is noticed, and what this one does; nobody else's phone is stirred by it.
func TestBothReplicasAreHeard(t *testing.T) {
	replicas(t, func(t *testing.T, here, there *storetest.World) {
		r := room(t, here, 10)
		mine := settled(t, r, holder(1))
		other := enter(t, r, holder(2))
		for _, w := range []*storetest.World{there, here, there} {
			id := ask(t, w, holder(1).Person)
			comes(t, mine.Stirred, "the change of a replica")
			s, err := here.Store.Standing(t.Context(), holder(1), here.Clock.Now())
			if err != nil || !slices.Contains(s.AccessRequests, id) {
				t.Fatalf("%+v %v, want %s in it", s, err, id)
			}
		}
		select {
		case <-other.Stirred:
			t.Error("another's phone was stirred")
		default:
		}
	})
}

// A transaction that was counted first and is committed late hides nothing from a watcher: whoever is counted later waits
// for its commit.
func TestLateCommitIsSeen(t *testing.T) {
	replicas(t, func(t *testing.T, here, there *storetest.World) {
		r := room(t, here, 10)
		slow, quick := settled(t, r, holder(1)), enter(t, r, holder(2))
		tx := here.DB.Gorm.Begin()
		defer tx.Rollback()
		e := ra.Event{At: here.Clock.Now(), Actor: ra.Actor{Kind: ra.ActorStaff}, Act: "device.test", Object: string(news.OfDevice(holder(1).Device)), Outcome: ra.OutcomeDone}
		if err := store.AppendEvent(tx, e); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); ask(t, there, holder(2).Person) }()
		select {
		case <-done:
			t.Fatal("a change was committed past one that was counted before it")
		case <-quick.Stirred:
			t.Fatal("stirred by what is not committed")
		case <-time.After(2 * 500 * time.Millisecond):
		}
		if err := tx.Commit().Error; err != nil {
			t.Fatal(err)
		}
		comes(t, slow.Stirred, "the slow transaction")
		comes(t, quick.Stirred, "the one that waited for it")
		comes(t, done, "the commit")
	})
}

// counted counts the questions that a database is asked.
func counted(t *testing.T, db *gorm.DB) *atomic.Int64 {
	var n atomic.Int64
	count := func(*gorm.DB) { n.Add(1) }
	for name, register := range map[string]func(string, func(*gorm.DB)) error{"query": db.Callback().Query().Before("*").Register,
		"row": db.Callback().Row().Before("*").Register, "raw": db.Callback().Raw().Before("*").Register} {
		if err := register("count:"+name, count); err != nil {
			t.Fatal(err)
		}
	}
	return &n
}

// Two hundred phones that wait cost the database no more questions than one: about two in a second.
func TestOneQuestionForAll(t *testing.T) {
	replicas(t, func(t *testing.T, here, there *storetest.World) {
		r := room(t, here, 1000)
		last := settled(t, r, holder(200))
		for n := range 200 {
			enter(t, r, holder(n))
		}
		asked := counted(t, here.DB.Gorm)
		began := time.Now()
		for asked.Load() < 5 {
			if time.Since(began) > patience {
				t.Fatalf("%d questions in %v", asked.Load(), patience)
			}
			time.Sleep(10 * time.Millisecond) // polls for the fifth question
		}
		rate := float64(asked.Load()) / time.Since(began).Seconds()
		t.Logf("%.1f questions a second for %d phones", rate, r.Waiting())
		if rate > 3.5 {
			t.Errorf("%.1f questions a second", rate)
		}
		ask(t, there, holder(200).Person)
		comes(t, last.Stirred, "one of many")
	})
}

// Two replicas change much at the same time: whoever looks when he is stirred, and only then, ends with everything.
func TestNothingIsLost(t *testing.T) {
	replicas(t, func(t *testing.T, here, there *storetest.World) {
		r := room(t, here, 10)
		seat := enter(t, r, holder(1))
		const each = 10
		for _, w := range []*storetest.World{here, there} {
			go func() {
				for range each {
					ask(t, w, holder(1).Person)
				}
			}()
		}
		over := time.After(patience)
		seen := map[string]bool{}
		for len(seen) < 2*each {
			s, err := here.Store.Standing(t.Context(), holder(1), here.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range s.AccessRequests {
				seen[id] = true
			}
			if len(seen) == 2*each {
				break
			}
			select {
			case <-seat.Stirred:
			case <-over:
				t.Fatalf("%d of %d were heard of", len(seen), 2*each)
			}
		}
	})
}

// A room has its limit, and a device one seat in it. To close it ends every wait and leaves nothing running.
func TestRoomIsBounded(t *testing.T) {
	w := storetest.NewWorld(t, storetest.SQLite(t))
	r := news.NewRoom(w.Store, slog.New(slog.DiscardHandler), 2)
	first, second := settled(t, r, holder(1)), enter(t, r, holder(2))
	if _, err := r.Enter(holder(3)); ra.KindOf(err) != ra.KindUnavailable {
		t.Errorf("one too many: %v", err)
	}
	again := enter(t, r, holder(1))
	comes(t, first.Over, "the end of a device's first question")
	r.Leave(first) // late: the second has the device's seat
	if r.Waiting() != 2 {
		t.Errorf("%d wait", r.Waiting())
	}
	r.Leave(second)
	for range 5000 { // one device that comes again and again
		again = enter(t, r, holder(1))
	}
	if r.Waiting() != 1 {
		t.Errorf("%d wait", r.Waiting())
	}
	r.Close()
	comes(t, again.Over, "the end of the wait at the end of the room")
	if _, err := r.Enter(holder(4)); ra.KindOf(err) != ra.KindUnavailable {
		t.Errorf("entered a closed room: %v", err)
	}
	r.Close()
	stacks := make([]byte, 1<<20)
	if stacks = stacks[:runtime.Stack(stacks, true)]; bytes.Contains(stacks, []byte("news.(*Room)")) {
		t.Errorf("something of a closed room runs on:\n%s", stacks)
	}
}

// What begins to wait has the app woken by a job of the same transaction, also of a joined one, and what comes together wakes it
// once; nothing is enqueued where no apps are woken.
func TestAppsAreCalled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		ask(t, w, "somebody")
		if n := w.Jobs(t, "wake"); n != 0 {
			t.Errorf("%d jobs without being asked for", n)
		}
		w.Store.CallPhones()
		for range 3 {
			id, now := w.ID(t), w.Clock.Now()
			err := w.Store.Together(t.Context(), func(tx *store.Tx) error {
				return tx.InsertAccessRequest(oauth.Request{ID: id, BrowserHash: []byte(id), Client: "his", Person: "somebody", Standing: oauth.Pending, CreatedAt: now, ExpiresAt: now.Add(time.Minute)})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := w.Jobs(t, "wake"); n != 1 {
			t.Errorf("%d jobs, want one", n)
		}
	})
}

// broken is a database that is away until it is mended.
type broken struct {
	news.Store
	away  atomic.Bool
	asked atomic.Int64
}

func (b *broken) NewsAfter(ctx context.Context, mark int64, limit int) ([]news.Topic, int64, error) {
	b.asked.Add(1)
	if b.away.Load() {
		return nil, mark, ra.Errorf(ra.KindUnavailable, "database", nil, "The database did not answer.")
	}
	return b.Store.NewsAfter(ctx, mark, limit)
}

// What was committed while the database did not answer the watcher is told when it does.
func TestOutageLosesNothing(t *testing.T) {
	w := storetest.NewWorld(t, storetest.SQLite(t))
	b := &broken{Store: w.Store}
	r := news.NewRoom(b, slog.New(slog.DiscardHandler), 10)
	t.Cleanup(r.Close)
	seat := settled(t, r, holder(1))
	b.away.Store(true)
	ask(t, w, holder(1).Person)
	for deadline := time.Now().Add(patience); b.asked.Load() < 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the watcher gave up")
		}
	}
	select {
	case <-seat.Stirred:
		t.Fatal("stirred by an outage")
	default:
	}
	b.away.Store(false)
	comes(t, seat.Stirred, "what was committed meanwhile")
}

// BenchmarkFiveThousand is how long it takes from a commit until the phone that it concerns is stirred, while five thousand
// wait.
func BenchmarkFiveThousand(b *testing.B) {
	w := storetest.NewWorld(b, storetest.SQLite(b))
	r := news.NewRoom(w.Store, slog.New(slog.DiscardHandler), 10_000)
	defer r.Close()
	seats := make([]*news.Seat, 5000)
	seats[0] = settled(b, r, holder(0))
	for n := 1; n < len(seats); n++ {
		seats[n] = enter(b, r, holder(n))
	}
	n := 0
	for b.Loop() {
		ask(b, w, holder(n%len(seats)).Person)
		comes(b, seats[n%len(seats)].Stirred, "a change")
		n++
	}
}
