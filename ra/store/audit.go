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

// appendEvents chains events to the log. The update of the head's row makes every other transaction that has
// something to log wait until this one is committed, so numbers have no gaps and each row covers the one
// before it.
func appendEvents(db *gorm.DB, events []ra.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := db.Exec("UPDATE audit_head SET seq = seq + ? WHERE id = 1", len(events)).Error; err != nil {
		return err
	}
	var head auditHead
	if err := db.Take(&head, 1).Error; err != nil {
		return err
	}
	seq, prev := head.Seq-int64(len(events)), head.Hash
	rows := make([]auditEvent, 0, len(events))
	for _, e := range events {
		seq++
		details, err := json.Marshal(e.Details)
		if err != nil {
			return err
		}
		if e.Details == nil {
			details = []byte("{}")
		}
		row := auditEvent{Seq: seq, At: e.At.UTC().Truncate(time.Microsecond), ActorKind: e.Actor.Kind, Actor: auditText(e.Actor.ID),
			Address: auditText(e.Actor.Address), RequestID: auditText(e.Actor.RequestID), Act: auditText(e.Act), Object: auditText(e.Object),
			Institution: ra.InstitutionCode(auditText(string(e.Institution))), Outcome: e.Outcome, Clause: string(e.Clause), Code: auditText(e.Code),
			Details: string(details)}
		row.Hash = audit.Chain(prev, row.record())
		prev = row.Hash
		rows = append(rows, row)
	}
	if err := db.Create(&rows).Error; err != nil {
		return err
	}
	return db.Exec("UPDATE audit_head SET hash = ? WHERE id = 1", prev).Error
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
