package store

import (
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
	"certwindow/ra/audit"
)

// auditEvent is a row of the chained log (HCA-8.1.6).
type auditEvent struct {
	Seq         int64 `gorm:"primaryKey;autoIncrement:false"`
	At          time.Time
	ActorKind   ra.ActorKind
	Actor       string
	Address     string
	RequestID   string
	Act         string
	Object      string
	Institution ra.InstitutionCode
	Outcome     ra.Outcome
	Clause      string
	Code        string
	Details     string
	Hash        []byte
}

// auditHead is the chain's end: who holds its row may append.
type auditHead struct {
	ID   int `gorm:"primaryKey"`
	Seq  int64
	Hash []byte
	News int64 // counts the marks of topics (markTopics)
}

func (auditHead) TableName() string { return "audit_head" }

const (
	takeHead = "SELECT seq, hash FROM audit_head WHERE id = 1"
	moveHead = "UPDATE audit_head SET seq = $1, hash = $2 WHERE id = 1"
	logEvent = `INSERT INTO audit_events (seq, at, actor_kind, actor, address, request_id, act, object, institution, outcome, clause, code, details, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
)

// appendEvents chains events to the log. The lock on the head's row makes every other transaction that has something to
// log wait until this one is committed, so numbers have no gaps and each row covers the one before it. On SQLite a
// transaction that writes is alone from its beginning.
func appendEvents(db *gorm.DB, events []ra.Event) error {
	if len(events) == 0 {
		return nil
	}
	tx := &Tx{db: db}
	query := takeHead
	if db.Name() == "postgres" {
		query += " FOR UPDATE"
	}
	var (
		seq  int64
		prev []byte
	)
	if err := tx.one(query, nil, &seq, &prev); err != nil {
		return err
	}
	for _, e := range events {
		seq++
		r, err := rowOfEvent(seq, e)
		if err != nil {
			return err
		}
		r.Hash = audit.Chain(prev, r.record())
		prev = r.Hash
		if _, err := tx.write(logEvent, r.Seq, r.At, string(r.ActorKind), r.Actor, r.Address, r.RequestID, r.Act, r.Object, string(r.Institution), string(r.Outcome),
			r.Clause, r.Code, r.Details, r.Hash); err != nil {
			return err
		}
	}
	_, err := tx.write(moveHead, seq, prev)
	return err
}

func rowOfEvent(seq int64, e ra.Event) (auditEvent, error) {
	details := []byte("{}")
	if e.Details != nil {
		var err error
		if details, err = json.Marshal(e.Details); err != nil {
			return auditEvent{}, err
		}
	}
	return auditEvent{Seq: seq, At: e.At.UTC().Truncate(time.Microsecond), ActorKind: e.Actor.Kind, Actor: auditText(e.Actor.ID),
		Address: auditText(e.Actor.Address), RequestID: auditText(e.Actor.RequestID), Act: auditText(e.Act), Object: auditText(e.Object),
		Institution: ra.InstitutionCode(auditText(string(e.Institution))), Outcome: e.Outcome, Clause: string(e.Clause), Code: auditText(e.Code),
		Details: string(details)}, nil
}

func (r auditEvent) record() audit.Record {
	return audit.Record{Seq: r.Seq, At: r.At.UTC(), ActorKind: string(r.ActorKind), Actor: r.Actor, Address: r.Address, RequestID: r.RequestID, Act: r.Act,
		Object: r.Object, Institution: string(r.Institution), Outcome: string(r.Outcome), Clause: r.Clause, Code: r.Code, Details: r.Details, Hash: r.Hash}
}

// AppendEvent logs one event in a transaction of another store on the same database, and marks what it is about for the
// phones that wait.
func AppendEvent(tx *gorm.DB, e ra.Event) error {
	events := []ra.Event{e}
	if err := appendEvents(tx, events); err != nil {
		return err
	}
	return markTopics(tx, topicsOf(events))
}

// AuditFrom is a page of the log in its own order, after a sequence number.
func (tx *Tx) AuditFrom(after int64, limit int) (out []audit.Record, err error) {
	var rows []auditEvent
	if err := tx.db.Where("seq > ?", after).Order("seq").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	for _, r := range rows {
		out = append(out, r.record())
	}
	return out, nil
}
