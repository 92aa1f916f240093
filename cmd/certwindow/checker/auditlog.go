package checker

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"certwindow/ra/audit"
)

// logPage is how many rows of the log are in memory at a time.
const logPage = 500

// auditLog walks the log from its first row to its last, with the checkpoints on the way, and wants what it tells of
// to be there (HCA-8.1.6). After a row that does not fit the walk ends: what follows proves nothing.
func (c *check) auditLog() error {
	var seq int64
	var hash []byte
	var last, marked sql.NullInt64
	err := c.conn.QueryRowContext(c.ctx, `SELECT seq, hash, (SELECT MAX(seq) FROM audit_events), (SELECT MAX(seq) FROM audit_checkpoints)
		FROM audit_head WHERE id = 1`).Scan(&seq, &hash, &last, &marked)
	if errors.Is(err, sql.ErrNoRows) {
		c.found(Chain, "HCA-8.1.6", "audit", "the log has no head")
		return nil
	}
	if err != nil {
		return err
	}
	v, whole, err := c.walkLog()
	if err != nil || !whole {
		return err
	}
	end, at := v.Head()
	c.must(end == seq && bytes.Equal(at, hash) && last.Int64 == end, Chain, "HCA-8.1.6", "audit",
		"the rows end at %d, the head says %d: rows were cut off, or the head was changed", end, seq)
	c.must(marked.Int64 <= end, Checkpoint, "HCA-8.1.6", "audit", "row %d was signed, the rows end at %d: rows were cut off", marked.Int64, end)
	return nil
}

// walkLog goes through the rows; whole is false when a row does not fit.
func (c *check) walkLog() (v audit.Verifier, whole bool, err error) {
	if err := c.signed(map[int64]audit.Hash{0: audit.Genesis}, 0, 0); err != nil { // of the empty log
		return v, false, err
	}
	for {
		after, _ := v.Head()
		var page []audit.Record
		err := c.each(`SELECT seq, at, actor_kind, actor, address, request_id, act, object, institution, outcome, clause, code, details, hash
			FROM audit_events WHERE seq > ? ORDER BY seq LIMIT ?`, []any{after, logPage}, func(scan func(...any) error) error {
			var r audit.Record
			err := scan(&r.Seq, &r.At, &r.ActorKind, &r.Actor, &r.Address, &r.RequestID, &r.Act, &r.Object, &r.Institution, &r.Outcome, &r.Clause,
				&r.Code, &r.Details, (*[]byte)(&r.Hash))
			page = append(page, r)
			return err
		})
		if err != nil || len(page) == 0 {
			return v, err == nil, err
		}
		hashes := make(map[int64]audit.Hash, len(page))
		for _, r := range page {
			hashes[r.Seq] = r.Hash
			var broken *audit.Broken
			if err := v.Next(r); errors.As(err, &broken) {
				c.found(Chain, "HCA-8.1.6", "audit", "row %d: %s", broken.Seq, broken.Why)
				return v, false, nil
			}
			c.counts.AuditRows++
		}
		if err := c.signed(hashes, page[0].Seq, page[len(page)-1].Seq); err != nil {
			return v, false, err
		}
		if err := c.toldOf(page); err != nil {
			return v, false, err
		}
	}
}

// signed verifies the checkpoints of some rows that were found good.
func (c *check) signed(hashes map[int64]audit.Hash, first, last int64) error {
	return c.each(`SELECT seq, hash, signed FROM audit_checkpoints WHERE seq BETWEEN ? AND ? ORDER BY seq`, []any{first, last},
		func(scan func(...any) error) error {
			var seq int64
			var hash, signed []byte
			if err := scan(&seq, &hash, &signed); err != nil {
				return err
			}
			c.counts.Checkpoints++
			s, err := audit.OpenCheckpoint(signed, c.Signing)
			if err != nil {
				c.found(Checkpoint, "HCA-8.1.6", "audit", "checkpoint of row %d: %v", seq, err)
				return nil
			}
			c.must(s.Window == c.Window && s.Seq == seq && bytes.Equal(s.Hash, hash), Checkpoint, "HCA-8.1.6", "audit",
				"the checkpoint of row %d signs something else", seq)
			c.must(bytes.Equal(s.Hash, hashes[seq]), Chain, "HCA-8.1.6", "audit",
				"row %d: its checkpoint of %s has another hash for it: this row, or one before it, was rewritten", seq, stamp(s.At))
			return nil
		})
}

