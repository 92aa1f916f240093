// Package intake takes tables in that people bring: persons, devices, certificates that exist already. What each line
// would do is shown before anything is written; then the lines are worked through one by one, each with its own row of
// the log, so that one that is wrong loses no other, and a crash or a second try of the same file changes nothing twice.
package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"time"

	"certwindow/ra"
	"certwindow/ra/jobs"
	"certwindow/ra/sheet"
)

// Kind is what a table holds.
type Kind string

const (
	Persons      Kind = "persons"
	Devices      Kind = "devices"
	Certificates Kind = "certificates"
	Staffing     Kind = "staffing" // who left (HCA-3.7)
)

// Kinds are all of them, in the order in which they are brought.
var Kinds = []Kind{Persons, Devices, Certificates, Staffing}

// State is where an import stands.
type State string

const (
	Previewed State = "previewed"
	Running   State = "running"
	Stopped   State = "stopped"
	Finished  State = "finished"
)

// Verdict is what is known of one line.
type Verdict string

const (
	Fresh  Verdict = "fresh"  // it would be new
	Known  Verdict = "known"  // it is there already
	Wrong  Verdict = "wrong"  // it cannot be taken in
	Done   Verdict = "done"   // it was taken in
	Failed Verdict = "failed" // it could not be, though the preview thought so
)

// Verdicts are all of them, in the order in which pages show them.
var Verdicts = []Verdict{Wrong, Failed, Fresh, Known, Done}

// PreviewLife is how long a preview waits to be started; after it what the file held is forgotten.
const PreviewLife = 24 * time.Hour

// Import is one table.
type Import struct {
	ID          string `gorm:"primaryKey"`
	Kind        Kind
	State       State
	Institution ra.InstitutionCode
	SHA256      string `gorm:"column:sha256"`
	Encoding    string
	Ignored     []string `gorm:"serializer:json"`
	Fresh       int      // of the preview
	Known       int
	Wrong       int
	Done        int // of the work
	Failed      int
	CreatedBy   string // who brought the table
	CreatedAt   time.Time
	StartedBy   string // who confirmed what the preview showed, the last time
	StartedAt   *time.Time
	FinishedAt  *time.Time
}

// Line is one of its lines. Cells name people: they are sealed where they are kept, masked where they are shown, and
// forgotten when the line is done.
type Line struct {
	Import  string
	Line    int
	Verdict Verdict
	Field   string // the column that is wrong
	Code    string
	Detail  string
	Object  string // what it became
	Cells   map[string]string
}

// Rows takes one kind of row in.
type Rows interface {
	// Key is what may stand in a table once; empty: no matter.
	Key(row map[string]string) string
	// ColumnOf names the column that an error's code is about.
	ColumnOf(code string) string
	// Judge tells whether the row is there already, and writes nothing.
	Judge(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (known bool, err error)
	// Apply takes the row in, with its row of the log, unless that was done already.
	Apply(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (object string, known bool, err error)
}

// Query selects imports, newest first.
type Query struct {
	Institution ra.InstitutionCode
	Before      string
	Limit       int
}

// LineQuery selects lines of one import, in their order.
type LineQuery struct {
	Verdict Verdict // empty: any
	After   int
	Limit   int
}

// Tx is one transaction on imports.
type Tx interface {
	InsertImport(i Import, lines []Line) error
	// Import is one of the institution's, or of any when scope is empty.
	Import(scope ra.InstitutionCode, id string) (Import, error)
	Imports(q Query) ([]Import, error)
	// UpdateImport writes one that is still in the state from.
	UpdateImport(i Import, from State) error
	// CountLine adds to how many lines were done or failed.
	CountLine(id string, done, failed int) error
	ImportLines(id string, q LineQuery) ([]Line, error)
	// SettleLine writes what became of a line that was still fresh, and forgets its cells.
	SettleLine(l Line) error
	// ForgetImports deletes previews that nobody started since a moment, and the cells of imports that ended.
	ForgetImports(before time.Time) error
	Enqueue(j jobs.Args) error
	Audit(e ra.Event) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Service is the use case.
type Service struct {
	store Store
	kinds map[Kind]Rows
	now   func() time.Time
	rand  io.Reader
}

// New wires the use case; kinds take the rows in.
func New(store Store, kinds map[Kind]Rows, now func() time.Time, rand io.Reader) *Service {
	return &Service{store: store, kinds: kinds, now: now, rand: rand}
}

// File is what somebody brings.
type File struct {
	Kind     Kind
	Name     string
	Content  []byte
	Defaults map[string]string // for the columns that a row leaves empty
}

// Preview reads a file and judges each of its lines. Nothing but the preview itself is written.
func (s *Service) Preview(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, f File) (Import, error) {
	id, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return Import{}, err
	}
	sum := sha256.Sum256(f.Content)
	i := Import{ID: id, Kind: f.Kind, State: Previewed, Institution: at, SHA256: hex.EncodeToString(sum[:]), CreatedBy: actor.ID, CreatedAt: s.now()}
	e := ra.Event{Actor: actor, Act: "import.preview", Object: "import/" + id, Institution: at, Details: map[string]string{"kind": string(f.Kind), "sha256": i.SHA256}}
	lines, refused := s.read(ctx, actor, &i, f)
	err = ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		if refused != nil {
			return refused
		}
		i.counts(e)
		return tx.InsertImport(i, lines)
	})
	return i, err
}

