package session

import (
	"context"

	"gorm.io/gorm"

	"certwindow/ra"
)

// StaffQuery selects accounts; empty fields select all.
type StaffQuery struct {
	Account     string // whole
	Role        Role
	Institution ra.InstitutionCode
	Active      *bool
	Order       ra.Order // by "account" or by "id", the order in which they were made; zero: by account
	Limit       int
}

var staffOrders = map[string]ra.Column{"account": {Name: "account"}, "id": {Name: "id"}}

func (s *Service) staffFilter(ctx context.Context, actor ra.Actor, f StaffQuery) *gorm.DB {
	if actor.Institution != "" {
		f.Institution = actor.Institution
	}
	q := s.db.WithContext(ctx).Model(&staffRow{})
	for column, v := range map[string]string{"account": f.Account, "role": string(f.Role), "institution": string(f.Institution)} {
		if v != "" {
			q = q.Where(column+" = ?", v)
		}
	}
	if f.Active != nil {
		q = q.Where("active = ?", *f.Active)
	}
	return q
}

// Staff is a page of accounts. An actor of one institution sees that institution's alone.
func (s *Service) Staff(ctx context.Context, actor ra.Actor, f StaffQuery) ([]Staff, error) {
	if f.Order.By == "" {
		f.Order.By = "account"
	}
	order, where, args, err := f.Order.Keyset(staffOrders, "id")
	if err != nil {
		return nil, err
	}
	q := s.staffFilter(ctx, actor, f)
	if where != "" {
		q = q.Where(where, args...)
	}
	var rows []staffRow
	if err := q.Order(order).Limit(f.Limit).Find(&rows).Error; err != nil {
		return nil, internal("read", err)
	}
	out := make([]Staff, 0, len(rows))
	for _, r := range rows {
		st, err := s.staff(r)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

// CountStaff counts those that a query finds and the actor may see: exactly, or ra.CountUpTo and one more.
func (s *Service) CountStaff(ctx context.Context, actor ra.Actor, f StaffQuery) (int, error) {
	var n int64
	found := s.staffFilter(ctx, actor, f).Select("1").Limit(ra.CountUpTo + 1)
	if err := s.db.WithContext(ctx).Table("(?) AS counted", found).Count(&n).Error; err != nil {
		return 0, internal("count", err)
	}
	return int(n), nil
}
