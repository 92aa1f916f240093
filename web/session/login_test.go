package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
)

// HCA-8.2.6(4): five failures in a row lock the password, also when guesses come at the same moment, and a
// reset by another person opens it again.
func TestFiveFailuresLock(t *testing.T) { each(t, testFiveFailuresLock) }

func testFiveFailuresLock(t *testing.T, b *bench) {
	c := b.clerk("lin.mei", "correct horse")
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			b.Login(t.Context(), Attempt{Account: c.Account, Password: "wrong", Code: b.code(c), Address: fmt.Sprintf("192.0.2.%d", i)})
		})
	}
	wg.Wait()
	if n := b.codes("staff.login")["password-wrong"]; n != 5 {
		t.Fatalf("%d guesses were judged, not five", n)
	}
	b.wait(time.Hour)
	if _, err := b.try(c, "correct horse"); codeOf(err) != "login-refused" {
		t.Fatalf("the right password after five wrong ones: %v", err)
	}
	if st, _ := b.Find(t.Context(), operator, c.ID); !st.PasswordLocked {
		t.Error("the lock is not shown")
	}
	again := b.reset(c.ID, true, false)
	b.wait(time.Minute)
	again.TOTP = c.TOTP
	if g := b.must(again, again.Password.Reveal()); !g.Session.Staff.MustChange {
		t.Error("a reset password need not be changed (HCA-8.2.6(5))")
	}
}

// HCA-8.2.6(4): "in a row" means that a success between starts the count anew.
func TestSuccessClearsFailures(t *testing.T) { each(t, testSuccessClearsFailures) }

func testSuccessClearsFailures(t *testing.T, b *bench) {
	c := b.clerk("lin.mei", "correct horse")
	for range 3 {
		for range 4 {
			b.wait(time.Minute)
			b.try(c, "wrong")
		}
		b.wait(time.Minute)
		b.must(c, "correct horse")
	}
}

// HCA-8.2.7(2): three wrong codes lock, until somebody identifies the person and resets it.
func TestThreeWrongCodesLock(t *testing.T) { each(t, testThreeWrongCodesLock) }

func testThreeWrongCodesLock(t *testing.T, b *bench) {
	c := b.clerk("lin.mei", "correct horse")
	for range 3 {
		b.wait(time.Minute)
		b.Login(t.Context(), Attempt{Account: c.Account, Password: "correct horse", Code: "abcdef", Address: "192.0.2.7"})
	}
	b.wait(time.Minute)
	if _, err := b.try(c, "correct horse"); codeOf(err) != "login-refused" {
		t.Fatalf("the right code after three wrong ones: %v", err)
	}
	if n := b.codes("staff.login"); n["otp-wrong"] != 3 || n["otp-locked"] != 1 {
		t.Errorf("audit: %v", n)
	}
	again := b.reset(c.ID, false, true)
	b.wait(time.Minute)
	b.must(again, "correct horse")
	b.wait(time.Minute)
	if _, err := b.try(c, "correct horse"); err == nil {
		t.Error("the old authenticator still works")
	}
}

// HCA-8.2.7(3): a used code is not accepted again, neither later nor at the same moment elsewhere.
func TestCodeWorksOnce(t *testing.T) { each(t, testCodeWorksOnce) }

