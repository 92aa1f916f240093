// Package checker is the independent checker: it derives from the database alone, with SQL of its own, whether what
// the rules demand is so, and trusts none of the code that wrote it. It changes nothing, reads one consistent state
// of the database from its first row to its last, and takes the same memory for a database of any size.
package checker

import (
	"context"
	"database/sql"
	"encoding/asn1"
	"fmt"
	"strconv"
	"strings"
	"time"

	"certwindow/hsm"
	"certwindow/policy"
	"certwindow/ra/certpath"
)

// What a finding is about.
const (
	Limit       = "limit"       // HCA-7.5: more than a person may hold
	Slot        = "slot"        // HCA-7.5: a place that is held wrongly, or not held
	State       = "state"       // states that do not go together
	Certificate = "certificate" // HCA-3.3: a certificate that is not what its row and its request say
	Consent     = "consent"     // HCA-5.1.1, HCA-5.2.1: a card's signature that does not hold
	Nonce       = "nonce"       // HCA-8.1.4
	Key         = "key"         // HCA-6.3.5: a holder's key in the window's keeping
	Sealed      = "sealed"      // HCA-8.1.5: a sealed value that was changed or moved
	Chain       = "audit-chain" // HCA-8.1.6: the log itself
	Checkpoint  = "audit-checkpoint"
	Row         = "audit-row" // HCA-8.1.6: no row, no act; and no row without what it tells of
)

// Finding is one thing that is not as it must be.
type Finding struct {
	Check  string        `json:"check"`
	Clause policy.Clause `json:"clause"`
	Object string        `json:"object"` // e.g. "application/01JD…"
	Detail string        `json:"detail"`
}

// Keys verifies that a wrapped key is the one that was made for a binding (HCA-6.3.5); hsm/p11.Token is one.
type Keys interface {
	VerifyBinding(ctx context.Context, k hsm.WrappedKey, b hsm.Binding) error
}

// Sealer opens columns that are encrypted at rest (HCA-8.1.5).
type Sealer interface {
	Open(column string, sealed []byte) ([]byte, error)
}

// Config is what a check is made with. Every field but HolderOID is needed.
type Config struct {
	DB            *sql.DB
	Postgres      bool                    // the other is SQLite
	At            time.Time               // the moment to judge at
	Window        string                  // the institution's code
	Signing       []*certpath.Certificate // the dedicated certificate and those before it
	Anchors       *certpath.Pool          // pinned roots
	Intermediates []*certpath.Certificate
	HolderOID     asn1.ObjectIdentifier // of a card's certificate; nil is the subject's serialNumber
	Keys          Keys
	Sealer        Sealer
	Report        func(Finding) // called for each finding, as it is found
}

// Counts are how much was looked at.
type Counts struct {
	Applications int64 `json:"applications"`
	Certificates int64 `json:"certificates"`
	Consents     int64 `json:"consents"`
	Keys         int64 `json:"keys"`
	Approvals    int64 `json:"approvals"`
	AuditRows    int64 `json:"audit_rows"`
	Checkpoints  int64 `json:"checkpoints"`
	Findings     int64 `json:"findings"`
}

// Run checks the database. An error means that it could not be read to its end.
func Run(ctx context.Context, cfg Config) (Counts, error) {
	conn, err := cfg.DB.Conn(ctx)
	if err != nil {
		return Counts{}, fmt.Errorf("checker: %w", err)
	}
	defer conn.Close()
	begin := "BEGIN" // deferred: SQLite reads one state and keeps no writer waiting
	if cfg.Postgres {
		begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	}
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return Counts{}, fmt.Errorf("checker: %w", err)
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") //nolint:errcheck // nothing was written
	c := &check{Config: cfg, ctx: ctx, conn: conn}
	for _, step := range []func() error{c.limits, c.slots, c.orphans, c.nonces, c.applications, c.approvals, c.auditLog} {
		if err := step(); err != nil {
			return c.counts, fmt.Errorf("checker: %w", err)
		}
	}
	return c.counts, nil
}

// check is one run.
type check struct {
	Config
	ctx    context.Context
	conn   *sql.Conn
	counts Counts
}

func (c *check) found(what string, clause policy.Clause, object, format string, args ...any) {
	c.counts.Findings++
	c.Report(Finding{Check: what, Clause: clause, Object: object, Detail: fmt.Sprintf(format, args...)})
}

// each runs a query and gives its rows one after the other.
func (c *check) each(query string, args []any, row func(scan func(...any) error) error) error {
	rows, err := c.conn.QueryContext(c.ctx, c.bind(query), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// bind gives the placeholders the form of the database.
func (c *check) bind(query string) string {
	if !c.Postgres {
		return query
	}
	var b strings.Builder
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}

// in writes the placeholders of a list, which is never empty.
func in[T any](list []T) (string, []any) {
	args := make([]any, len(list))
	for i, v := range list {
		args[i] = v
	}
	return "(?" + strings.Repeat(", ?", len(list)-1) + ")", args
}

// must is a finding unless it holds.
func (c *check) must(holds bool, what string, clause policy.Clause, object, format string, args ...any) {
	if !holds {
		c.found(what, clause, object, format, args...)
	}
}
