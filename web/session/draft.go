package session

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
)

// Bounds of what is kept of forms that were not sent.
const (
	// DraftLife is how long a draft is kept, and how long an ended session is known to whose it was.
	DraftLife = 12 * time.Hour

	maxDraft       = 16 << 10 // bytes of one
	maxDraftFields = 64
	maxDrafts      = 8 // of one account; the oldest go
	maxDraftPath   = 1024
)

// Draft is what was typed into a form of a session that ended before it was sent. It is kept sealed, for its account
// alone, and never in the browser, where the next person at the counter would find it (HCA-8.1.5).
type Draft struct {
	Page   string // the page that shows the form: path and query
	Action string // the path that the form is posted to
	Fields url.Values
}

type draftRow struct {
	StaffID string    `gorm:"column:staff_id;primaryKey"`
	Page    string    `gorm:"column:page;primaryKey"`
	Action  string    `gorm:"column:action"`
	Session []byte    `gorm:"column:session"`
	Sealed  []byte    `gorm:"column:sealed"`
	SavedAt time.Time `gorm:"column:saved_at"`
}

func (draftRow) TableName() string { return "drafts" }

type endedRow struct {
	Hash    []byte    `gorm:"column:hash;primaryKey"`
	StaffID string    `gorm:"column:staff_id"`
	CSRF    string    `gorm:"column:csrf"`
	EndedAt time.Time `gorm:"column:ended_at"`
}

func (endedRow) TableName() string { return "ended_sessions" }

func draftColumn(r draftRow) string { return "drafts/" + r.StaffID + "/" + r.Page }

// Typed is a form without its secrets: passwords, codes, PINs, tokens and what a card signed are never kept nor
// shown again.
func Typed(form url.Values) url.Values {
	out := url.Values{}
	for name, values := range form {
		if !secretField(name) {
			out[name] = values
		}
	}
	return out
}

func secretField(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "current", "next", "repeat", "pin", "otp", "totp", "nonce", "signature", "certificate", "insertion", FormField:
		return true
	}
	for _, part := range []string{"password", "passphrase", "secret", "token", "pin-", "-pin", "otp-", "-otp"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// KeepDraft keeps what was typed into a form of the session that a cookie's token names, which may be over since no more
// than DraftLife. The form's own token must be that session's: another site cannot plant a draft. It is no use of
// the session (HCA-8.1.1).
func (s *Service) KeepDraft(ctx context.Context, token Secret, csrf string, d Draft) error {
	if len(token) != tokenLength {
		return errNoSession()
	}
	sum := sha256.Sum256([]byte(token.Reveal()))
	var r endedRow
	since := s.moment().Add(-DraftLife)
	res := s.db.WithContext(ctx).Raw(`SELECT hash, staff_id, csrf FROM sessions WHERE hash = ? AND last_used_at > ?
		UNION ALL SELECT hash, staff_id, csrf FROM ended_sessions WHERE hash = ? AND ended_at > ?`, sum[:], since, sum[:], since).Scan(&r)
	if res.Error != nil {
		return internal("read", res.Error)
	}
	if res.RowsAffected == 0 {
		return errNoSession()
	}
	if r.CSRF == "" || subtle.ConstantTimeCompare([]byte(r.CSRF), []byte(csrf)) != 1 {
		return errFormToken()
	}
	return s.keep(ctx, r, d)
}

// KeepFromBefore keeps what was posted in x by a form of an earlier session of the same account: a second page was
// open, whose session ended while its owner signed in again in another.
func (s *Service) KeepFromBefore(ctx context.Context, x Session, csrf string, d Draft) error {
	var r endedRow
	res := s.db.WithContext(ctx).Where("staff_id = ? AND csrf = ? AND ended_at > ?", string(x.Staff.ID), csrf, s.moment().Add(-DraftLife)).Limit(1).Find(&r)
	if res.Error != nil {
		return internal("read", res.Error)
	}
	if res.RowsAffected == 0 {
		return errFormToken()
	}
	return s.keep(ctx, r, d)
}

func (s *Service) keep(ctx context.Context, from endedRow, d Draft) error {
	account, err := s.byID(ctx, ra.StaffID(from.StaffID))
	if err != nil {
		return err
	}
	if !account.Active {
		return errNoSession()
	}
	fields := Typed(d.Fields)
	plain, err := json.Marshal(fields)
	if err != nil {
		return internal("draft", err)
	}
	if len(plain) > maxDraft || len(fields) > maxDraftFields || len(d.Page) > maxDraftPath || len(d.Action) > maxDraftPath {
		return ra.Errorf(ra.KindMalformed, "draft-too-large", nil, "What was typed is too much to be kept.")
	}
	r := draftRow{StaffID: from.StaffID, Page: d.Page, Action: d.Action, Session: from.Hash, SavedAt: s.moment()}
	if r.Sealed, err = s.Sealer.Seal(draftColumn(r), plain); err != nil {
		return internal("seal", err)
	}
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Exec(`INSERT INTO drafts (staff_id, page, action, session, sealed, saved_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (staff_id, page) DO UPDATE SET action = excluded.action, session = excluded.session, sealed = excluded.sealed, saved_at = excluded.saved_at`,
			r.StaffID, r.Page, r.Action, r.Session, r.Sealed, r.SavedAt).Error
		if err != nil {
			return internal("write", err)
		}
		err = tx.Exec(`DELETE FROM drafts WHERE staff_id = ? AND page NOT IN
			(SELECT page FROM drafts WHERE staff_id = ? ORDER BY saved_at DESC, page LIMIT ?)`, r.StaffID, r.StaffID, maxDrafts).Error
		if err != nil {
			return internal("write", err)
		}
		return nil
	})
}

