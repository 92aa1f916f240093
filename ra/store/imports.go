package store

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
	"certwindow/ra/adopt"
	"certwindow/ra/intake"
)

// IntakeStore and AdoptStore give imports their transactions.
type (
	IntakeStore struct{ *Store }
	AdoptStore  struct{ *Store }
)

var (
	_ intake.Store = IntakeStore{}
	_ adopt.Store  = AdoptStore{}
)

// Update implements intake.Store.
func (s IntakeStore) Update(ctx context.Context, fn func(intake.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// View implements intake.Store.
func (s IntakeStore) View(ctx context.Context, fn func(intake.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

// Update implements adopt.Store.
func (s AdoptStore) Update(ctx context.Context, fn func(adopt.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// View implements adopt.Store.
func (s AdoptStore) View(ctx context.Context, fn func(adopt.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

// importLine is one line of a table. Its cells name people and are sealed (HCA-8.1.5).
type importLine struct {
	ImportID string `gorm:"primaryKey"`
	Line     int    `gorm:"primaryKey;autoIncrement:false"`
	Verdict  intake.Verdict
	Field    string
	Code     string
	Detail   string
	Object   string
	Cells    []byte
}

func lineColumns(l *importLine) []sealed {
	return []sealed{{"import_lines.cells/" + l.ImportID + "/" + strconv.Itoa(l.Line), &l.Cells}}
}

// InsertImport stores a preview with its lines.
func (tx *Tx) InsertImport(i intake.Import, lines []intake.Line) error {
	i.CreatedAt = i.CreatedAt.UTC()
	if i.Ignored == nil {
		i.Ignored = []string{} // none is not NULL
	}
	if err := tx.db.Create(&i).Error; err != nil {
		return err
	}
	rows := make([]importLine, 0, len(lines))
	for _, l := range lines {
		r := importLine{ImportID: l.Import, Line: l.Line, Verdict: l.Verdict, Field: l.Field, Code: l.Code, Detail: l.Detail, Object: l.Object}
		var err error
		if r.Cells, err = json.Marshal(l.Cells); err != nil {
			return err
		}
		if err := tx.s.seal(lineColumns(&r)); err != nil {
			return err
		}
		rows = append(rows, r)
	}
	return tx.db.CreateInBatches(rows, 200).Error
}

// Import is one of the institution's, or of any when scope is empty.
func (tx *Tx) Import(scope ra.InstitutionCode, id string) (i intake.Import, err error) {
	q := tx.db.Where("id = ?", id)
	if scope != "" {
		q = q.Where("institution = ?", scope)
	}
	return i, mapError(q.Take(&i).Error)
}

// Imports is a page of them, newest first.
func (tx *Tx) Imports(f intake.Query) (out []intake.Import, err error) {
	q := tx.db.Order("id DESC").Limit(f.Limit)
	if f.Institution != "" {
		q = q.Where("institution = ?", f.Institution)
	}
	if f.Before != "" {
		q = q.Where("id < ?", f.Before)
	}
	err = q.Find(&out).Error
	return out, err
}

// UpdateImport writes one that is still in the state from.
func (tx *Tx) UpdateImport(i intake.Import, from intake.State) error {
	i.StartedAt, i.FinishedAt = utc(i.StartedAt), utc(i.FinishedAt)
	return guarded(tx.db.Model(&intake.Import{}).Where("id = ? AND state = ?", i.ID, from).Select("state", "started_at", "started_by", "finished_at").UpdateColumns(&i))
}

// CountLine adds to how many lines were done or failed.
func (tx *Tx) CountLine(id string, done, failed int) error {
	return guarded(tx.db.Model(&intake.Import{}).Where("id = ?", id).
		UpdateColumns(map[string]any{"done": gorm.Expr("done + ?", done), "failed": gorm.Expr("failed + ?", failed)}))
}

// ImportLines is a page of an import's lines, in their order.
func (tx *Tx) ImportLines(id string, f intake.LineQuery) (out []intake.Line, err error) {
	q := tx.db.Where("import_id = ? AND line > ?", id, f.After).Order("line").Limit(f.Limit)
	if f.Verdict != "" {
		q = q.Where("verdict = ?", f.Verdict)
	}
	var rows []importLine
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	if rows, err = openAll(tx.s, rows, lineColumns); err != nil {
		return nil, err
	}
	for _, r := range rows {
		l := intake.Line{Import: r.ImportID, Line: r.Line, Verdict: r.Verdict, Field: r.Field, Code: r.Code, Detail: r.Detail, Object: r.Object}
		if r.Cells != nil {
			if err := json.Unmarshal(r.Cells, &l.Cells); err != nil {
				return nil, err
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// SettleLine writes what became of a line that was still fresh, and forgets its cells.
func (tx *Tx) SettleLine(l intake.Line) error {
	return guarded(tx.db.Model(&importLine{}).Where("import_id = ? AND line = ? AND verdict = ?", l.Import, l.Line, intake.Fresh).
		UpdateColumns(map[string]any{"verdict": l.Verdict, "field": l.Field, "code": l.Code, "detail": l.Detail, "object": l.Object, "cells": nil}))
}

// ForgetImports deletes previews that nobody started since a moment, and the cells of imports that ended before it.
func (tx *Tx) ForgetImports(before time.Time) error {
	old := tx.db.Model(&intake.Import{}).Select("id").Where("state = ? AND created_at < ?", intake.Previewed, before.UTC())
	if err := tx.db.Where("import_id IN (?)", old).Delete(&importLine{}).Error; err != nil {
		return err
	}
	if err := tx.db.Where("state = ? AND created_at < ?", intake.Previewed, before.UTC()).Delete(&intake.Import{}).Error; err != nil {
		return err
	}
	ended := tx.db.Model(&intake.Import{}).Select("id").Where("state IN ? AND created_at < ?", []intake.State{intake.Finished, intake.Stopped}, before.UTC())
	return tx.db.Model(&importLine{}).Where("import_id IN (?) AND cells IS NOT NULL", ended).UpdateColumn("cells", nil).Error
}
