package devices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"certwindow/ra"
)

// AddInstitution registers an institution. One that does not run the window itself needs the hash and the
// dates of its written agreement (HCA-3.7).
func (s *Service) AddInstitution(ctx context.Context, actor ra.Actor, i Institution) error {
	i.Name, i.Agreement = strings.TrimSpace(i.Name), strings.ToLower(strings.TrimSpace(i.Agreement))
	i.Active, i.CreatedAt = true, s.now()
	if i.Biometrics == nil {
		i.Biometrics = []string{"fingerprint", "face"}
	}
	return s.act(ctx, actor, "institution.add", "institution/"+string(i.Code), i.Code, nil, func(tx Tx) error {
		if actor.Institution != "" {
			return forbidden()
		}
		if err := checkInstitutionCode(i.Code); err != nil {
			return err
		}
		if err := checkText("name", i.Name, 100); err != nil {
			return err
		}
		if sum, err := hex.DecodeString(i.Agreement); err != nil || len(sum) != 0 && len(sum) != sha256.Size {
			return ra.Errorf(ra.KindMalformed, "agreement-malformed", err, "The agreement's SHA-256 is 64 hexadecimal digits. Nothing was registered.")
		}
		if !i.IsWindow && (i.Agreement == "" || i.AgreedFrom.IsZero()) {
			return ra.Refuse("HCA-3.7", "agreement-missing",
				"An institution without a window of its own needs a written agreement on file: its SHA-256 and the day it begins. Nothing was registered.", nil)
		}
		if _, err := tx.Institution(i.Code); err == nil {
			return ra.Errorf(ra.KindConflict, "institution-exists", nil, "An institution with this code is registered already. Nothing was changed.")
		}
		return tx.SaveInstitution(i)
	})
}

// Institutions lists what the actor may see.
func (s *Service) Institutions(ctx context.Context, actor ra.Actor) (out []Institution, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Institutions(actor.Institution)
		return err
	})
	return out, err
}

// SaveScope approves an application system, or withdraws it (HCA-5.1.2).
func (s *Service) SaveScope(ctx context.Context, actor ra.Actor, sc Scope) error {
	return s.act(ctx, actor, "scope.save", "scope/"+sc.Code, "", nil, func(tx Tx) error {
		if actor.Institution != "" {
			return forbidden()
		}
		if !validScopeCode(sc.Code) {
			return ra.Errorf(ra.KindMalformed, "scope-code", nil, "A scope's code has 2 to 32 capital letters, digits and hyphens. Nothing was changed.")
		}
		if err := checkText("name", sc.Name, 100); err != nil {
			return err
		}
		return tx.SaveScope(sc)
	})
}

// Scopes lists every scope, approved or not.
func (s *Service) Scopes(ctx context.Context) (out []Scope, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Scopes()
		return err
	})
	return out, err
}

// RegisterPerson registers a person at the institution, or adds the institution to the person who is known
// already by the national id: one person is one record in the whole window (HCA-7.5).
func (s *Service) RegisterPerson(ctx context.Context, actor ra.Actor, p Person, at ra.InstitutionCode) (ra.PersonID, error) {
	id, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return "", err
	}
	p.ID, p.Active, p.CreatedAt = ra.PersonID(id), true, s.now()
	p.NationalID = strings.ToUpper(strings.TrimSpace(p.NationalID))
	if p.Locale == "" {
		p.Locale = "zh-Hant-TW"
	}
	err = s.act(ctx, actor, "person.register", "person/"+id, at, nil, func(tx Tx) error {
		if actor.Institution != "" && actor.Institution != at {
			return forbidden()
		}
		if err := checkPerson(p); err != nil {
			return err
		}
		if _, err := tx.Institution(at); err != nil {
			return err
		}
		known, found, err := tx.PersonByNationalID(p.NationalID)
		if err != nil {
			return err
		}
		m := Membership{Institution: at, Since: s.now()}
		if !found {
			if err := tx.InsertPerson(p); err != nil {
				return err
			}
			return tx.AddMembership(p.ID, m)
		}
		if known.Holder != p.Holder || known.Name != p.Name {
			return errPersonDiffers
		}
		p.ID = known.ID
		return tx.AddMembership(known.ID, m)
	})
	if err != nil {
		return "", err
	}
	return p.ID, nil
}

// Person is one person, when the actor may see it.
func (s *Service) Person(ctx context.Context, actor ra.Actor, id ra.PersonID) (p Person, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		p, err = tx.Person(actor.Institution, id)
		return err
	})
	return p, err
}

