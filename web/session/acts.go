package session

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"gorm.io/gorm"

	"certwindow/devices/appcred/factor"
	"certwindow/ra"
	"certwindow/ra/approve"
)

// Names of the facts that two persons decide on. With "was-" before it, a fact says how the account stood when the
// act was proposed: one that stands otherwise by then is left alone.
const (
	factAccount     = "account"
	factRole        = "role"
	factInstitution = "institution"
	factContractor  = "contractor"
	factPassword    = "password" // a new initial password
	factCode        = "code"     // a new authenticator's secret
	was             = "was-"
)

// Facts are exactly what is approved of a new account.
func (n NewStaff) Facts() approve.Facts {
	return approve.Facts{factAccount: canonical(n.Account), factRole: string(n.Role), factInstitution: string(n.Institution), factContractor: yesNo(n.Contractor)}
}

// Facts are how an account stands.
func (st Staff) Facts() approve.Facts {
	return NewStaff{Account: st.Account, Role: st.Role, Institution: st.Institution, Contractor: st.Contractor}.Facts()
}

// ChangeFacts are what is approved of a change: the account as it is to be, and as it stands.
func (st Staff) ChangeFacts(role Role, institution ra.InstitutionCode, contractor bool) approve.Facts {
	f := NewStaff{Account: st.Account, Role: role, Institution: institution, Contractor: contractor}.Facts()
	for name, value := range st.Facts() {
		if name != factAccount {
			f[was+name] = value
		}
	}
	return f
}

// ResetFacts are what is approved of new credentials.
func (st Staff) ResetFacts(password, code bool) approve.Facts {
	f := st.Facts()
	f[factPassword], f[factCode] = yesNo(password), yesNo(code)
	return f
}

// NewID names an account that is proposed.
func (s *Service) NewID() (ra.StaffID, error) {
	id, err := ra.NewID(s.moment(), s.Rand)
	if err != nil {
		return "", internal("random", err)
	}
	return ra.StaffID(id), nil
}

// Acts are what two persons decide of accounts (HCA-3.2, HCA-8.1.6). To stop an account takes one, at once.
//
// Whoever sets the password and the authenticator of an approver is that approver. So no approval leaves both in
// one hand: see Half. Nobody proposes or approves anything about his own account.
func (s *Service) Acts() map[approve.Act]approve.Executor {
	return map[approve.Act]approve.Executor{
		approve.CreateStaff: {Check: s.mayCreate, CarryOut: s.create, WholeWindow: true},
		approve.ChangeStaff: {Check: s.mayChangeStaff, CarryOut: s.change, WholeWindow: true},
		approve.ResetStaff:  {Check: s.mayReset, CarryOut: s.reset, WholeWindow: true},
		approve.ResumeStaff: {Check: s.mayResume, CarryOut: s.resume, WholeWindow: true},
	}
}

// database is the transaction that an approval is carried out in.
func database(tx approve.Tx) (*gorm.DB, error) {
	x, ok := tx.(interface{ DB() *gorm.DB })
	if !ok {
		return nil, internal("write", fmt.Errorf("%T is no transaction of this database", tx))
	}
	return x.DB(), nil
}

// terms reads the account as it is to be; the facts must be those of their act, no more and no fewer.
func terms(f, like approve.Facts) (n NewStaff, err error) {
	if !slices.Equal(slices.Sorted(maps.Keys(f)), slices.Sorted(maps.Keys(like))) {
		return n, ra.Errorf(ra.KindMalformed, "approval-facts", nil, "This is not what an approval of an account holds. Nothing was changed.")
	}
	return NewStaff{Account: f[factAccount], Role: Role(f[factRole]), Institution: ra.InstitutionCode(f[factInstitution]), Contractor: f[factContractor] == "yes"}, nil
}

func (s *Service) mayCreate(tx approve.Tx, _ ra.Actor, object string, f approve.Facts) error {
	n, err := terms(f, NewStaff{}.Facts())
	if err != nil {
		return err
	}
	if err := n.check(); err != nil {
		return err
	}
	db, err := database(tx)
	if err != nil {
		return err
	}
	var there int64
	if err := db.Model(&staffRow{}).Where("account = ? OR id = ?", n.Account, idOf(object)).Count(&there).Error; err != nil {
		return internal("read", err)
	}
	if there > 0 {
		return ra.Errorf(ra.KindConflict, "account-taken", nil, "There is an account of that name already. Nothing was changed; choose another.")
	}
	return nil
}

