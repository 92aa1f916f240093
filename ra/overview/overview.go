// Package overview is what the window's staff see first: what waits for somebody, what is about to end, how the
// parts of the house are, and how many certificates there are. It changes nothing.
//
// What costs more than a page may wait for is counted beside the page and kept for a while; the page shows the last
// count with its time.
package overview

import (
	"context"
	"time"

	"certwindow/ra"
	"certwindow/ra/sweep"
)

// Horizon is how far ahead, in days, the end of a certificate is told of, and at which distances again (HCA-3.1 for
// the dedicated certificate).
var Horizon = []int{60, 30, 14, 7}

// Taipei is the time by which days and months are told apart; Taiwan keeps no summer time.
var Taipei = time.FixedZone("Asia/Taipei", 8*60*60)

// Spans of the charts.
const (
	DaysBack    = 30 // of enrolments and revocations
	MonthsAhead = 12 // of expiries
)

// Live is how many certificates in force an institution has of one key design.
type Live struct {
	Institution ra.InstitutionCode
	KeyDesign   ra.KeyDesign
	Count       int
}

// Ending is how many certificates in force end in a month of Taipei's calendar, written 2026-11.
type Ending struct {
	Institution ra.InstitutionCode
	Month       string
	Count       int
}

// Day is what happened on a day of Taipei's calendar, written 2026-11-22.
type Day struct {
	Institution       ra.InstitutionCode
	Day               string
	Enrolled, Revoked int
}

// Soon is how many certificates in force end within so many days: the smallest of Horizon that holds.
type Soon struct {
	Institution ra.InstitutionCode
	Within      int
	Count       int
}

// Tally is every number of the charts, by institution.
type Tally struct {
	At     time.Time
	Live   []Live
	Ending []Ending
	Days   []Day
	Soon   []Soon
}

// Of is the part of a tally that belongs to one institution; all of it when the code is empty.
func (t Tally) Of(code ra.InstitutionCode) Tally {
	if code == "" {
		return t
	}
	out := Tally{At: t.At}
	for _, x := range t.Live {
		if x.Institution == code {
			out.Live = append(out.Live, x)
		}
	}
	for _, x := range t.Ending {
		if x.Institution == code {
			out.Ending = append(out.Ending, x)
		}
	}
	for _, x := range t.Days {
		if x.Institution == code {
			out.Days = append(out.Days, x)
		}
	}
	for _, x := range t.Soon {
		if x.Institution == code {
			out.Soon = append(out.Soon, x)
		}
	}
	return out
}

// Stuck is an application that has stood longer in its state than it should.
type Stuck struct {
	ID          ra.ApplicationID
	Kind        ra.ApplicationKind
	State       ra.ApplicationState
	PersonID    ra.PersonID
	FailureCode string
	UpdatedAt   time.Time
}

// Patience is how long an application may stand in a state before somebody should look. An application that waits
// for its holder's card or phone lapses by itself, and is nobody's to mend.
var Patience = map[ra.ApplicationState]time.Duration{
	ra.AppDisputed:  0,
	ra.AppRequested: 15 * time.Minute, // is sent at once unless the HCA or the queue does not answer
	ra.AppSent:      time.Hour,        // the HCA has it and gives no answer
}

// Notices are the messages to holders that could not be delivered so far (HCA-3.4).
type Notices struct {
	Failing int
	Oldest  time.Time
}

// Checkpoint is how much of the audit log is signed (HCA-8.1.6).
type Checkpoint struct {
	At       time.Time // zero: there is none
	Unsigned int64     // rows after it
}

// Shown is how many lines of each kind a page shows; Duties hold one more where there are more.
const Shown = 5

// Duties are what waits for somebody.
type Duties struct {
	Stuck      []Stuck
	Sweep      *sweep.Report // the last one that ended; nil: none yet. Its findings are those of the one who asks
	Notices    Notices
	Checkpoint Checkpoint
}

