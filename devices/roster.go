package devices

import (
	"context"
	"strings"
	"unicode"

	"certwindow/policy"
	"certwindow/ra"
)

// PersonRows takes persons in from a table, a row at a time. What a row says is judged by the rules of RegisterPerson.
type PersonRows struct{ *Service }

// ColumnOf names the column that an error's code is about; empty when it is about the row.
func (PersonRows) ColumnOf(code string) string {
	return map[string]string{"national-id": "national_id", "person-differs": "national_id", "name": "name", "holder": "holder", "holder-taken": "holder",
		"email": "email", "phone": "phone", "locale": "locale"}[code]
}

// Key is what may stand in a table once.
func (PersonRows) Key(row map[string]string) string {
	return strings.ToUpper(strings.TrimSpace(row["national_id"]))
}

func personOf(row map[string]string) Person {
	p := Person{NationalID: strings.ToUpper(row["national_id"]), Name: row["name"], Holder: row["holder"], Email: row["email"], Phone: row["phone"],
		Locale: row["locale"], Active: true}
	if p.Locale == "" {
		p.Locale = "zh-Hant-TW"
	}
	return p
}

// Judge tells what registering the row would do: nothing, when the person practises at the institution already.
func (r PersonRows) Judge(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (known bool, err error) {
	p := personOf(row)
	err = r.store.View(ctx, func(tx Tx) error {
		if actor.Institution != "" && actor.Institution != at {
			return forbidden()
		}
		if err := checkPerson(p); err != nil {
			return err
		}
		if _, err := tx.Institution(at); err != nil {
			return err
		}
		old, found, err := tx.PersonByNationalID(p.NationalID)
		if err != nil {
			return err
		}
		if !found {
			others, err := tx.Persons(PersonQuery{Holder: p.Holder, Limit: 1})
			if err == nil && len(others) > 0 {
				err = ra.Errorf(ra.KindConflict, "holder-taken", nil, "This card is registered for another person already. Nothing was registered.")
			}
			return err
		}
		if old.Holder != p.Holder || old.Name != p.Name {
			return errPersonDiffers
		}
		for _, m := range old.Memberships {
			known = known || m.Institution == at && m.Until == nil
		}
		return nil
	})
	return known, err
}

// Apply registers the row, unless that was done already.
func (r PersonRows) Apply(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (object string, known bool, err error) {
	if known, err = r.Judge(ctx, actor, at, row); known || err != nil {
		return "", known, err
	}
	id, err := r.RegisterPerson(ctx, actor, personOf(row), at)
	return "person/" + string(id), false, err
}

// DeviceRows takes devices in from a table, such as one that an MDM exports. A device's unique code is the hospital's own
// asset or serial code; which phone it is, is proved when its key is bound (HCA-4.1).
type DeviceRows struct{ *Service }

// ColumnOf names the column that an error's code is about; empty when it is about the row.
func (DeviceRows) ColumnOf(code string) string {
	return map[string]string{"code": "code", "device-code-taken": "code", "device-differs": "code", "model": "model", "platform-not-allowed": "platform",
		"shared": "shared", "not-shared": "users", "user-unknown": "users"}[code]
}

// Key is what may stand in a table once.
func (DeviceRows) Key(row map[string]string) string { return strings.TrimSpace(row["code"]) }

// platforms are the names that other systems give the two of HCA-2.1.
var platforms = map[string]ra.Platform{"ios": ra.PlatformIOS, "ipados": ra.PlatformIOS, "iphone os": ra.PlatformIOS, "iphone": ra.PlatformIOS, "ipad": ra.PlatformIOS,
	"android": ra.PlatformAndroid, "android enterprise": ra.PlatformAndroid}

// shared is a column's yes or no, in the words of other systems.
var shared = map[string]bool{"": false, "no": false, "n": false, "false": false, "0": false, "否": false, "yes": true, "y": true, "true": true, "1": true, "是": true,
	"共用": true, "shared": true}

// found is what a row of a table is about.
type found struct {
	wanted NewDevice
	device Device        // when it is registered already
	there  bool          // it is
	adds   []ra.PersonID // users that it does not have yet
}

func (r DeviceRows) find(tx Tx, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (f found, err error) {
	if actor.Institution != "" && actor.Institution != at {
		return f, forbidden()
	}
	name := strings.ToLower(row["platform"])
	platform, known := platforms[name]
	if !known {
		platform = ra.Platform(name)
	}
	isShared, understood := shared[strings.ToLower(row["shared"])]
	f.wanted = NewDevice{Code: row["code"], Institution: at, Platform: platform, Model: row["model"], Shared: isShared}
	if err := ra.Refused(policy.Platform(string(platform))); err != nil {
		return f, err
	}
	if err := checkText("code", f.wanted.Code, 64); err != nil {
		return f, err
	}
	if err := checkText("model", f.wanted.Model, 64); err != nil {
		return f, err
	}
	if !understood {
		return f, ra.Errorf(ra.KindMalformed, "shared", nil, "Whether the device is shared is yes or no. Nothing was registered.")
	}
	if _, err := tx.Institution(at); err != nil {
		return f, err
	}
	if f.wanted.Users, err = users(tx, at, row["users"]); err != nil {
		return f, err
	}
	if !isShared && len(f.wanted.Users) > 1 {
		return f, errNotShared
	}
	return f, f.match(tx)
}

// match finds the device that has the code already, and which of the row's users it does not have.
func (f *found) match(tx Tx) error {
	list, err := tx.Devices(DeviceQuery{CodeIs: f.wanted.Code, Limit: 1})
	if err != nil || len(list) == 0 {
		f.adds = f.wanted.Users
		return err
	}
	f.device, f.there = list[0], true
	switch d := f.device; {
	case d.Institution != f.wanted.Institution:
		return ra.Refuse("HCA-4.1", "device-code-taken", "A device with this code is registered already. Nothing was registered.", nil)
	case d.Platform != f.wanted.Platform || d.Model != f.wanted.Model || d.Shared != f.wanted.Shared:
		return ra.Errorf(ra.KindConflict, "device-differs", nil, "This code is registered already, for a device of another platform, model or use. Nothing was changed.")
	}
	now, err := tx.Users(f.device.ID)
	if err != nil {
		return err
	}
	has := map[ra.PersonID]bool{}
	for _, u := range now {
		if u.RemovedAt == nil {
			has[u.Person] = true
		}
	}
	for _, u := range f.wanted.Users {
		if !has[u] {
			f.adds = append(f.adds, u)
		}
	}
	if !f.device.Shared && len(has) > 0 && len(f.adds) > 0 {
		return errNotShared
	}
	return nil
}

// users finds the persons that a cell names, by national id or by the identifier on their card.
func users(tx Tx, at ra.InstitutionCode, cell string) (out []ra.PersonID, err error) {
	names := strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(";,|、；，", r) || unicode.IsSpace(r) })
	unknown := ra.Errorf(ra.KindMalformed, "user-unknown", nil, "One of the users does not practise at this institution as far as the window knows. Nothing was registered; import the persons first.")
	if len(names) > 100 {
		return nil, unknown
	}
	seen := map[ra.PersonID]bool{}
	for _, name := range names {
		list, err := tx.Persons(PersonQuery{Institution: at, NationalID: strings.ToUpper(name), Limit: 1})
		if err == nil && len(list) == 0 {
			list, err = tx.Persons(PersonQuery{Institution: at, Holder: name, Limit: 1})
		}
		if err != nil {
			return nil, err
		}
		if len(list) == 0 || !practises(list[0], at) {
			return nil, unknown
		}
		if !seen[list[0].ID] {
			seen[list[0].ID] = true
			out = append(out, list[0].ID)
		}
	}
	return out, nil
}

func practises(p Person, at ra.InstitutionCode) bool {
	for _, m := range p.Memberships {
		if m.Institution == at && m.Until == nil {
			return true
		}
	}
	return false
}

// Judge tells what registering the row would do: nothing, when device and users are registered already.
func (r DeviceRows) Judge(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (known bool, err error) {
	err = r.store.View(ctx, func(tx Tx) error {
		f, err := r.find(tx, actor, at, row)
		known = f.there && len(f.adds) == 0
		return err
	})
	return known && err == nil, err
}

// Apply registers the row, or adds the users that are missing, unless that was done already.
func (r DeviceRows) Apply(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, row map[string]string) (object string, known bool, err error) {
	var f found
	if err := r.store.View(ctx, func(tx Tx) error { f, err = r.find(tx, actor, at, row); return err }); err != nil {
		return "", false, err
	}
	if !f.there {
		id, err := r.RegisterDevice(ctx, actor, f.wanted)
		return "device/" + string(id), false, err
	}
	for _, u := range f.adds {
		if err := r.AddUser(ctx, actor, f.device.ID, u); err != nil {
			return "", false, err
		}
	}
	return "device/" + string(f.device.ID), len(f.adds) == 0, nil
}

// PersonBy finds a person of the institution, or of any, by the identifier on the card.
func (s *Service) PersonBy(ctx context.Context, actor ra.Actor, holder string) (id ra.PersonID, name string, there bool, err error) {
	list, err := s.Persons(ctx, actor, PersonQuery{Holder: holder, Limit: 1})
	if err != nil || len(list) == 0 {
		return "", "", false, err
	}
	return list[0].ID, list[0].Name, true, nil
}

// DeviceBy finds a device by its whole code, or, without one, the only device that a person uses.
func (s *Service) DeviceBy(ctx context.Context, actor ra.Actor, code string, user ra.PersonID) (id ra.DeviceID, at ra.InstitutionCode, there bool, err error) {
	q := DeviceQuery{CodeIs: code, Limit: 2}
	if code == "" {
		q.User = user
	}
	list, err := s.Devices(ctx, actor, q)
	if err != nil || len(list) != 1 {
		return "", "", false, err
	}
	return list[0].ID, list[0].Institution, true, nil
}

var (
	errPersonDiffers = ra.Errorf(ra.KindConflict, "person-differs", nil,
		"This national id is registered already, with another name or card. Nothing was changed; check the card and the identity document.")
	errNotShared = ra.Refuse("HCA-4.1", "not-shared", "Only a device registered as shared may have several users. Nothing was changed.", nil)
)