// told is what a row of the log says happened to an application or a certificate.
type told struct {
	seq     int64
	act, id string
	cert    string // the certificate that its details name
}

// toldOf wants what the rows tell of to be there: a row that says that a certificate was issued, and no certificate,
// is a certificate that somebody made vanish.
func (c *check) toldOf(page []audit.Record) error {
	var all []told
	var apps, certs []string
	for _, r := range page {
		kind, id, _ := strings.Cut(r.Object, "/")
		if r.Outcome != "done" || !oneOf(r.Act, "enrol.begin", "enrol.consent", "enrol.key", "hca.issued", "revoke.begin", "revoke.window", "revoke.consent",
			"hca.revoked", "sweep.revoked-at-hca", "certificate.expire") {
			continue
		}
		t := told{seq: r.Seq, act: r.Act, id: id}
		var details map[string]string
		if json.Unmarshal([]byte(r.Details), &details) == nil && strings.HasPrefix(r.Act, "hca.") {
			t.cert = details["certificate"]
		}
		if kind == "certificate" {
			t.cert = id
		} else {
			apps = append(apps, id)
		}
		if t.cert != "" {
			certs = append(certs, t.cert)
		}
		all = append(all, t)
	}
	state, err := c.states("SELECT id, state, consent IS NOT NULL, csr IS NOT NULL FROM applications WHERE id IN ", apps)
	if err != nil {
		return err
	}
	ofCert, err := c.states("SELECT id, state, TRUE, TRUE FROM certificates WHERE id IN ", certs)
	if err != nil {
		return err
	}
	for _, t := range all {
		c.holds(t, state[t.id], ofCert[t.cert])
	}
	return nil
}

// standing is how a thing stands that a row tells of; its state is empty when it is not there.
type standing struct {
	state       string
	signed, key bool
}

func (c *check) states(query string, ids []string) (map[string]standing, error) {
	out := make(map[string]standing, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	list, args := in(ids)
	return out, c.each(query+list, args, func(scan func(...any) error) error {
		var id string
		var s standing
		err := scan(&id, &s.state, &s.signed, &s.key)
		out[id] = s
		return err
	})
}

func (c *check) holds(t told, app, cert standing) {
	bad := func(format string, args ...any) {
		c.found(Row, "HCA-8.1.6", t.object(), "row %d says %s, and "+format, append([]any{t.seq, t.act}, args...)...)
	}
	if t.act != "sweep.revoked-at-hca" && t.act != "certificate.expire" && app.state == "" {
		bad("the application is not there")
		return
	}
	switch t.act {
	case "enrol.consent", "revoke.consent":
		if !app.signed {
			bad("the application has no card's signature")
		}
	case "enrol.key":
		if !app.key {
			bad("the application has no certification request")
		}
	case "hca.issued":
		if app.state != "completed" || cert.state == "" {
			bad("the application is %s, its certificate is there: %v", app.state, cert.state != "")
		}
	case "hca.revoked", "sweep.revoked-at-hca":
		if cert.state != "revoked" {
			bad("certificate %s is %q", t.cert, cert.state)
		}
	case "certificate.expire":
		if cert.state != "expired" {
			bad("certificate %s is %q", t.cert, cert.state)
		}
	}
}

func (t told) object() string {
	if oneOf(t.act, "sweep.revoked-at-hca", "certificate.expire") {
		return "certificate/" + t.cert
	}
	return "application/" + t.id
}
