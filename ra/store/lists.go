package store

import (
	"time"

	"gorm.io/gorm"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/audit"
	"certwindow/ra/enrol"
	"certwindow/ra/revoke"
)

// What the lists can be sorted by; an index holds each with the id behind it.
var (
	byID              = map[string]ra.Column{"id": {Name: "id"}}
	certificateOrders = map[string]ra.Column{"id": {Name: "id"}, "until": {Name: "not_after", Time: true}}
)

// newest is the order of those who ask for none, after an id.
func newest(o ra.Order, before string) ra.Order {
	if o.By != "" {
		return o
	}
	o = ra.Order{By: "id", Desc: true}
	if before != "" {
		o.After = &ra.Mark{ID: before}
	}
	return o
}

// paged puts an order and the place of the page on a query.
func paged(q *gorm.DB, o ra.Order, columns map[string]ra.Column, limit int) (*gorm.DB, error) {
	order, where, args, err := o.Keyset(columns, "id")
	if err != nil {
		return nil, err
	}
	if where != "" {
		q = q.Where(where, args...)
	}
	return q.Order(order).Limit(limit), nil
}

// count counts rows as far as ra.CountUpTo and one more, so that it costs no more on a large table than on a small one.
func (tx *Tx) count(q *gorm.DB) (int, error) {
	var n int64
	err := tx.db.Session(&gorm.Session{NewDB: true}).Table("(?) AS counted", q.Select("1").Limit(ra.CountUpTo+1)).Count(&n).Error
	return int(n), err
}

// equal keeps the rows whose columns are so; an empty value keeps all.
func equal(q *gorm.DB, values map[string]string) *gorm.DB {
	for column, v := range values {
		if v != "" {
			q = q.Where(column+" = ?", v)
		}
	}
	return q
}

func (tx *Tx) certificateFilter(f revoke.Query) *gorm.DB {
	q := equal(tx.db.Model(&ra.Certificate{}), map[string]string{"state": string(f.State), "institution": string(f.Institution), "person_id": string(f.Person),
		"device_id": string(f.Device), "serial": f.Serial, "key_design": string(f.KeyDesign)})
	if !f.From.IsZero() {
		q = q.Where("not_after >= ?", f.From.UTC())
	}
	if !f.To.IsZero() {
		q = q.Where("not_after < ?", f.To.UTC())
	}
	return q
}

// Certificates is a page of certificates.
func (tx *Tx) Certificates(f revoke.Query) (out []ra.Certificate, err error) {
	q, err := paged(tx.certificateFilter(f), newest(f.Order, f.Before), certificateOrders, f.Limit)
	if err != nil {
		return nil, err
	}
	if f.Brief {
		q = q.Omit("der", "chain")
	}
	if err := q.Find(&out).Error; err != nil {
		return nil, err
	}
	return openAll(tx.s, out, certificateColumns)
}

// CountCertificates counts them, as far as ra.CountUpTo and one more.
func (tx *Tx) CountCertificates(f revoke.Query) (int, error) {
	return tx.count(tx.certificateFilter(f))
}

func (tx *Tx) applicationFilter(f enrol.Query) *gorm.DB {
	return equal(tx.db.Model(&ra.Application{}), map[string]string{"kind": string(f.Kind), "state": string(f.State), "institution": string(f.Institution),
		"person_id": string(f.Person), "device_id": string(f.Device), "certificate_id": string(f.Certificate)})
}

// Applications is a page of applications.
func (tx *Tx) Applications(f enrol.Query) (out []ra.Application, err error) {
	q, err := paged(tx.applicationFilter(f), newest(f.Order, f.Before), byID, f.Limit)
	if err != nil {
		return nil, err
	}
	if f.Brief {
		q = q.Omit("text", "challenge", "consent", "proof", "csr", "key_proof")
	}
	if err := q.Find(&out).Error; err != nil {
		return nil, err
	}
	return openAll(tx.s, out, applicationColumns)
}

// CountApplications counts them, as far as ra.CountUpTo and one more.
func (tx *Tx) CountApplications(f enrol.Query) (int, error) { return tx.count(tx.applicationFilter(f)) }

