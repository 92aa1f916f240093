package intake

import (
	"context"
	"time"

	"certwindow/ra"
	"certwindow/ra/jobs"
)

// Import is one that the actor may see.
func (s *Service) Import(ctx context.Context, actor ra.Actor, id string) (i Import, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		i, err = tx.Import(actor.Institution, id)
		return err
	})
	return i, err
}

// Imports is a page of them, newest first.
func (s *Service) Imports(ctx context.Context, actor ra.Actor, q Query) (out []Import, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Imports(q)
		return err
	})
	return out, err
}

// Lines is a page of an import's lines.
func (s *Service) Lines(ctx context.Context, actor ra.Actor, id string, q LineQuery) (out []Line, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if _, err := tx.Import(actor.Institution, id); err != nil {
			return err
		}
		out, err = tx.ImportLines(id, q)
		return err
	})
	return out, err
}

// Start has a preview's new lines taken in, when there are as many as the actor was shown, or goes on with an import that
// was stopped.
func (s *Service) Start(ctx context.Context, actor ra.Actor, id string, shown int) error {
	return s.turn(ctx, actor, id, "import.start", func(tx Tx, i *Import) error {
		left := i.Fresh - i.Done - i.Failed
		if i.State != Previewed && i.State != Stopped || left == 0 {
			return ra.Errorf(ra.KindConflict, "import-over", nil, "There is nothing to take in. Nothing was changed.")
		}
		if shown != left {
			return ra.Errorf(ra.KindConflict, "import-differs", nil, "This is not what you were shown. Nothing was changed; load the page again.")
		}
		now := s.now()
		i.State, i.StartedAt, i.StartedBy = Running, &now, actor.ID
		return tx.Enqueue(jobs.Import{Import: id})
	})
}

// Stop ends an import between two lines. What was taken in stays.
func (s *Service) Stop(ctx context.Context, actor ra.Actor, id string) error {
	return s.turn(ctx, actor, id, "import.stop", func(_ Tx, i *Import) error {
		if i.State != Running {
			return ra.Errorf(ra.KindConflict, "import-over", nil, "This import is not under way. Nothing was changed.")
		}
		i.State = Stopped
		return nil
	})
}

func (s *Service) turn(ctx context.Context, actor ra.Actor, id, act string, fn func(Tx, *Import) error) error {
	e := ra.Event{Actor: actor, Act: act, Object: "import/" + id, Institution: actor.Institution, Details: map[string]string{}}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		i, err := tx.Import(actor.Institution, id)
		if err != nil {
			return err
		}
		from := i.State
		if err := fn(tx, &i); err != nil {
			return err
		}
		e.Institution = i.Institution
		i.counts(e)
		return tx.UpdateImport(i, from)
	})
}

// stretch is how many lines are worked in one attempt of the job, so that none takes longer than an attempt may.
const stretch = 100

// Work takes the next lines in. again says that there are more.
func (s *Service) Work(ctx context.Context, id string) (again time.Duration, err error) {
	for range stretch {
		i, err := s.Import(ctx, ra.Actor{}, id)
		if err != nil || i.State != Running {
			return 0, err
		}
		var next []Line
		err = s.store.View(ctx, func(tx Tx) error {
			next, err = tx.ImportLines(id, LineQuery{Verdict: Fresh, Limit: 1})
			return err
		})
		if err != nil {
			return 0, err
		}
		if len(next) == 0 {
			return 0, s.finish(ctx, i)
		}
		if err := s.line(ctx, i, next[0]); err != nil {
			return 0, err
		}
	}
	return time.Millisecond, nil
}

// line takes one line in, as the act of who confirmed it; who brought the table stands beside him in the row. It may have
// been taken in before a crash: then it is there, and counts as done.
func (s *Service) line(ctx context.Context, i Import, l Line) error {
	rows := s.kinds[i.Kind]
	actor := ra.Actor{Kind: ra.ActorStaff, ID: i.StartedBy, Institution: i.Institution, PreparedBy: i.CreatedBy}
	if actor.ID == "" { // begun before it was written down who did
		actor.ID = i.CreatedBy
	}
	object, _, err := rows.Apply(ctx, actor, i.Institution, l.Cells)
	if lost(err) {
		return err
	}
	done, failed := 1, 0
	l.Verdict, l.Object, l.Cells = Done, object, nil
	if err != nil {
		done, failed, l.Object = 0, 1, ""
		l.fail(Failed, rows, err)
	}
	return s.store.Update(ctx, func(tx Tx) error {
		if err := tx.SettleLine(l); err != nil {
			return err
		}
		return tx.CountLine(i.ID, done, failed)
	})
}

func (s *Service) finish(ctx context.Context, i Import) error {
	e := ra.Event{Actor: ra.Actor{Kind: ra.ActorSystem, ID: "import"}, Act: "import.finish", Object: "import/" + i.ID, Institution: i.Institution, Details: map[string]string{}}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		now := s.now()
		i.State, i.FinishedAt = Finished, &now
		i.counts(e)
		return tx.UpdateImport(i, Running)
	})
}

// Forget deletes what nobody started in time, and what ended imports still hold of people (HCA-8.1.5).
func (s *Service) Forget(ctx context.Context) error {
	return s.store.Update(ctx, func(tx Tx) error { return tx.ForgetImports(s.now().Add(-PreviewLife)) })
}
