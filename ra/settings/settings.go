// Package settings keeps the limits that a window has tightened (HCA-9): two persons change one, within the bounds
// of its rule, and every replica holds to it a moment later, without a restart.
package settings

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/revoke"
)

// Row is a setting that was decided on.
type Row struct {
	Name     policy.SettingName `gorm:"primaryKey"`
	Value    string             // as policy.Setting writes it
	Approval string             // the proposal that two persons agreed on; empty: what one may do at once
	SetBy    string             // who approved it, or did it at once
	SetAt    time.Time
}

// TableName is the table's.
func (Row) TableName() string { return "settings" }

// Tx is one transaction on the settings.
type Tx interface {
	Settings() ([]Row, error)
	SaveSetting(r Row) error
	Audit(e ra.Event) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Every is how often each replica reads the settings anew, and so the longest that a change takes to hold everywhere.
const Every = 2 * time.Second

// Service is the use case. Reading a setting asks nobody: it is the value of the last reading.
type Service struct {
	store Store
	start policy.Settings // what the configuration says, until somebody decides
	now   func() time.Time
	last  atomic.Pointer[policy.Settings]
}

// New wires the use case. Until Refresh has read the table, the start values hold.
func New(store Store, start policy.Settings, now func() time.Time) *Service {
	s := &Service{store: store, start: start, now: now}
	s.last.Store(&start)
	return s
}

// Now are the settings as they were last read.
func (s *Service) Now() policy.Settings { return *s.last.Load() }

// Life is a setting's duration, for whoever asks at each use.
func (s *Service) Life(name policy.SettingName) func() time.Duration {
	return func() time.Duration { return s.Now().Life(name) }
}

// Number is a setting's whole number, for whoever asks at each use.
func (s *Service) Number(name policy.SettingName) func() int {
	return func() int { return s.Now().Number(name) }
}

// Mark tells whether a setting is on, for whoever asks at each use.
func (s *Service) Mark(name policy.SettingName) func() bool {
	return func() bool { return s.Now().Mark(name) }
}

// Refresh reads the table. When it cannot be read, what was read last goes on to hold.
func (s *Service) Refresh(ctx context.Context) error {
	rows, err := s.Rows(ctx)
	if err != nil {
		return err
	}
	now := s.values(rows)
	s.last.Store(&now)
	return nil
}

// Keep refreshes until ctx ends. failed hears of each time that it could not.
func (s *Service) Keep(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	}
}

// Rows are the settings that were decided on.
func (s *Service) Rows(ctx context.Context) (rows []Row, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		rows, err = tx.Settings()
		return err
	})
	return rows, err
}

// values are the settings that rows make. One that cannot be read counts as its strictest bound: a row that nobody
// here wrote loosens nothing.
func (s *Service) values(rows []Row) policy.Settings {
	out := maps.Clone(s.start)
	if out == nil {
		out = policy.Settings{}
	}
	for _, r := range rows {
		x, ok := policy.SettingOf(r.Name)
		if !ok {
			continue
		}
		v, d := x.Parse(r.Value)
		switch {
		case d.Allowed:
			out[r.Name] = v
		case r.Name == policy.WindowSuspended:
			out[r.Name] = x.Most
		default:
			out[r.Name] = x.Least
		}
	}
	return out
}

// Names of the facts that two persons decide on.
const (
	factSetting = "setting"
	factValue   = "value"
	factWas     = "was-value"
	factBounds  = "bounds"
)

// Facts are what is approved of a change: which setting, what it is to be, what it is now, and the bounds of its
// rule. What is no setting has none.
func (s *Service) Facts(name policy.SettingName, value string) approve.Facts {
	x, ok := policy.SettingOf(name)
	if !ok {
		return nil
	}
	if v, d := x.Parse(value); d.Allowed {
		value = x.Text(v)
	}
	return facts(x, value, s.Now())
}

func facts(x policy.Setting, value string, now policy.Settings) approve.Facts {
	return approve.Facts{factSetting: string(x.Name), factValue: value, factWas: x.Text(now.Value(x.Name)), factBounds: x.Text(x.Least) + " – " + x.Text(x.Most)}
}

// Acts are what two persons decide of settings.
func (s *Service) Acts() map[approve.Act]approve.Executor {
	return map[approve.Act]approve.Executor{approve.ChangeSetting: {Check: s.check, CarryOut: s.change, WholeWindow: true}}
}