func (tx *Tx) proposalFilter(f approve.Query) *gorm.DB {
	q := equal(tx.db.Model(&approve.Proposal{}), map[string]string{"state": string(f.State), "object": f.Object, "institution": string(f.Institution), "act": string(f.Act)})
	if f.Settled {
		q = q.Where("state <> ?", approve.Proposed)
	}
	return q
}

// Proposals is a page of proposals.
func (tx *Tx) Proposals(f approve.Query) (out []approve.Proposal, err error) {
	q, err := paged(tx.proposalFilter(f), newest(f.Order, f.Before), byID, f.Limit)
	if err != nil {
		return nil, err
	}
	if err := q.Find(&out).Error; err != nil {
		return nil, err
	}
	return openAll(tx.s, out, proposalColumns)
}

// CountProposals counts them, as far as ra.CountUpTo and one more.
func (tx *Tx) CountProposals(f approve.Query) (int, error) { return tx.count(tx.proposalFilter(f)) }

// AuditQuery selects rows of the log.
type AuditQuery struct {
	Institution ra.InstitutionCode
	Object      string // e.g. "person/01JD…"
	Act         string
	Actor       string // e.g. the id of a member of staff
	Outcome     ra.Outcome
	Clause      policy.Clause
	From, To    time.Time // of the time of the row; zero: no bound
	Before      int64     // sequence number; zero begins at the end
	After       int64     // with OldestFirst: the number of the last row of the page before
	OldestFirst bool
	Limit       int
}

func (tx *Tx) auditFilter(f AuditQuery) (*gorm.DB, error) {
	q := equal(tx.db.Model(&auditEvent{}), map[string]string{"institution": string(f.Institution), "object": f.Object, "act": f.Act, "actor": f.Actor,
		"outcome": string(f.Outcome), "clause": string(f.Clause)})
	if !f.From.IsZero() {
		first, err := tx.seqAt(f.From)
		if err != nil {
			return nil, err
		}
		q = q.Where("seq >= ? AND at >= ?", first-auditSlack, f.From.UTC())
	}
	if !f.To.IsZero() {
		end, err := tx.seqAt(f.To)
		if err != nil {
			return nil, err
		}
		q = q.Where("seq < ? AND at < ?", end+auditSlack, f.To.UTC())
	}
	return q, nil
}

// auditSlack is how many rows may stand a moment out of the order of their times: rows are timed when the act begins,
// and numbered when it ends.
const auditSlack = 10_000

// seqAt is the number of about the first row at or after a moment. Rows are numbered without gaps and about in the
// order of their times, so that halving finds it by the primary key, and no insert has to keep an index of times.
func (tx *Tx) seqAt(t time.Time) (int64, error) {
	var head auditHead
	if err := tx.db.Take(&head, 1).Error; err != nil {
		return 0, err
	}
	low, high := int64(1), head.Seq+1
	for low < high {
		middle := low + (high-low)/2
		var at []time.Time
		if err := tx.db.Model(&auditEvent{}).Where("seq = ?", middle).Limit(1).Pluck("at", &at).Error; err != nil {
			return 0, err
		}
		if len(at) == 0 || !at[0].Before(t) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}

// AuditRows is a page of the log, newest first unless it is asked for otherwise.
func (tx *Tx) AuditRows(f AuditQuery) (out []audit.Record, err error) {
	q, err := tx.auditFilter(f)
	if err != nil {
		return nil, err
	}
	switch {
	case f.OldestFirst:
		q = q.Where("seq > ?", f.After).Order("seq")
	case f.Before > 0:
		q = q.Where("seq < ?", f.Before).Order("seq DESC")
	default:
		q = q.Order("seq DESC")
	}
	var rows []auditEvent
	if err := q.Limit(f.Limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	for _, r := range rows {
		out = append(out, r.record())
	}
	return out, nil
}

// CountAudit counts them, as far as ra.CountUpTo and one more.
func (tx *Tx) CountAudit(f AuditQuery) (int, error) {
	q, err := tx.auditFilter(f)
	if err != nil {
		return 0, err
	}
	return tx.count(q)
}
