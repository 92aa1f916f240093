// Package work carries out the jobs of package jobs with River, on SQLite and on PostgreSQL. The workers are
// thin: each calls a use case that can be called again after a crash.
package work

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"
	"gorm.io/gorm"

	"certwindow/migrations"
	"certwindow/ra/jobs"
	"certwindow/ra/store"
)

// UseCases are what the jobs call. A returned duration puts the job off without counting as a failure.
type UseCases struct {
	Exchange func(ctx context.Context, j jobs.Exchange) (again time.Duration, err error)
	Notice   func(ctx context.Context, j jobs.Notice) error
	Sweep    func(ctx context.Context, j jobs.Sweep) (again time.Duration, err error)
	Lapse    func(ctx context.Context, j jobs.Lapse) error

	Checkpoint func(ctx context.Context, j jobs.Checkpoint) error

	Import func(ctx context.Context, j jobs.Import) (again time.Duration, err error)
	Wake   func(ctx context.Context, j jobs.Wake) error
	Bulk   func(ctx context.Context, j jobs.Bulk) (again time.Duration, err error)
}

// Config of the workers.
type Config struct {
	Workers    int           // jobs at a time
	SweepEvery time.Duration // HCA-3.6: regularly
	Logger     *slog.Logger
}

// Queue inserts jobs, and works them once it is started.
type Queue struct {
	insert interface {
		InsertTx(ctx context.Context, tx *sql.Tx, args river.JobArgs, opts *river.InsertOpts) (*rivertype.JobInsertResult, error)
	}
	now     func() time.Time
	start   func(ctx context.Context) error
	stop    func(ctx context.Context) error
	release func(ctx context.Context) error // before start
}

// NewInserter makes a Queue that can insert only, for commands beside the server.
func NewInserter(db *store.DB, now func() time.Time) (*Queue, error) {
	q := &Queue{now: now}
	return q, q.inserter(db)
}

// inserter works inside gorm's own transaction, whatever the database.
func (q *Queue) inserter(db *store.DB) (err error) {
	if db.Dialect == migrations.Postgres {
		q.insert, err = river.NewClient(riverdatabasesql.New(db.SQL), &river.Config{MaxAttempts: maxAttempts})
	} else {
		q.insert, err = river.NewClient(riversqlite.New(db.SQL), &river.Config{MaxAttempts: maxAttempts})
	}
	if err != nil {
		return fmt.Errorf("work: %w", err)
	}
	return nil
}

// Work gives the queue its workers. It must be called before Start.
func (q *Queue) Work(db *store.DB, u UseCases, c Config) error {
	q.release = func(ctx context.Context) error { return releaseOrphans(ctx, db) }
	if db.Dialect == migrations.Postgres {
		client, err := river.NewClient(riverpgxv5.New(db.Pool), riverConfig(u, c, q.now))
		return q.run(client, err)
	}
	client, err := river.NewClient(riversqlite.New(db.SQL), riverConfig(u, c, q.now))
	return q.run(client, err)
}

// runner is the part of a River client that does not depend on the database.
type runner interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

var (
	_ runner = (*river.Client[*sql.Tx])(nil)
	_ runner = (*river.Client[pgx.Tx])(nil)
)

func (q *Queue) run(client runner, err error) error {
	if err != nil {
		return fmt.Errorf("work: %w", err)
	}
	q.start, q.stop = client.Start, client.Stop
	return nil
}

// Start begins to work the jobs, those first that a killed server left behind. Cancelling ctx does not end it: Stop
// does, after the jobs in hand.
func (q *Queue) Start(ctx context.Context) error {
	if err := q.release(ctx); err != nil {
		return err
	}
	return q.start(context.WithoutCancel(ctx))
}

// Stop ends the work; jobs that are in hand may finish until ctx ends.
func (q *Queue) Stop(ctx context.Context) error { return q.stop(ctx) }

// Enqueue inserts a job in gorm's transaction.
func (q *Queue) Enqueue(tx *gorm.DB, j jobs.Args) error {
	pool := tx.Statement.ConnPool
	if kept, ok := pool.(interface{ Plain() *sql.Tx }); ok { // of store.Together
		pool = kept.Plain()
	}
	conn, ok := pool.(*sql.Tx)
	if !ok {
		return fmt.Errorf("work: a job is inserted in a transaction, not in %T", tx.Statement.ConnPool)
	}
	_, err := q.insert.InsertTx(tx.Statement.Context, conn, j, q.optsOf(j))
	return err
}

// rescueAfter is when a job that is still under way is taken to be a dead replica's, on PostgreSQL: soon after its time
// was up. River waits longer for the jobs that may take longer.
const rescueAfter = attemptTime + 15*time.Second

// releaseOrphans gives back what was being worked when the server was killed. A SQLite file has one server, so
// nothing can be under way before it starts; on PostgreSQL another replica may be at work, and rescueAfter decides.
func releaseOrphans(ctx context.Context, db *store.DB) error {
	if db.Dialect == migrations.Postgres {
		return nil
	}
	if _, err := db.SQL.ExecContext(ctx, `UPDATE river_job SET state = 'available' WHERE state = 'running'`); err != nil {
		return fmt.Errorf("work: jobs that a killed server left: %w", err)
	}
	return nil
}

