package session

import (
	"context"

	"gorm.io/gorm"

	"certwindow/ra"
)

// RefuseRole records that the role of a signed-in person did not allow a route of the pages, and returns the refusal
// (HCA-8.1.6). route is the pattern, never a path: it holds nobody's id.
//
// An act that was refused leaves a row each time. A look changes nothing, and no page links to one that its reader may
// not have: one row a session tells the auditor that it was tried, and a page that loads itself again fills no log.
func (s *Service) RefuseRole(ctx context.Context, x Session, actor ra.Actor, method, route string, look bool) error {
	refusal := &ra.Error{Kind: ra.KindForbidden, Clause: clauseLogin, Code: "role-not-allowed", Detail: "Your role may not do this. Nothing was changed."}
	ev := s.event(actor, "staff.role-refused", x.Staff.ID, x.Staff.Institution)
	ev.Details = map[string]string{"role": string(x.Staff.Role), "route": method + " " + route}
	if !look {
		return s.refuse(ctx, ev, refusal)
	}
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec("INSERT INTO refused_looks (route, session) VALUES (?, ?) ON CONFLICT DO NOTHING", route, x.hash)
		if res.Error != nil || res.RowsAffected == 0 {
			return res.Error
		}
		return s.Audit(tx, ev.RefusalOf(refusal))
	})
	if err != nil {
		return internal("audit", err)
	}
	return refusal
}
