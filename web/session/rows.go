package session

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
)

type staffRow struct {
	ID           string    `gorm:"column:id;primaryKey"`
	Account      string    `gorm:"column:account"`
	NameSealed   []byte    `gorm:"column:name_sealed"`
	Institution  string    `gorm:"column:institution"`
	Role         string    `gorm:"column:role"`
	Contractor   bool      `gorm:"column:contractor"`
	Active       bool      `gorm:"column:active"`
	Password     string    `gorm:"column:password"`
	PasswordAt   time.Time `gorm:"column:password_at"`
	MustChange   bool      `gorm:"column:must_change"`
	Failures     int       `gorm:"column:failures"`
	TOTPSealed   []byte    `gorm:"column:totp_sealed"`
	TOTPStep     int64     `gorm:"column:totp_step"`
	TOTPFailures int       `gorm:"column:totp_failures"`
	CreatedAt    time.Time `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt    time.Time `gorm:"column:updated_at;autoUpdateTime:false"`
}

func (staffRow) TableName() string { return "staff" }

type sessionRow struct {
	Hash       []byte    `gorm:"column:hash;primaryKey"`
	StaffID    string    `gorm:"column:staff_id"`
	CSRF       string    `gorm:"column:csrf"`
	Address    string    `gorm:"column:address"`
	Method     string    `gorm:"column:method"`
	StartedAt  time.Time `gorm:"column:started_at"`
	LastUsedAt time.Time `gorm:"column:last_used_at"`
}

func (sessionRow) TableName() string { return "sessions" }

// Columns whose values are bound to their account, so that one account's cannot be moved to another's row.
func nameColumn(id string) string { return "staff.name/" + id }
func totpColumn(id string) string { return "staff.totp/" + id }

// staff makes the outside's view of a row.
func (s *Service) staff(r staffRow) (Staff, error) {
	name, err := s.Sealer.Open(nameColumn(r.ID), r.NameSealed)
	if err != nil {
		return Staff{}, internal("open", err)
	}
	pw, code := lockOf(r)
	return Staff{ID: ra.StaffID(r.ID), Account: r.Account, Name: string(name), Institution: ra.InstitutionCode(r.Institution),
		Role: Role(r.Role), Contractor: r.Contractor, Active: r.Active, MustChange: r.MustChange, PasswordAt: r.PasswordAt,
		PasswordLocked: pw, CodeLocked: code, CreatedAt: r.CreatedAt}, nil
}

// byAccount finds an account; no row and no error when there is none.
func (s *Service) byAccount(ctx context.Context, account string) (*staffRow, error) {
	return s.one(ctx, "account = ?", account)
}

func (s *Service) byID(ctx context.Context, id ra.StaffID) (staffRow, error) {
	r, err := s.one(ctx, "id = ?", string(id))
	if err != nil {
		return staffRow{}, err
	}
	if r == nil {
		return staffRow{}, errNoStaff
	}
	return *r, nil
}

func (s *Service) one(ctx context.Context, where string, args ...any) (*staffRow, error) {
	var r staffRow
	err := s.db.WithContext(ctx).Where(where, args...).Take(&r).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, internal("read", err)
	}
	return &r, nil
}
