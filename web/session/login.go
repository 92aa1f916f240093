package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"regexp"
	"strings"
	"time"

	"gorm.io/gorm"

	"certwindow/devices/appcred/factor"
	"certwindow/policy"
	"certwindow/ra"
)

// Attempt is one try to sign in.
type Attempt struct {
	Account   string
	Password  Secret
	Code      Secret // of the authenticator app
	Address   string
	RequestID string
}

// Grant is a new session with its token, which goes into the cookie and is kept nowhere else.
type Grant struct {
	Token   Secret
	Session Session
}

var accountForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{2,31}$`)

// canonical is the one spelling of an account.
func canonical(account string) string { return strings.ToLower(strings.TrimSpace(account)) }

// refusedLogin is the one answer to every attempt that fails, so that it tells nobody which part was wrong,
// whether there is such an account, or whether it is locked.
func refusedLogin() error {
	return ra.Errorf(ra.KindUnauthenticated, "login-refused", nil,
		"The account, password or code is not right, or the account is locked. Five wrong passwords or three wrong codes in a row lock it (HCA-8.2.6, HCA-8.2.7).")
}

// Login signs a member of staff in with password and code. Each failure is counted before the answer is known,
// so that no number of simultaneous guesses, at however many replicas, gets more tries than the rule allows.
func (s *Service) Login(ctx context.Context, a Attempt) (Grant, error) {
	leave, err := s.door.enter(a.Address)
	if err != nil {
		return Grant{}, err
	}
	defer leave()
	now := s.moment()
	account := canonical(a.Account)
	if err := s.limit(ctx, a.Address, account, now); err != nil {
		return Grant{}, err
	}
	row, err := s.byAccount(ctx, account)
	if err != nil {
		return Grant{}, err
	}
	ev := ra.Event{At: now, Actor: ra.Actor{Kind: ra.ActorStaff, Address: a.Address, RequestID: a.RequestID},
		Act: "staff.login", Object: "staff/unknown", Outcome: ra.OutcomeDone}
	if row != nil {
		ev.Actor.ID, ev.Object, ev.Institution = row.ID, "staff/"+row.ID, ra.InstitutionCode(row.Institution)
	}
	step, err := s.check(ctx, row, a, now)
	if err == nil {
		var g Grant
		if g, err = s.admit(ctx, *row, step, a, ev, now); err == nil {
			return g, nil
		}
	}
	if k := ra.KindOf(err); k != ra.KindRefused && k != ra.KindUnauthenticated {
		return Grant{}, err // the hardware, the database, or too many at once: no guess was judged
	}
	return Grant{}, s.refuseLogin(ctx, ev, err)
}

// recordTime is for a refusal that must be written though the caller has gone.
const recordTime = 10 * time.Second

// refuseLogin keeps the true reason in the audit log and answers with the one that tells nothing.
func (s *Service) refuseLogin(ctx context.Context, ev ra.Event, reason error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), recordTime) // who guesses and hangs up is written down as well
	defer stop()
	if err := s.record(ctx, ev.RefusalOf(reason)); err != nil {
		return internal("audit", err)
	}
	return refusedLogin()
}

// triesWritten is how many writes an attempt makes that passes every check but the last: two failures counted ahead,
// and one of them cleared.
const triesWritten = 3

// check judges password and code; a nil row is judged against a decoy, for as long. It returns the code's time step.
// An attempt that is refused early makes up for the writes that it did not come to, so that its time tells neither
// whether there is such an account, nor whether it is locked, nor that the password was the right one.
func (s *Service) check(ctx context.Context, row *staffRow, a Attempt, now time.Time) (step int64, err error) {
	written := 0
	defer func() {
		if ra.KindOf(err) == ra.KindRefused {
			if ferr := s.feign(ctx, a.Address, now, triesWritten-written); ferr != nil {
				err = ferr
			}
		}
	}()
	stored, refusal := s.hasher.Decoy(), error(nil)
	if row == nil {
		refusal = ra.Errorf(ra.KindRefused, "no-such-staff", nil, "There is no such account.")
	} else if stored, refusal = row.Password, s.reserve(ctx, row.ID, passwordTries); refusal == nil {
		written++
	}
	if refusal != nil && ra.KindOf(refusal) != ra.KindRefused {
		return 0, refusal
	}
	right, err := s.hasher.Matches(ctx, a.Password, stored)
	switch {
	case err != nil:
		return 0, err
	case refusal != nil:
		return 0, refusal
	case !right:
		return 0, ra.Refuse("HCA-8.2.6", "password-wrong", "The password is wrong.", nil)
	}
	if err := s.mayStay(ctx, *row); err != nil {
		return 0, err
	}
	if err := s.clear(ctx, row.ID, passwordTries); err != nil {
		return 0, err
	}
	written++
	if err := s.reserve(ctx, row.ID, codeTries); err != nil {
		return 0, err
	}
	written++
	return s.checkCode(*row, a.Code, now)
}

// feign writes as often as an attempt would have that was not refused so early, to a counter that nobody reads.
func (s *Service) feign(ctx context.Context, address string, now time.Time, times int) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), recordTime) // who hangs up is no exception
	defer stop()
	for range times {
		err := s.db.WithContext(ctx).Exec(`INSERT INTO login_attempts (subject, window_at, attempts) VALUES (?, ?, 1)
			ON CONFLICT (subject, window_at) DO UPDATE SET attempts = login_attempts.attempts + 1`, "refused:"+prefixOf(address), now.Truncate(limitWindow)).Error
		if err != nil {
			return internal("count", err)
		}
	}
	return nil
}

func errStopped() error {
	return ra.Refuse("HCA-8.1.6", "staff-stopped", "The account is stopped.", nil)
}

// inService refuses an account of an institution that is not active. The whole window's accounts have none.
func (s *Service) inService(ctx context.Context, row staffRow) error {
	if row.Institution == "" {
		return nil
	}
	active, err := s.Institution(ctx, ra.InstitutionCode(row.Institution))
	if err != nil {
		return internal("institution", err)
	}
	if !active {
		return ra.Refuse("HCA-3.7", "institution-inactive", "The account's institution is suspended.", nil)
	}
	return nil
}

func (s *Service) checkCode(row staffRow, code Secret, now time.Time) (int64, error) {
	secret, err := s.Sealer.Open(totpColumn(row.ID), row.TOTPSealed)
	if err != nil {
		return 0, internal("open", err)
	}
	step := factor.StepOf(Secret(secret), code, now)
	if step == 0 {
		return 0, ra.Refuse("HCA-8.2.7", "otp-wrong", "The code is wrong.", nil)
	}
	return step, nil
}

// tries is one of the two counters of failures in a row and the rule that reads it.
type tries struct {
	column string
	of     func(staffRow) int
	lock   func(failures int) policy.Decision
}

var (
	passwordTries = tries{"failures", func(r staffRow) int { return r.Failures }, policy.PasswordLock}
	codeTries     = tries{"totp_failures", func(r staffRow) int { return r.TOTPFailures }, policy.OTPLock}
)

// reserve counts a failure before the try, or refuses when the rule has locked the account.
func (s *Service) reserve(ctx context.Context, id string, t tries) error {
	for range 64 { // each turn somebody else's try was counted, which a lock soon ends
		row, err := s.byID(ctx, ra.StaffID(id))
		if err != nil {
			return err
		}
		n := t.of(row)
		if err := ra.Refused(t.lock(n)); err != nil {
			return err
		}
		res := s.db.WithContext(ctx).Exec("UPDATE staff SET "+t.column+" = ? WHERE id = ? AND "+t.column+" = ?", n+1, id, n)
		if res.Error != nil {
			return internal("count", res.Error)
		}
		if res.RowsAffected == 1 {
			return nil
		}
	}
	return ra.Errorf(ra.KindTooMany, "logins-busy", nil, "This account is being tried from many places at once.")
}

// clear ends a row of failures after a success.
func (s *Service) clear(ctx context.Context, id string, t tries) error {
	if err := s.db.WithContext(ctx).Exec("UPDATE staff SET "+t.column+" = 0 WHERE id = ?", id).Error; err != nil {
		return internal("count", err)
	}
	return nil
}

// admit uses the code up and starts a session, in one transaction. The guard makes it work once only across
// replicas, and not when the account was stopped or its password set anew meanwhile (HCA-8.2.7(3)).
func (s *Service) admit(ctx context.Context, row staffRow, step int64, a Attempt, ev ra.Event, now time.Time) (Grant, error) {
	g, sr, err := s.newGrant(row, byPassword, a.Address, now)
	if err != nil {
		return Grant{}, err
	}
	ev.Actor.Session = g.Session.Name
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec("UPDATE staff SET totp_step = ?, totp_failures = 0 WHERE id = ? AND totp_step < ? AND active AND password = ?",
			step, row.ID, step, row.Password)
		if res.Error != nil {
			return internal("write", res.Error)
		}
		if res.RowsAffected != 1 {
			return ra.Refuse("HCA-8.2.7", "otp-used", "The code was used before.", nil)
		}
		if err := tx.Create(&sr).Error; err != nil {
			return internal("write", err)
		}
		return s.Audit(tx, ev)
	})
	return g, err
}

// newGrant makes a session's token, its form token, and its row.
func (s *Service) newGrant(row staffRow, method, address string, now time.Time) (Grant, sessionRow, error) {
	st, err := s.staff(row)
	if err != nil {
		return Grant{}, sessionRow{}, err
	}
	var b [64]byte
	if _, err := io.ReadFull(s.Rand, b[:]); err != nil {
		return Grant{}, sessionRow{}, internal("random", err)
	}
	b64 := base64.RawURLEncoding
	token := b64.EncodeToString(b[:32])
	sum := sha256.Sum256([]byte(token))
	r := sessionRow{Hash: sum[:], StaffID: row.ID, CSRF: b64.EncodeToString(b[32:]), Address: address, Method: method, StartedAt: now, LastUsedAt: now}
	return Grant{Token: Secret(token), Session: s.session(st, r)}, r, nil
}

// nameOf names a session in audit events and on its owner's page.
func (s *Service) nameOf(r sessionRow) string {
	return hex.EncodeToString(s.Sealer.Hash("session.name", string(r.Hash))[:8])
}

func (s *Service) session(st Staff, r sessionRow) Session {
	return Session{Staff: st, CSRF: r.CSRF, Name: s.nameOf(r),
		Method: r.Method, StartedAt: r.StartedAt, Idle: s.Idle(), Longest: s.Longest(), LastUsed: r.LastUsedAt, hash: r.Hash}
}