func (s *Service) create(tx approve.Tx, a approve.Approval) error {
	n, err := terms(a.Facts, NewStaff{}.Facts())
	if err != nil {
		return err
	}
	db, err := database(tx)
	if err != nil {
		return err
	}
	row, err := s.emptyRow(idOf(a.Proposal.Object), n)
	if err != nil {
		return err
	}
	if err := db.Create(&row).Error; err != nil {
		return err
	}
	return s.carriedOut(tx, db, a, "staff.create", row.ID, true, true)
}

// subject is the account that a proposal is about, which must stand as its facts say.
func (s *Service) subject(tx approve.Tx, actor ra.Actor, object string, stood approve.Facts) (*gorm.DB, staffRow, error) {
	var row staffRow
	db, err := database(tx)
	if err != nil {
		return nil, row, err
	}
	if idOf(object) == actor.ID {
		return nil, row, ra.Refuse("HCA-8.1.6", "own-account", "Nobody decides about his own account. Nothing was changed.", nil)
	}
	if err := db.Where("id = ?", idOf(object)).Take(&row).Error; err != nil {
		return nil, row, err
	}
	if !maps.Equal(row.terms().Facts(), stood) {
		return nil, row, errStaffChanged
	}
	return db, row, nil
}

var errStaffChanged = ra.Refuse("HCA-8.1.6", "approval-object-changed", "The account has changed since this was proposed. Nothing was done; propose it anew.", nil)

func (r staffRow) terms() NewStaff {
	return NewStaff{Account: r.Account, Role: Role(r.Role), Institution: ra.InstitutionCode(r.Institution), Contractor: r.Contractor}
}

// stood are the facts of a change that say how the account was.
func stood(f approve.Facts) approve.Facts {
	out := approve.Facts{factAccount: f[factAccount]}
	for _, name := range []string{factRole, factInstitution, factContractor} {
		out[name] = f[was+name]
	}
	return out
}

func (s *Service) mayChangeStaff(tx approve.Tx, actor ra.Actor, object string, f approve.Facts) error {
	n, err := terms(f, Staff{}.ChangeFacts("", "", false))
	if err != nil {
		return err
	}
	if err := n.check(); err != nil {
		return err
	}
	if maps.Equal(n.Facts(), stood(f)) {
		return ra.Errorf(ra.KindMalformed, "change-nothing", nil, "This is how the account stands already. Nothing was changed.")
	}
	_, _, err = s.subject(tx, actor, object, stood(f))
	return err
}

func (s *Service) change(tx approve.Tx, a approve.Approval) error {
	db, row, err := s.subject(tx, a.Actor, a.Proposal.Object, stood(a.Facts))
	if err != nil {
		return err
	}
	n, err := terms(a.Facts, a.Facts)
	if err != nil {
		return err
	}
	res := db.Model(&staffRow{}).Where("id = ? AND role = ? AND institution = ? AND contractor = ?", row.ID, row.Role, row.Institution, row.Contractor).
		UpdateColumns(map[string]any{"role": string(n.Role), "institution": string(n.Institution), "contractor": n.Contractor, "updated_at": s.moment()})
	if err := changed(res); err != nil {
		return err
	}
	return s.carriedOut(tx, db, a, "staff.change", row.ID, false, false)
}

func (s *Service) mayReset(tx approve.Tx, actor ra.Actor, object string, f approve.Facts) error {
	n, err := terms(f, Staff{}.ResetFacts(false, false))
	if err != nil {
		return err
	}
	if f[factPassword] != "yes" && f[factCode] != "yes" {
		return ra.Errorf(ra.KindMalformed, "reset-nothing", nil, "Choose what to reset. Nothing was changed.")
	}
	_, _, err = s.subject(tx, actor, object, n.Facts())
	return err
}

// reset makes what is to be replaced useless at once, opens the locks (HCA-8.2.6(4), HCA-8.2.7(2)), takes the
// card away and ends the sessions. The new halves are made when they are handed over, after the owner was identified again.
func (s *Service) reset(tx approve.Tx, a approve.Approval) error {
	n, err := terms(a.Facts, Staff{}.ResetFacts(false, false))
	if err != nil {
		return err
	}
	db, row, err := s.subject(tx, a.Actor, a.Proposal.Object, n.Facts())
	if err != nil {
		return err
	}
	password, code := a.Facts[factPassword] == "yes", a.Facts[factCode] == "yes"
	set := map[string]any{"updated_at": s.moment()}
	if password {
		set["password"], set["must_change"], set["failures"] = s.hasher.Decoy(), true, 0
	}
	if code {
		if set["totp_sealed"], err = s.noCode(row.ID); err != nil {
			return err
		}
		set["totp_failures"] = 0
	}
	switch {
	case password && !code:
		err = s.bothHalves(db, row.ID, PasswordHalf, a.Proposal.ProposedBy)
	case code && !password:
		err = s.bothHalves(db, row.ID, CodeHalf, a.Actor.ID)
	}
	if err != nil {
		return err
	}
	if err := changed(db.Model(&staffRow{}).Where("id = ?", row.ID).UpdateColumns(set)); err != nil {
		return err
	}
	// Whoever had got into the account may have linked a card of his own.
	if err := db.Where("staff_id = ?", row.ID).Delete(&cardRow{}).Error; err != nil {
		return internal("write", err)
	}
	return s.carriedOut(tx, db, a, "staff.reset", row.ID, password, code)
}