// Store reads the numbers.
type Store interface {
	// Tally counts the charts' numbers as of a moment. It may take seconds with millions of certificates.
	Tally(ctx context.Context, at time.Time) (Tally, error)
	// Stuck are the oldest applications that stand in a state since before the moment given for it.
	Stuck(ctx context.Context, scope ra.InstitutionCode, before map[ra.ApplicationState]time.Time, limit int) ([]Stuck, error)
	// LastSweep is the newest inventory that ended, with the findings about this institution's certificates.
	LastSweep(ctx context.Context, scope ra.InstitutionCode) (*sweep.Report, error)
	FailingNotices(ctx context.Context) (Notices, error)
	SignedUpTo(ctx context.Context) (Checkpoint, error)
}

// Check is one part of the house that must answer.
type Check struct {
	Name string
	Run  func(context.Context) error
}

// Health is how a part of the house answered.
type Health struct {
	Name string
	OK   bool
	Took time.Duration
}

// Config is what the overview is made of.
type Config struct {
	Store  Store
	Checks []Check
	// Dedicated is the end of the dedicated certificate (HCA-3.1).
	Dedicated func() time.Time
	Now       func() time.Time
}

// Service answers the home page.
type Service struct {
	Config
	tally  *kept[Tally]
	health *kept[[]Health]
}

// How long a page waits for fresh numbers before it shows those there are, and how long they stay fresh.
const (
	patience     = 200 * time.Millisecond
	tallyFresh   = 5 * time.Second
	tallyAtMost  = 10 * time.Minute
	healthFresh  = 15 * time.Second
	checkTimeout = 5 * time.Second
	tallyTimeout = time.Minute
)

// New makes the service. It asks nothing before somebody looks.
func New(cfg Config) *Service {
	s := &Service{Config: cfg}
	s.tally = &kept[Tally]{now: cfg.Now, least: tallyFresh, most: tallyAtMost, timeout: tallyTimeout,
		fill: func(ctx context.Context) (Tally, error) { return cfg.Store.Tally(ctx, cfg.Now()) }}
	s.health = &kept[[]Health]{now: cfg.Now, least: healthFresh, most: healthFresh, timeout: checkTimeout + time.Second, fill: s.ask}
	return s
}

// Tally is the newest count of what the actor may see; false while there is none yet.
func (s *Service) Tally(ctx context.Context, actor ra.Actor) (Tally, bool) {
	t, ok := s.tally.get(ctx)
	return t.Of(actor.Institution), ok
}

// Health is how the parts of the house answered last; false while none has been asked yet.
func (s *Service) Health(ctx context.Context) ([]Health, bool) { return s.health.get(ctx) }

// DedicatedUntil is the end of the dedicated certificate (HCA-3.1).
func (s *Service) DedicatedUntil() time.Time { return s.Dedicated() }

// Duties are what waits for somebody, as far as the actor may see it.
func (s *Service) Duties(ctx context.Context, actor ra.Actor) (d Duties, err error) {
	before := map[ra.ApplicationState]time.Time{}
	for state, long := range Patience {
		before[state] = s.Now().Add(-long)
	}
	if d.Stuck, err = s.Store.Stuck(ctx, actor.Institution, before, Shown+1); err != nil {
		return d, err
	}
	if d.Sweep, err = s.Store.LastSweep(ctx, actor.Institution); err != nil || actor.Institution != "" {
		return d, err
	}
	if d.Notices, err = s.Store.FailingNotices(ctx); err != nil {
		return d, err
	}
	d.Checkpoint, err = s.Store.SignedUpTo(ctx)
	return d, err
}

// ask runs every check at once. One that does not keep to its time has failed.
func (s *Service) ask(ctx context.Context) ([]Health, error) {
	ctx, stop := context.WithTimeout(ctx, checkTimeout)
	defer stop()
	answers := make([]chan Health, len(s.Checks))
	for i, c := range s.Checks {
		answers[i] = make(chan Health, 1)
		go func() {
			begun := time.Now()
			err := c.Run(ctx)
			answers[i] <- Health{c.Name, err == nil && ctx.Err() == nil, time.Since(begun)}
		}()
	}
	out := make([]Health, 0, len(s.Checks))
	for i, c := range s.Checks {
		select {
		case h := <-answers[i]:
			out = append(out, h)
		case <-ctx.Done():
			out = append(out, Health{Name: c.Name, Took: checkTimeout})
		}
	}
	return out, nil
}