// TakeDraft gives what was typed on this page in an earlier session of the account, once: it is deleted. What was
// typed in this very session was left on purpose, and is deleted as well.
func (s *Service) TakeDraft(ctx context.Context, x Session, page string) (d Draft, ok bool, err error) {
	var r draftRow
	db := s.db.WithContext(ctx)
	if err := db.Where("staff_id = ? AND page = ?", string(x.Staff.ID), page).Take(&r).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		return Draft{}, false, nil
	} else if err != nil {
		return Draft{}, false, internal("read", err)
	}
	if err := db.Exec("DELETE FROM drafts WHERE staff_id = ? AND page = ? AND saved_at = ?", r.StaffID, r.Page, r.SavedAt).Error; err != nil {
		return Draft{}, false, internal("write", err)
	}
	if subtle.ConstantTimeCompare(r.Session, x.hash) == 1 || !s.moment().Before(r.SavedAt.Add(DraftLife)) {
		return Draft{}, false, nil
	}
	plain, err := s.Sealer.Open(draftColumn(r), r.Sealed)
	if err != nil {
		return Draft{}, false, internal("open", err)
	}
	d = Draft{Page: r.Page, Action: r.Action}
	if err := json.Unmarshal(plain, &d.Fields); err != nil {
		return Draft{}, false, internal("draft", err)
	}
	return d, true, nil
}

// Sent forgets the drafts of a form that has been sent.
func (s *Service) Sent(ctx context.Context, x Session, action string) error {
	if err := s.db.WithContext(ctx).Exec("DELETE FROM drafts WHERE staff_id = ? AND action = ?", string(x.Staff.ID), action).Error; err != nil {
		return internal("write", err)
	}
	return nil
}

// dropDrafts deletes what an account has typed, but for what belongs to other sessions of it that go on.
func dropDrafts(tx *gorm.DB, x Session) error {
	err := tx.Exec("DELETE FROM drafts WHERE staff_id = ? AND (session = ? OR session NOT IN (SELECT hash FROM sessions WHERE staff_id = ?))",
		string(x.Staff.ID), x.hash, string(x.Staff.ID)).Error
	if err != nil {
		return internal("write", err)
	}
	return nil
}

// over ends the sessions that a condition names. Whose they were is kept for a while, for what is still posted into them.
func (s *Service) over(tx *gorm.DB, where string, args ...any) error {
	err := tx.Exec("INSERT INTO ended_sessions (hash, staff_id, csrf, ended_at) SELECT hash, staff_id, csrf, ? FROM sessions WHERE "+where+" ON CONFLICT DO NOTHING",
		append([]any{s.moment()}, args...)...).Error
	if err == nil {
		err = tx.Exec("DELETE FROM sessions WHERE "+where, args...).Error
	}
	if err != nil {
		return internal("write", err)
	}
	return nil
}