func (s *Service) mayResume(tx approve.Tx, actor ra.Actor, object string, f approve.Facts) error {
	n, err := terms(f, NewStaff{}.Facts())
	if err != nil {
		return err
	}
	_, row, err := s.subject(tx, actor, object, n.Facts())
	if err == nil && row.Active {
		err = errStaffState
	}
	return err
}

var errStaffState = ra.Errorf(ra.KindConflict, "staff-changed", nil, "The account is in that state already. Nothing was changed.")

func (s *Service) resume(tx approve.Tx, a approve.Approval) error {
	db, row, err := s.subject(tx, a.Actor, a.Proposal.Object, a.Facts)
	if err != nil {
		return err
	}
	res := db.Model(&staffRow{}).Where("id = ? AND active = ?", row.ID, false).UpdateColumns(map[string]any{"active": true, "updated_at": s.moment()})
	if err := changed(res); err != nil {
		return err
	}
	return s.carriedOut(tx, db, a, "staff.resume", row.ID, false, false)
}

// carriedOut ends the account's sessions, lets the halves be handed over, and writes the act's row.
func (s *Service) carriedOut(tx approve.Tx, db *gorm.DB, a approve.Approval, act, id string, password, code bool) error {
	if err := drop(db, id); err != nil {
		return err
	}
	if password || code { // whoever had the old ones may have linked a card of his own
		if err := db.Exec("DELETE FROM staff_cards WHERE staff_id = ?", id).Error; err != nil {
			return internal("write", err)
		}
	}
	for _, h := range []struct {
		due  bool
		half Half
		by   string
	}{{password, PasswordHalf, a.Proposal.ProposedBy}, {code, CodeHalf, a.Actor.ID}} {
		if h.due {
			if err := s.await(db, id, h.half, h.by, a.Proposal.ID); err != nil {
				return err
			}
		}
	}
	e := a.Event(act, "staff/"+id)
	e.At = s.moment()
	for _, name := range []string{factRole, factInstitution, factContractor} {
		e.Details[name] = a.Facts[name]
	}
	return tx.Audit(e)
}

// idOf is the account's id in "staff/01JD…".
func idOf(object string) string {
	const kind = "staff/"
	if len(object) < len(kind) || object[:len(kind)] != kind {
		return ""
	}
	return object[len(kind):]
}

// emptyRow is an account that nobody can sign in with: both factors are values that nobody has seen.
func (s *Service) emptyRow(id string, n NewStaff) (row staffRow, err error) {
	now := s.moment()
	row = staffRow{ID: id, Account: n.Account, Institution: string(n.Institution), Role: string(n.Role), Contractor: n.Contractor,
		Active: true, MustChange: true, PasswordAt: now, CreatedAt: now, UpdatedAt: now}
	if row.NameSealed, err = s.Sealer.Seal(nameColumn(id), nil); err != nil {
		return row, internal("seal", err)
	}
	row.Password = s.hasher.Decoy() // of no password
	row.TOTPSealed, err = s.noCode(id)
	return row, err
}

// noCode is a stored secret that was shown to nobody.
func (s *Service) noCode(id string) ([]byte, error) {
	secret, err := factor.NewSecret(s.Rand)
	if err != nil {
		return nil, err
	}
	sealed, err := s.Sealer.Seal(totpColumn(id), []byte(secret.Reveal()))
	if err != nil {
		return nil, internal("seal", err)
	}
	return sealed, nil
}

// CanApprove tells whether there is anybody to approve what concerns the whole window.
func (s *Service) CanApprove(ctx context.Context) (bool, error) {
	return canApprove(s.db.WithContext(ctx))
}

func canApprove(db *gorm.DB) (bool, error) {
	var n int64
	err := db.Model(&staffRow{}).Where("role = ? AND institution = ? AND active AND NOT contractor", string(Approver), "").Count(&n).Error
	if err != nil {
		return false, internal("read", err)
	}
	return n > 0, nil
}