func testCodeWorksOnce(t *testing.T, b *bench) {
	c := b.clerk("lin.mei", "correct horse")
	var in atomic.Int32
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, err := b.try(c, "correct horse"); err == nil {
				in.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 {
		t.Fatalf("one code opened %d sessions", in.Load())
	}
	b.wait(29 * time.Second)
	old := b.code(c)
	b.wait(5 * time.Second) // the next step; the old code would still be within the skew
	if _, err := b.Login(t.Context(), Attempt{Account: c.Account, Password: "correct horse", Code: old, Address: "192.0.2.7"}); err == nil {
		t.Fatal("a used code was accepted later")
	}
}

// HCA-8.2.6(5): an initial password must be changed at first login; (1), (2): and not to anything.
func TestInitialPasswordMustBeChanged(t *testing.T) { each(t, testInitialPasswordMustBeChanged) }

func testInitialPasswordMustBeChanged(t *testing.T, b *bench) {
	c, err := b.CreateFirstAdmin(t.Context(), operator, "Admin", "陳美玲")
	if err != nil {
		t.Fatal(err)
	}
	g := b.must(c, c.Password.Reveal())
	if !g.Session.Staff.MustChange || g.Session.Staff.Role != WindowAdmin || g.Session.Staff.Name != "陳美玲" {
		t.Fatalf("%+v", g.Session.Staff)
	}
	for next, code := range map[string]string{"short": "password-too-short", "ADMIN": "password-too-short", c.Password.Reveal(): "password-same",
		strings.Repeat("x", 2000): "password-too-long"} {
		if _, err := b.ChangePassword(t.Context(), g.Session, c.Password, Secret(next), operator); codeOf(err) != code {
			t.Errorf("%.20q: %v", next, err)
		}
	}
	if _, err := b.ChangePassword(t.Context(), g.Session, "not it at all", "a good password", operator); codeOf(err) != "password-wrong" {
		t.Errorf("wrong present password: %v", err)
	}
	n, err := b.ChangePassword(t.Context(), g.Session, c.Password, "a good password", operator)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Authenticate(t.Context(), g.Token, false); err == nil {
		t.Error("the session of the old password lives on")
	}
	if x, err := b.Authenticate(t.Context(), n.Token, false); err != nil || x.Staff.MustChange {
		t.Errorf("after the change: %+v %v", x, err)
	}
}

// HCA-8.2.6(2): the password is not the account, in any letter case.
func TestPasswordIsNotTheAccount(t *testing.T) { each(t, testPasswordIsNotTheAccount) }

func testPasswordIsNotTheAccount(t *testing.T, b *bench) {
	c := b.clerk("lin.meiling", "correct horse")
	g := b.must(c, "correct horse")
	_, err := b.ChangePassword(t.Context(), g.Session, "correct horse", "Lin.MeiLing", operator)
	if e := ra.AsError(err); e.Code != "password-is-account" || e.Clause != "HCA-8.2.6" {
		t.Fatalf("%v", err)
	}
}

// HCA-8.2.6(6): one-way, salted, and worthless without the HSM's pepper.
func TestStoredPassword(t *testing.T) { each(t, testStoredPassword) }

func testStoredPassword(t *testing.T, b *bench) {
	one := b.clerk("one", "correct horse")
	b.clerk("two", "correct horse")
	var rows []staffRow
	if err := b.db.Order("account").Find(&rows).Error; err != nil {
		t.Fatal(err)
	}
	if rows[0].Password == rows[1].Password || !strings.HasPrefix(rows[0].Password, "$argon2id$v=19$") {
		t.Fatalf("%q %q", rows[0].Password, rows[1].Password)
	}
	var raw []map[string]any
	if err := b.db.Table("staff").Find(&raw).Error; err != nil {
		t.Fatal(err)
	}
	kept := fmt.Sprintf("%s", raw)
	if !strings.Contains(kept, "one") {
		t.Fatal("the rows were not read")
	}
	for _, secret := range []string{"correct horse", one.TOTP.Reveal(), "王大明"} {
		if strings.Contains(kept, secret) {
			t.Errorf("the database holds %q in the clear (HCA-8.1.5)", secret)
		}
	}
	d := b.Deps
	d.Pepper = pepperOf("another")
	other, err := New(b.db, d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Login(t.Context(), Attempt{Account: "one", Password: "correct horse", Code: b.code(one), Address: "192.0.2.7"}); err == nil {
		t.Error("the password opens without the pepper")
	}
}

// A secret of one account does not work after it was copied into another's row.
func TestSealedSecretIsBoundToItsRow(t *testing.T) { each(t, testSealedSecretIsBoundToItsRow) }

func testSealedSecretIsBoundToItsRow(t *testing.T, b *bench) {
	one, two := b.clerk("one", "correct horse"), b.clerk("two", "battery staple")
	if err := b.db.Exec("UPDATE staff SET totp_sealed = (SELECT totp_sealed FROM staff WHERE id = ?) WHERE id = ?", string(one.ID), string(two.ID)).Error; err != nil {
		t.Fatal(err)
	}
	if _, err := b.Login(t.Context(), Attempt{Account: "two", Password: "battery staple", Code: b.code(one), Address: "192.0.2.7"}); err == nil {
		t.Fatal("signed in with another account's authenticator")
	}
}

// Nothing in the answer tells an account that is not there from a wrong password or a lock.
func TestFailuresLookAlike(t *testing.T) { each(t, testFailuresLookAlike) }

func testFailuresLookAlike(t *testing.T, b *bench) {
	c := b.clerk("lin.mei", "correct horse")
	try := func(account string) error {
		b.wait(time.Minute)
		_, err := b.Login(t.Context(), Attempt{Account: account, Password: "wrong", Code: b.code(c), Address: "192.0.2.7"})
		return err
	}
	want := try("lin.mei").Error()
	for range 6 {
		if got := try("lin.mei").Error(); got != want {
			t.Fatalf("%q", got)
		}
	}
	if got := try("nobody").Error(); got != want {
		t.Fatalf("%q", got)
	}
}

// Nor does the work that is done: an attempt that is refused writes to the database as often as any other, whatever it
// was refused for, and makes the same one hash. So its time tells nothing that its answer does not.
func TestFailuresCostTheSame(t *testing.T) { each(t, testFailuresCostTheSame) }

func testFailuresCostTheSame(t *testing.T, b *bench) {
	var writes, hashes int
	count := func(db *gorm.DB) {
		if sql := strings.TrimSpace(db.Statement.SQL.String()); !strings.HasPrefix(sql, "SELECT") && !strings.HasPrefix(sql, "DELETE") {
			writes++
		}
	}
	if err := errors.Join(b.db.Callback().Raw().After("gorm:raw").Register("count", count), b.db.Callback().Row().After("gorm:row").Register("count", count)); err != nil {
		t.Fatal(err)
	}
	b.whilePeppering = func() { hashes++ }
	b.clerk("right.password", "correct horse")
	b.clerk("wrong.password", "correct horse")
	stopped, locked, coded := b.clerk("stopped", "correct horse"), b.clerk("locked", "correct horse"), b.clerk("coded", "correct horse")
	for id, sql := range map[ra.StaffID]string{stopped.ID: "active = FALSE", locked.ID: "failures = 5", coded.ID: "totp_failures = 3"} {
		if err := b.db.Exec("UPDATE staff SET "+sql+" WHERE id = ?", string(id)).Error; err != nil {
			t.Fatal(err)
		}
	}
	type cost struct{ writes, hashes int }
	costs := map[cost][]string{}
	for account, password := range map[string]Secret{"nobody": "x", "wrong.password": "x", "right.password": "correct horse", "stopped": "correct horse",
		"locked": "correct horse", "coded": "correct horse"} {
		b.wait(time.Minute)
		writes, hashes = 0, 0
		if _, err := b.Login(t.Context(), Attempt{Account: account, Password: password, Code: "000000", Address: "192.0.2.7"}); codeOf(err) != "login-refused" {
			t.Fatal(err)
		}
		costs[cost{writes, hashes}] = append(costs[cost{writes, hashes}], account)
	}
	if len(costs) != 1 {
		t.Errorf("attempts cost differently: %+v", costs)
	}
	for c := range costs {
		if c.hashes != 1 || c.writes < triesWritten {
			t.Errorf("%+v", c)
		}
	}
}

func TestLoginsAreLimitedByAccountAndAddress(t *testing.T) {
	each(t, testLoginsAreLimitedByAccountAndAddress)
}

func testLoginsAreLimitedByAccountAndAddress(t *testing.T, b *bench) {
	last := func(account, address string, n int) (err error) {
		for range n {
			_, err = b.Login(t.Context(), Attempt{Account: account, Password: "x", Code: "000000", Address: address})
		}
		return err
	}
	if err := last("nobody", "192.0.2.1", limitPerAccount); codeOf(err) != "login-refused" {
		t.Fatal(err)
	}
	if err := last("nobody", "192.0.2.2", 1); codeOf(err) != "too-many-logins" {
		t.Fatalf("by account: %v", err)
	}
	for i := range limitPerAddress {
		last(fmt.Sprintf("nobody%d", i), fmt.Sprintf("2001:db8::%x", i), 1)
	}
	if err := last("someone", "2001:db8::ffff", 1); codeOf(err) != "too-many-logins" {
		t.Fatalf("by network: %v", err)
	}
	b.wait(2 * time.Minute)
	if err := last("someone", "2001:db8::ffff", 1); codeOf(err) != "login-refused" {
		t.Fatalf("a minute later: %v", err)
	}
	var n int64
	if b.db.Table("login_attempts").Count(&n); n > 3 {
		t.Errorf("%d old counters were kept", n)
	}
}

// HCA-8.1.6: who guesses and hangs up before the answer is written down like everybody else.
func TestGuessIsRecordedThoughItsSenderHasGone(t *testing.T) {
	each(t, testGuessIsRecordedThoughItsSenderHasGone)
}

func testGuessIsRecordedThoughItsSenderHasGone(t *testing.T, b *bench) {
	c := b.clerk("lin.mei", "correct horse")
	ctx, hangUp := context.WithCancel(t.Context())
	b.whilePeppering = hangUp
	before := len(b.events)
	_, err := b.Login(ctx, Attempt{Account: c.Account, Password: "wrong", Code: "000000", Address: "192.0.2.7"})
	if codeOf(err) != "login-refused" {
		t.Errorf("%v", err)
	}
	if len(b.events) != before+1 || b.events[before].Outcome != ra.OutcomeRefused || b.events[before].Object != "staff/"+string(c.ID) {
		t.Errorf("%+v", b.events[before:])
	}
}