// sweepDelay gathers what changes together before a sweep looks. The certificates concerned are unusable at once.
const sweepDelay = 30 * time.Second

// wakeDelay gathers what comes together before an app is woken, and wakeAttempts is how often that is tried: it would look by
// itself soon after.
const (
	wakeDelay    = time.Second
	wakeAttempts = 4
)

func (q *Queue) optsOf(j jobs.Args) *river.InsertOpts {
	if _, ok := j.(jobs.Wake); ok {
		return &river.InsertOpts{MaxAttempts: wakeAttempts, ScheduledAt: q.now().Truncate(wakeDelay).Add(2 * wakeDelay),
			UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: wakeDelay}}
	}
	if _, ok := j.(jobs.Sweep); ok {
		return &river.InsertOpts{ScheduledAt: q.now().Truncate(sweepDelay).Add(2 * sweepDelay), UniqueOpts: river.UniqueOpts{ByPeriod: sweepDelay}}
	}
	return nil
}

// maxAttempts is practically without end: a request to the HCA and a notice to a holder are never given up by
// the queue, however long the other side is down.
const maxAttempts = 10_000

// retry waits a second after the first failure, doubling to five minutes, and up to a quarter less by the job's
// number, so that many failures do not come back together.
type retry struct{ now func() time.Time }

// NextRetry is when a job that failed is tried again.
func (r retry) NextRetry(job *rivertype.JobRow) time.Time {
	const spread = 32
	wait := min(time.Second<<min(len(job.Errors), 9), 5*time.Minute)
	return r.now().Add(wait - wait/4*time.Duration(job.ID%spread)/spread)
}

func riverConfig(u UseCases, c Config, now func() time.Time) *river.Config {
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker[jobs.Exchange]{run: u.Exchange})
	river.AddWorker(workers, &worker[jobs.Notice]{run: once(u.Notice)})
	river.AddWorker(workers, &worker[jobs.Sweep]{run: u.Sweep, timeout: time.Hour})
	river.AddWorker(workers, &worker[jobs.Lapse]{run: once(u.Lapse)})
	river.AddWorker(workers, &worker[jobs.Checkpoint]{run: once(u.Checkpoint), timeout: time.Hour})
	river.AddWorker(workers, &worker[jobs.Import]{run: u.Import})
	river.AddWorker(workers, &worker[jobs.Wake]{run: once(u.Wake)})
	river.AddWorker(workers, &worker[jobs.Bulk]{run: u.Bulk})
	every := func(d time.Duration, j river.JobArgs) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(d), func() (river.JobArgs, *river.InsertOpts) { return j, nil }, nil)
	}
	return &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: c.Workers}},
		Workers:           workers,
		FetchCooldown:     50 * time.Millisecond,
		FetchPollInterval: 100 * time.Millisecond,
		MaxAttempts:       maxAttempts,
		RetryPolicy:       retry{now},

		RescueStuckJobsAfter: rescueAfter,
		Logger:               c.Logger,
		PeriodicJobs:         []*river.PeriodicJob{every(c.SweepEvery, jobs.Sweep{}), every(20*time.Second, jobs.Lapse{}), checkpoints()},
	}
}

// checkpointEvery is how often the audit log is signed, well within the hour of HCA-8.1.6's evidence.
const checkpointEvery = 30 * time.Minute

// checkpoints also makes one at each start, and there is one such job at a time: a log that does not hold together
// makes it fail until somebody has looked, and must not fill the queue.
func checkpoints() *river.PeriodicJob {
	waiting := []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning,
		rivertype.JobStateScheduled}
	once := &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByState: waiting}}
	return river.NewPeriodicJob(river.PeriodicInterval(checkpointEvery), func() (river.JobArgs, *river.InsertOpts) { return jobs.Checkpoint{}, once },
		&river.PeriodicJobOpts{RunOnStart: true})
}

// worker carries out one kind of job.
type worker[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	run     func(ctx context.Context, args T) (again time.Duration, err error)
	timeout time.Duration // zero: attemptTime
}

// Work runs the use case, and puts the job off when the use case says so.
func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error {
	again, err := w.run(ctx, job.Args)
	if err != nil {
		return err
	}
	if again > 0 {
		return river.JobSnooze(again)
	}
	return nil
}

// attemptTime bounds one attempt of a job that has no time of its own.
const attemptTime = time.Minute

// Timeout bounds one attempt.
func (w *worker[T]) Timeout(*river.Job[T]) time.Duration {
	if w.timeout > 0 {
		return w.timeout
	}
	return attemptTime
}

func once[T any](f func(context.Context, T) error) func(context.Context, T) (time.Duration, error) {
	return func(ctx context.Context, args T) (time.Duration, error) { return 0, f(ctx, args) }
}