func (i Import) counts(e *ra.Event) {
	for k, n := range map[string]int{"fresh": i.Fresh, "known": i.Known, "wrong": i.Wrong, "done": i.Done, "failed": i.Failed} {
		e.Details[k] = strconv.Itoa(n)
	}
}

// read takes the file apart and judges its lines.
func (s *Service) read(ctx context.Context, actor ra.Actor, i *Import, f File) ([]Line, error) {
	rows, known := s.kinds[f.Kind]
	if !known {
		return nil, ra.Errorf(ra.KindMalformed, "import-kind", nil, "Say what the table holds. Nothing was changed.")
	}
	if actor.Institution != "" && actor.Institution != i.Institution {
		return nil, ra.Refuse("HCA-8.1.6", "not-yours", "This belongs to another institution, or to the window itself. Nothing was changed.", nil)
	}
	t, err := table(f)
	if err != nil {
		return nil, err
	}
	i.Encoding, i.Ignored = t.Encoding, t.Ignored
	lines, first := make([]Line, 0, len(t.Rows)), map[string]int{}
	for _, r := range t.Rows {
		l := Line{Import: i.ID, Line: r.Line, Cells: r.Cells, Verdict: Fresh}
		for k, v := range f.Defaults {
			if l.Cells != nil && l.Cells[k] == "" {
				l.Cells[k] = v
			}
		}
		key := ""
		if r.Wrong == nil {
			key = rows.Key(l.Cells)
		}
		switch before, twice := first[key]; {
		case r.Wrong != nil:
			l.Verdict, l.Code, l.Field = Wrong, r.Wrong.Code, r.Wrong.Column
		case twice && key != "":
			l.Verdict, l.Code, l.Detail = Wrong, "import-twice", strconv.Itoa(before)
		default:
			first[key] = r.Line
			if err := s.judge(ctx, actor, i.Institution, rows, &l); err != nil {
				return nil, err
			}
		}
		i.count(l)
		lines = append(lines, l)
	}
	return lines, nil
}

func (i *Import) count(l Line) {
	switch l.Verdict {
	case Fresh:
		i.Fresh++
	case Known:
		i.Known++
	default:
		i.Wrong++
	}
}

// judge says of a line what taking it in would do. What no line can help ends the whole.
func (s *Service) judge(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, rows Rows, l *Line) error {
	known, err := rows.Judge(ctx, actor, at, l.Cells)
	if lost(err) {
		return err
	}
	if err != nil {
		l.fail(Wrong, rows, err)
	} else if known {
		l.Verdict = Known
	}
	return nil
}

// fail says why a line is not taken in.
func (l *Line) fail(v Verdict, rows Rows, err error) {
	x := ra.AsError(err)
	l.Verdict, l.Code, l.Detail, l.Field = v, x.Code, x.Detail, rows.ColumnOf(x.Code)
}

// lost tells of errors that are not the line's own: ours, or a part that does not answer.
func lost(err error) bool {
	if err == nil {
		return false
	}
	k := ra.KindOf(err)
	return k == ra.KindUnavailable || k == ra.KindInternal || k == ra.KindForbidden
}

// table reads a file of rows, or, for certificates, of PEM or a ZIP of certificates.
func table(f File) (sheet.Table, error) {
	if f.Kind == Certificates {
		if t, is, err := bundle(f.Content); is {
			return t, err
		}
	}
	t, err := sheet.Read(f.Content, Columns[f.Kind])
	if err != nil {
		return t, notRead(err)
	}
	return t, nil
}