// Object names a setting, as audit rows and proposals do.
func Object(name policy.SettingName) string { return "setting/" + string(name) }

// check judges a change as things stand: read in the same transaction, not what was read last.
func (s *Service) check(tx approve.Tx, _ ra.Actor, object string, f approve.Facts) error {
	t, err := table(tx)
	if err != nil {
		return err
	}
	x, ok := policy.SettingOf(policy.SettingName(f[factSetting]))
	if !ok || object != Object(x.Name) {
		return ra.Errorf(ra.KindMalformed, "setting-unknown", nil, "There is no such setting. Nothing was changed.")
	}
	v, d := x.Parse(f[factValue])
	if err := ra.Refused(d); err != nil {
		return err
	}
	rows, err := t.Settings()
	if err != nil {
		return err
	}
	now := s.values(rows)
	if !maps.Equal(f, facts(x, x.Text(v), now)) {
		return ra.Refuse("HCA-8.1.6", "approval-object-changed", "The setting has changed since this was proposed. Nothing was done; propose it anew.", nil)
	}
	if now.Value(x.Name) == v {
		return ra.Errorf(ra.KindMalformed, "change-nothing", nil, "This is how it stands already. Nothing was changed.")
	}
	return nil
}

func table(tx approve.Tx) (Tx, error) {
	t, ok := tx.(Tx)
	if !ok {
		return nil, ra.Errorf(ra.KindInternal, "settings", nil, "%T holds no settings.", tx)
	}
	return t, nil
}

func (s *Service) change(tx approve.Tx, a approve.Approval) error {
	t, err := table(tx)
	if err != nil {
		return err
	}
	at := s.now()
	if err := t.SaveSetting(Row{Name: policy.SettingName(a.Facts[factSetting]), Value: a.Facts[factValue], Approval: a.Proposal.ID, SetBy: a.Actor.ID, SetAt: at}); err != nil {
		return err
	}
	e := a.Event("setting.change", a.Proposal.Object)
	e.At = at
	e.Details[factValue], e.Details[factWas] = a.Facts[factValue], a.Facts[factWas]
	return t.Audit(e)
}

// Suspend stops enrolment at once, on one person's word, when the HCA has suspended the window (HCA-3.8). To end it
// takes two.
func (s *Service) Suspend(ctx context.Context, actor ra.Actor, note string) error {
	e := ra.Event{Actor: actor, Act: "window.suspend", Object: Object(policy.WindowSuspended), Clause: "HCA-3.8"}
	err := ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		if actor.Kind != ra.ActorStaff || actor.ID == "" || actor.Institution != "" {
			return ra.Errorf(ra.KindForbidden, "not-yours", nil, "This is the business of the window's own staff. Nothing was changed.")
		}
		note, err := revoke.Note(note)
		if err != nil {
			return err
		}
		rows, err := tx.Settings()
		if err != nil {
			return err
		}
		if s.values(rows).Mark(policy.WindowSuspended) {
			return ra.Errorf(ra.KindConflict, "change-nothing", nil, "This is how it stands already. Nothing was changed.")
		}
		e.Details = map[string]string{"note": note}
		return tx.SaveSetting(Row{Name: policy.WindowSuspended, Value: "yes", SetBy: actor.ID, SetAt: s.now()})
	})
	if err != nil {
		return err
	}
	return s.Refresh(ctx)
}

// Line is a setting as a page lists it.
type Line struct {
	policy.Setting
	Bounds, Value string
	Decided       *Row // nil: it is what the window started with
}

// Lines are all settings in order, as they stand in the database now.
func (s *Service) Lines(ctx context.Context) ([]Line, error) {
	rows, err := s.Rows(ctx)
	if err != nil {
		return nil, err
	}
	now := s.values(rows)
	var out []Line
	for _, x := range policy.AllSettings() {
		l := Line{Setting: x, Bounds: x.Text(x.Least) + " – " + x.Text(x.Most), Value: x.Text(now.Value(x.Name))}
		if i := slices.IndexFunc(rows, func(r Row) bool { return r.Name == x.Name }); i >= 0 {
			l.Decided = &rows[i]
		}
		out = append(out, l)
	}
	return out, nil
}
