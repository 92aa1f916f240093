package store

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"certwindow/devices"
	"certwindow/ra"
)

// person is a row; every text that names the person is sealed.
type person struct {
	ID               ra.PersonID `gorm:"primaryKey"`
	NationalIDHash   []byte      `gorm:"column:national_id_hash"`
	NationalIDSealed []byte      `gorm:"column:national_id_sealed"`
	NameSealed       []byte
	NameHash         []byte
	HolderHash       []byte
	HolderSealed     []byte
	EmailSealed      []byte
	PhoneSealed      []byte
	Locale           string
	Active           bool
	ErasureListedAt  *time.Time
	ErasedAt         *time.Time
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

type membership struct {
	PersonID    ra.PersonID        `gorm:"primaryKey"`
	Institution ra.InstitutionCode `gorm:"primaryKey"`
	Since       time.Time
	Until       *time.Time
	Reason      string
}

// Columns are named with the row's id when they are sealed, so that a value moved to another person's row does
// not open there.
const (
	colNationalID = "persons.national_id"
	colName       = "persons.name"
	colHolder     = "persons.holder"
	colEmail      = "persons.email"
	colPhone      = "persons.phone"
)

func (s *Store) sealPerson(p devices.Person) (person, error) {
	r := person{ID: p.ID, NationalIDHash: s.sealer.Hash(colNationalID, p.NationalID), NameHash: s.sealer.Hash(colName, p.Name),
		HolderHash: s.sealer.Hash(colHolder, p.Holder), Locale: p.Locale, Active: p.Active, CreatedAt: p.CreatedAt.UTC(), UpdatedAt: s.now().UTC()}
	for _, f := range []struct {
		column, value string
		to            *[]byte
	}{{colNationalID, p.NationalID, &r.NationalIDSealed}, {colName, p.Name, &r.NameSealed}, {colHolder, p.Holder, &r.HolderSealed},
		{colEmail, p.Email, &r.EmailSealed}, {colPhone, p.Phone, &r.PhoneSealed}} {
		if f.value == "" {
			continue
		}
		sealed, err := s.sealer.Seal(f.column+"/"+string(p.ID), []byte(f.value))
		if err != nil {
			return r, err
		}
		*f.to = sealed
	}
	return r, nil
}

func (s *Store) openPerson(r person) (devices.Person, error) {
	p := devices.Person{ID: r.ID, Locale: r.Locale, Active: r.Active, CreatedAt: r.CreatedAt, ErasureListedAt: r.ErasureListedAt, ErasedAt: r.ErasedAt}
	if r.ErasedAt != nil {
		return p, nil
	}
	for _, f := range []struct {
		column string
		sealed []byte
		to     *string
	}{{colNationalID, r.NationalIDSealed, &p.NationalID}, {colName, r.NameSealed, &p.Name}, {colHolder, r.HolderSealed, &p.Holder},
		{colEmail, r.EmailSealed, &p.Email}, {colPhone, r.PhoneSealed, &p.Phone}} {
		if f.sealed == nil {
			continue
		}
		plain, err := s.sealer.Open(f.column+"/"+string(r.ID), f.sealed)
		if err != nil {
			return p, ra.Errorf(ra.KindInternal, "sealed-column", err, "A person's record does not open.")
		}
		*f.to = string(plain)
	}
	return p, nil
}

// load opens rows and adds where each person practises.
func (t *tx) load(rows []person) ([]devices.Person, error) {
	ids := each(rows, func(r person) ra.PersonID { return r.ID })
	var ms []membership
	if err := t.db.Where("person_id IN ?", ids).Order("since").Find(&ms).Error; err != nil {
		return nil, err
	}
	byPerson := make(map[ra.PersonID][]devices.Membership)
	for _, m := range ms {
		byPerson[m.PersonID] = append(byPerson[m.PersonID], devices.Membership{Institution: m.Institution, Since: m.Since, Until: m.Until, Reason: m.Reason})
	}
	out := make([]devices.Person, 0, len(rows))
	for _, r := range rows {
		p, err := t.s.openPerson(r)
		if err != nil {
			return nil, err
		}
		p.Memberships = byPerson[r.ID]
		out = append(out, p)
	}
	return out, nil
}

// at narrows a query to an institution's persons, those who left it included: their history is its own.
func at(q *gorm.DB, code ra.InstitutionCode) *gorm.DB {
	if code == "" {
		return q
	}
	return q.Where("id IN (SELECT person_id FROM memberships WHERE institution = ?)", code)
}

func (t *tx) Person(scope ra.InstitutionCode, id ra.PersonID) (devices.Person, error) {
	var r person
	if err := mapError(at(t.db, scope).Where("id = ?", id).Take(&r).Error); err != nil {
		return devices.Person{}, err
	}
	ps, err := t.load([]person{r})
	if err != nil {
		return devices.Person{}, err
	}
	return ps[0], nil
}

func (t *tx) PersonByNationalID(id string) (devices.Person, bool, error) {
	ps, err := t.Persons(devices.PersonQuery{NationalID: id, Limit: 1})
	if err != nil || len(ps) == 0 {
		return devices.Person{}, false, err
	}
	return ps[0], true, nil
}

func (t *tx) InsertPerson(p devices.Person) error {
	r, err := t.s.sealPerson(p)
	if err != nil {
		return err
	}
	return t.db.Create(&r).Error
}

func (t *tx) AddMembership(id ra.PersonID, m devices.Membership) error {
	row := membership{PersonID: id, Institution: m.Institution, Since: m.Since.UTC()}
	again := clause.OnConflict{Columns: []clause.Column{{Name: "person_id"}, {Name: "institution"}},
		DoUpdates: clause.Assignments(map[string]any{"since": row.Since, "until": nil, "reason": ""}),
		Where:     clause.Where{Exprs: []clause.Expression{gorm.Expr("memberships.until IS NOT NULL")}}}
	res := t.db.Clauses(again).Create(&row)
	if res.Error == nil && res.RowsAffected == 0 {
		return ra.Errorf(ra.KindConflict, "member-exists", nil, "This person is registered at the institution already. Nothing was changed.")
	}
	return res.Error
}

func (t *tx) EndMembership(id ra.PersonID, code ra.InstitutionCode, when time.Time, reason string) error {
	return guarded(t.db.Model(&membership{}).Where("person_id = ? AND institution = ? AND until IS NULL", id, code).
		Updates(map[string]any{"until": when.UTC(), "reason": reason}))
}

// PersonFacts is what the registration authority's use cases know of a person.
func (s *Store) PersonFacts(db *gorm.DB, id ra.PersonID) (ra.PersonFacts, error) {
	t := &tx{db: db, s: s}
	p, err := t.Person("", id)
	if err != nil {
		return ra.PersonFacts{}, err
	}
	checked, err := t.cardChecked(p)
	f := ra.PersonFacts{CardChecked: checked, ID: p.ID, Holder: p.Holder, Name: p.Name, Active: p.Active}
	for _, m := range p.Memberships {
		if m.Until == nil {
			f.Institutions = append(f.Institutions, m.Institution)
		}
	}
	return f, err
}

// Address is where a person is told of what happens, and in which language (HCA-3.4).
func (s *Store) Address(ctx context.Context, id ra.PersonID) (email, phone, locale string, err error) {
	p, err := (&tx{db: s.db.WithContext(ctx), s: s}).Person("", id)
	return p.Email, p.Phone, p.Locale, err
}

// TableName keeps gorm from calling the table people.
func (person) TableName() string { return "persons" }
