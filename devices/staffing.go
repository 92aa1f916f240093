package devices

import (
	"context"
	"strings"
	"time"

	"certwindow/ra"
)

// StaffingRows take in what an institution tells of its professionals: who changed, left, suspended or ceased practice,
// or died (HCA-3.7). A row stops the person's accounts there at once and starts the sweep.
type StaffingRows struct{ *Service }

// ColumnOf names the column that an error's code is about; empty when it is about the row.
func (StaffingRows) ColumnOf(code string) string {
	return map[string]string{"staffing-person": "person", "leave-reason": "event", "staffing-date": "date"}[code]
}

// Key is what may stand in a table once.
func (StaffingRows) Key(row map[string]string) string { return strings.ToUpper(row["person"]) }

// leaves are the events under the names that other systems give them.
var leaves = map[string]string{"changed": "changed", "變更": "changed", "left": "left", "離職": "left", "suspended": "suspended", "停業": "suspended",
	"ceased": "ceased", "歇業": "ceased", "died": "died", "死亡": "died"}

// checkStaffing judges what was told before anybody is looked for; reason is the event in the window's own word.
func (s *Service) checkStaffing(actor ra.Actor, at ra.InstitutionCode, event, date string) (reason string, err error) {
	if actor.Institution != "" && actor.Institution != at {
		return "", forbidden()
	}
	if reason = leaves[strings.ToLower(event)]; reason == "" {
		return "", ra.Errorf(ra.KindMalformed, "leave-reason", nil, "The reason is one of changed, left, suspended, ceased, died. Nothing was changed.")
	}
	if date != "" {
		when, err := time.ParseInLocation(time.DateOnly, date, time.FixedZone("Asia/Taipei", 8*60*60))
		if err != nil || when.After(s.now()) {
			return "", ra.Errorf(ra.KindMalformed, "staffing-date", err, "The date is a day such as 2026-11-22, and not one to come: what is told takes effect at once. Nothing was changed.")
		}
	}
	return reason, nil
}

func (r StaffingRows) find(tx Tx, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (p Person, reason string, err error) {
	if reason, err = r.checkStaffing(actor, at, row["event"], row["date"]); err != nil {
		return p, "", err
	}
	list, err := tx.Persons(PersonQuery{Institution: at, NationalID: strings.ToUpper(row["person"]), Limit: 1})
	if err == nil && len(list) == 0 {
		list, err = tx.Persons(PersonQuery{Institution: at, Holder: row["person"], Limit: 1})
	}
	if err != nil {
		return p, "", err
	}
	if len(list) == 0 {
		return p, "", ra.Errorf(ra.KindMalformed, "staffing-person", nil, "Nobody of this institution has this national id or card. Nothing was changed.")
	}
	return list[0], reason, nil
}

// Judge tells whether the person has left already.
func (r StaffingRows) Judge(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (known bool, err error) {
	err = r.store.View(ctx, func(tx Tx) error {
		p, _, err := r.find(tx, actor, at, row)
		known = err == nil && !practises(p, at)
		return err
	})
	return known, err
}

// Apply ends the person's practice at the institution, unless that was done already.
func (r StaffingRows) Apply(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (object string, known bool, err error) {
	var p Person
	var reason string
	if err := r.store.View(ctx, func(tx Tx) error { p, reason, err = r.find(tx, actor, at, row); return err }); err != nil {
		return "", false, err
	}
	object = "person/" + string(p.ID)
	if !practises(p, at) {
		return object, true, nil
	}
	return object, false, r.EndMembership(ctx, actor, p.ID, at, reason)
}

// StaffingEvent is what an institution's own program tells of one professional (HCA-3.7).
type StaffingEvent struct {
	NationalID string // or else
	Holder     string // the identifier on the card
	Event      string // changed, left, suspended, ceased, died
	Date       string // the day of it in Taipei, such as 2026-11-22; what is told takes effect at once
}

// Tell ends the person's practice at the institution, unless that was done already, and starts the sweep. A person
// whom the institution never had is not found, whoever else may know him; that leaves a row too.
func (s *Service) Tell(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, e StaffingEvent) (id ra.PersonID, stopped bool, err error) {
	q := PersonQuery{Institution: at, NationalID: strings.ToUpper(e.NationalID), Limit: 1}
	if e.NationalID == "" {
		q = PersonQuery{Institution: at, Holder: e.Holder, Limit: 1}
	}
	row := ra.Event{Actor: actor, Act: "person.leave", Object: "institution/" + string(at), Institution: at}
	err = ra.Act[Tx](ctx, s.store, s.now(), row, func(tx Tx, row *ra.Event) error {
		id, stopped = "", false
		reason, err := s.checkStaffing(actor, at, e.Event, e.Date)
		if err != nil {
			return err
		}
		row.Details = map[string]string{"reason": reason, "date": e.Date}
		if e.NationalID == "" && e.Holder == "" {
			return errNobody
		}
		list, err := tx.Persons(q)
		if err == nil && len(list) == 0 {
			err = errNobody
		}
		if err != nil {
			return err
		}
		id, row.Object = list[0].ID, "person/"+string(list[0].ID)
		switch err := tx.EndMembership(id, at, s.now(), reason); {
		case ra.KindOf(err) == ra.KindConflict: // it has ended, before or at this moment
			row.Details["already"] = "yes"
			return nil
		case err != nil:
			return err
		}
		stopped = true
		return tx.StartSweep()
	})
	return id, stopped && err == nil, err
}

var errNobody = ra.Errorf(ra.KindNotFound, "staffing-person", nil, "Nobody of this institution has this national id or card. Nothing was changed.")