// Persons lists a page of persons in the order of their ids.
func (s *Service) Persons(ctx context.Context, actor ra.Actor, q PersonQuery) (out []Person, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	q.Limit = pageSize(q.Limit)
	q.NationalID = strings.ToUpper(strings.TrimSpace(q.NationalID))
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Persons(q)
		return err
	})
	return out, err
}

// CountPersons counts those that a query finds and the actor may see: exactly, or ra.CountUpTo and one more.
func (s *Service) CountPersons(ctx context.Context, actor ra.Actor, q PersonQuery) (n int, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	err = s.store.View(ctx, func(tx Tx) error {
		n, err = tx.CountPersons(q)
		return err
	})
	return n, err
}

// EndMembership records that a person changed, left, suspended or ceased practice, or died, and has the sweep
// look at once at what must be revoked for it (HCA-3.7).
func (s *Service) EndMembership(ctx context.Context, actor ra.Actor, id ra.PersonID, code ra.InstitutionCode, reason string) error {
	return s.act(ctx, actor, "person.leave", "person/"+string(id), code, map[string]string{"reason": reason}, func(tx Tx) error {
		if actor.Institution != "" && actor.Institution != code {
			return forbidden()
		}
		switch reason {
		case "changed", "left", "suspended", "ceased", "died":
		default:
			return ra.Errorf(ra.KindMalformed, "leave-reason", nil, "The reason is one of changed, left, suspended, ceased, died. Nothing was changed.")
		}
		if err := tx.EndMembership(id, code, s.now(), reason); err != nil {
			return err
		}
		return tx.StartSweep()
	})
}

// act runs one change with its audit row.
func (s *Service) act(ctx context.Context, actor ra.Actor, act, object string, at ra.InstitutionCode, details map[string]string, fn func(Tx) error) error {
	e := ra.Event{Actor: actor, Act: act, Object: object, Institution: at, Details: details}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, _ *ra.Event) error { return fn(tx) })
}

func forbidden() error {
	return ra.Refuse("HCA-8.1.6", "not-yours", "This belongs to another institution, or to the window itself. Nothing was changed.", nil)
}

func checkInstitutionCode(c ra.InstitutionCode) error {
	if len(c) != 10 || strings.ContainsFunc(string(c), func(r rune) bool { return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z') }) {
		return ra.Refuse("HCA-2.3", "institution-code", "An institution's code has ten digits or capital letters. Nothing was changed.", nil)
	}
	return nil
}

func checkPerson(p Person) error {
	if len(p.NationalID) != 10 || strings.ContainsFunc(p.NationalID, func(r rune) bool { return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z') }) {
		return ra.Errorf(ra.KindMalformed, "national-id", nil, "A national id has ten letters and digits. Nothing was changed.")
	}
	if err := checkText("name", p.Name, 100); err != nil {
		return err
	}
	if err := checkText("holder", p.Holder, 64); err != nil {
		return err
	}
	if p.Email != "" {
		if err := checkText("email", p.Email, 254); err != nil {
			return err
		}
		if at := strings.LastIndexByte(p.Email, '@'); at < 1 || at == len(p.Email)-1 || strings.ContainsAny(p.Email, " ,;<>") {
			return ra.Errorf(ra.KindMalformed, "email", nil, "This is not an e-mail address. Nothing was changed.")
		}
	}
	if p.Phone != "" {
		if err := checkText("phone", p.Phone, 32); err != nil {
			return err
		}
	}
	if p.Locale != "zh-Hant-TW" && p.Locale != "en" {
		return ra.Errorf(ra.KindMalformed, "locale", nil, "The language is zh-Hant-TW or en. Nothing was changed.")
	}
	return nil
}

// checkText refuses what could not stand on one line of a message that a card signs: nothing empty, and no
// control, format or separator characters.
func checkText(field, v string, max int) error {
	bad := strings.ContainsFunc(v, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == utf8.RuneError
	})
	if strings.TrimSpace(v) != v || v == "" || utf8.RuneCountInString(v) > max || bad || !utf8.ValidString(v) {
		return ra.Errorf(ra.KindMalformed, field, nil, "The field %s is empty, too long, or holds a character that cannot be shown. Nothing was changed.", field)
	}
	return nil
}

func validScopeCode(c string) bool {
	if len(c) < 2 || len(c) > 32 || c[0] == '-' || c[len(c)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(c, func(r rune) bool { return !(r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-') })
}

// pageSize bounds a page of a list.
func pageSize(n int) int {
	if n < 1 || n > 200 {
		return 50
	}
	return n
}
