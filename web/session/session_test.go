package session

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"gorm.io/gorm"

	"certwindow/devices/appcred/factor"
	"certwindow/hsm/seal"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// bench is a service on a database of its own, with a clock that the test moves.
type bench struct {
	whilePeppering func() // called where the HSM is asked

	*Service
	approve *approve.Service
	t       *testing.T
	mu      sync.Mutex
	at      time.Time
	events  []ra.Event

	suspended map[ra.InstitutionCode]bool
	pki       *cardtest.PKI // of the cards; see pack
	cards     []*cardtest.Card
}

// cheap keeps tests quick; what they prove does not depend on the cost.
var cheap = factor.PasswordCost{Time: 1, Memory: 64, Threads: 1}

func pepperOf(key string) func(context.Context, []byte) ([]byte, error) {
	return func(_ context.Context, data []byte) ([]byte, error) {
		m := hmac.New(sha256.New, []byte(key))
		m.Write(data)
		return m.Sum(nil), nil
	}
}

func TestMain(m *testing.M) { storetest.Main(m) }

// each runs a test on a fresh database of each kind.
func each(t *testing.T, f func(*testing.T, *bench)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) { f(t, newBench(t, db)) })
}

func newBench(t *testing.T, db *store.DB) *bench {
	t.Helper()
	b := &bench{t: t, at: time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC), suspended: map[ra.InstitutionCode]bool{}}
	sealer, err := seal.New(make([]byte, 32), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b.Service, err = New(db.Gorm, Deps{Sealer: sealer, Pepper: b.pepper, Now: b.now, Rand: rand.Reader,
		Audit: b.audit, Idle: policy.Always(10 * time.Minute), Longest: policy.Always(policy.MaxSession), Cost: cheap, Cards: &Cards{Judge: b, Window: "0101090517", Site: "https://window.example"},
		Institution: func(_ context.Context, code ra.InstitutionCode) (bool, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return !b.suspended[code], nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	w := storetest.NewWorld(t, db)
	b.approve = approve.New(store.ApproveStore{Store: w.Store}, nil, b.Acts(), policy.Always(72*time.Hour), b.now, rand.Reader)
	return b
}

// Each column of the tables is one that the package knows, on both databases.
func TestModels(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var others []string
		for _, c := range storetest.Columns(t, db) {
			if !slices.Contains([]string{"staff", "sessions", "staff_handovers", "system", "staff_cards", "card_challenges", "ended_sessions", "drafts"}, c.Table) {
				others = append(others, c.Table)
			}
		}
		storetest.Models(t, db, others, &staffRow{}, &sessionRow{}, &handoverRow{}, &systemRow{}, &cardRow{}, &challengeRow{}, &endedRow{}, &draftRow{})
	})
}

func (b *bench) pepper(ctx context.Context, data []byte) ([]byte, error) {
	if b.whilePeppering != nil {
		b.whilePeppering()
	}
	return pepperOf("pepper")(ctx, data)
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

func (b *bench) wait(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = b.at.Add(d)
}

func (b *bench) suspend(code ra.InstitutionCode, yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.suspended[code] = yes
}

func (b *bench) audit(_ *gorm.DB, e ra.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
	return nil
}

// codes counts the audit events of an act by their code.
func (b *bench) codes(act string) map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := map[string]int{}
	for _, e := range b.events {
		if e.Act == act {
			n[e.Code]++
		}
	}
	return n
}

var operator = ra.Actor{Kind: ra.ActorCommand, ID: "operator"}

// hire puts an account into the register, as two persons would.
func (b *bench) hire(n NewStaff) Credentials {
	b.t.Helper()
	row, cred, err := b.newRow(b.t.Context(), n, "王大明")
	if err == nil {
		err = b.db.Create(&row).Error
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return cred
}

// proposer and approver are two persons who need no account for what they do here.
var proposer, approver = ra.Actor{Kind: ra.ActorStaff, ID: "proposer"}, ra.Actor{Kind: ra.ActorStaff, ID: "approver"}

// byTwo has two persons decide an act about an account as it stands.
func (b *bench) byTwo(act approve.Act, id ra.StaffID, facts func(Staff) approve.Facts) {
	b.t.Helper()
	st, err := b.Find(b.t.Context(), operator, id)
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := b.approve.Propose(b.t.Context(), proposer, act, "staff/"+string(id), "", facts(st))
	if err == nil {
		err = b.approve.Approve(b.t.Context(), approver, p.ID, p.Hash)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// reset gives an account new credentials, by two persons of whom each hands over a half.
func (b *bench) reset(id ra.StaffID, password, code bool) (c Credentials) {
	b.t.Helper()
	b.byTwo(approve.ResetStaff, id, func(st Staff) approve.Facts { return st.ResetFacts(password, code) })
	for half, by := range map[Half]ra.Actor{PasswordHalf: proposer, CodeHalf: approver} {
		if half == PasswordHalf && !password || half == CodeHalf && !code {
			continue
		}
		got, err := b.Take(b.t.Context(), by, id, half, "")
		if err != nil {
			b.t.Fatal(err)
		}
		c.ID, c.Account, c.Password, c.TOTP = id, got.Account, c.Password+got.Password, c.TOTP+got.TOTP
	}
	return c
}

// clerk makes an account that has changed its initial password to the one given.
func (b *bench) clerk(account, password string) Credentials {
	b.t.Helper()
	cred := b.hire(NewStaff{Account: account, Role: Clerk})
	g, err := b.try(cred, cred.Password.Reveal())
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.ChangePassword(b.t.Context(), g.Session, cred.Password, Secret(password), operator); err != nil {
		b.t.Fatal(err)
	}
	b.wait(time.Minute)
	return cred
}

func (b *bench) code(c Credentials) Secret {
	code, err := totp.GenerateCode(c.TOTP.Reveal(), b.now())
	if err != nil {
		b.t.Fatal(err)
	}
	return Secret(code)
}

// try signs in with the right code and the password given.
func (b *bench) try(c Credentials, password string) (Grant, error) {
	return b.Login(b.t.Context(), Attempt{Account: c.Account, Password: Secret(password), Code: b.code(c), Address: "192.0.2.7"})
}

func (b *bench) must(c Credentials, password string) Grant {
	b.t.Helper()
	g, err := b.try(c, password)
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return ra.AsError(err).Code
}

func TestNewRefusesWhatIsMissingOrLoose(t *testing.T) { each(t, testNewRefusesWhatIsMissingOrLoose) }

func testNewRefusesWhatIsMissingOrLoose(t *testing.T, b *bench) {
	for name, change := range map[string]func(*Deps){
		"sealer": func(d *Deps) { d.Sealer = nil }, "pepper": func(d *Deps) { d.Pepper = nil }, "now": func(d *Deps) { d.Now = nil },
		"rand": func(d *Deps) { d.Rand = nil }, "audit": func(d *Deps) { d.Audit = nil }, "no idle": func(d *Deps) { d.Idle = nil },
		"institution": func(d *Deps) { d.Institution = nil }, "cards": func(d *Deps) { d.Cards = &Cards{Judge: b} },
		"no longest": func(d *Deps) { d.Longest = nil }, "cost": func(d *Deps) { d.Cost = factor.PasswordCost{Time: 1} },
	} {
		d := b.Deps
		change(&d)
		if _, err := New(b.db, d); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// HCA-8.1.1: ten minutes without use end a session, by the server's clock.
func TestIdleSessionEnds(t *testing.T) { each(t, testIdleSessionEnds) }

func testIdleSessionEnds(t *testing.T, b *bench) {
	c := b.clerk("lin.mei", "correct horse")
	g := b.must(c, "correct horse")
	for range 5 {
		b.wait(10*time.Minute - time.Second)
		if _, err := b.Authenticate(t.Context(), g.Token, false); err != nil {
			t.Fatalf("in use: %v", err)
		}
	}
	b.wait(10 * time.Minute)
	_, err := b.Authenticate(t.Context(), g.Token, false)
	if e := ra.AsError(err); e.Code != "session-idle" || e.Clause != "HCA-8.1.1" || e.Kind != ra.KindUnauthenticated {
		t.Fatalf("after ten minutes: %v", err)
	}
	b.wait(-10 * time.Minute)
	if _, err := b.Authenticate(t.Context(), g.Token, false); codeOf(err) != "no-session" {
		t.Fatalf("a session that ended came back: %v", err)
	}
}

// HCA-8.1.1: a background poll is not a use.
func TestBackgroundPollKeepsNothingAlive(t *testing.T) { each(t, testBackgroundPollKeepsNothingAlive) }

func testBackgroundPollKeepsNothingAlive(t *testing.T, b *bench) {
	g := b.must(b.clerk("lin.mei", "correct horse"), "correct horse")
	for range 9 {
		b.wait(time.Minute)
		x, err := b.Authenticate(t.Context(), g.Token, true)
		if err != nil {
			t.Fatal(err)
		}
		if !x.EndsAt().Equal(g.Session.EndsAt()) {
			t.Fatalf("the poll moved the end to %v", x.EndsAt())
		}
	}
	b.wait(time.Minute)
	if _, err := b.Authenticate(t.Context(), g.Token, true); codeOf(err) != "session-idle" {
		t.Fatalf("polled past ten minutes: %v", err)
	}
}

// HCA-8.1.1: twelve hours are the most, however busy.
func TestSessionHasAnAbsoluteEnd(t *testing.T) { each(t, testSessionHasAnAbsoluteEnd) }

func testSessionHasAnAbsoluteEnd(t *testing.T, b *bench) {
	g := b.must(b.clerk("lin.mei", "correct horse"), "correct horse")
	for range 12*12 - 1 {
		b.wait(5 * time.Minute)
		if _, err := b.Authenticate(t.Context(), g.Token, false); err != nil {
			t.Fatal(err)
		}
	}
	b.wait(5 * time.Minute)
	if _, err := b.Authenticate(t.Context(), g.Token, false); codeOf(err) != "session-too-long" {
		t.Fatalf("after twelve hours: %v", err)
	}
}

// HCA-8.1.1, HCA-3.7: signing out, signing out everywhere, and stopping the account end sessions at once.
func TestWaysASessionEnds(t *testing.T) { each(t, testWaysASessionEnds) }

func testWaysASessionEnds(t *testing.T, b *bench) {
	c := b.clerk("lin.mei", "correct horse")
	open := func() Grant {
		b.wait(time.Minute)
		return b.must(c, "correct horse")
	}
	alive := func(g Grant) bool {
		_, err := b.Authenticate(t.Context(), g.Token, false)
		return err == nil
	}
	one, two, three := open(), open(), open()
	if err := b.Logout(t.Context(), one.Session, operator); err != nil {
		t.Fatal(err)
	}
	if alive(one) || !alive(two) || !alive(three) {
		t.Fatal("signing out ended the wrong sessions")
	}
	if err := b.LogoutEverywhere(t.Context(), two.Session, operator); err != nil {
		t.Fatal(err)
	}
	if alive(two) || alive(three) {
		t.Fatal("signing out everywhere left a session")
	}
	four := open()
	if err := b.Stop(t.Context(), operator, c.ID); err != nil {
		t.Fatal(err)
	}
	if alive(four) {
		t.Fatal("a stopped account is still signed in")
	}
	b.wait(time.Minute)
	if _, err := b.try(c, "correct horse"); codeOf(err) != "login-refused" {
		t.Fatalf("a stopped account signs in: %v", err)
	}
	b.byTwo(approve.ResumeStaff, c.ID, Staff.Facts)
	if !alive(open()) {
		t.Fatal("a resumed account cannot sign in")
	}
}

func TestTokensOfOthersAreNoSession(t *testing.T) { each(t, testTokensOfOthersAreNoSession) }

func testTokensOfOthersAreNoSession(t *testing.T, b *bench) {
	g := b.must(b.clerk("lin.mei", "correct horse"), "correct horse")
	for _, token := range []string{"", "x", g.Token.Reveal() + "A", g.Token.Reveal()[:42] + "!", string(g.Session.hash)} {
		if _, err := b.Authenticate(t.Context(), Secret(token), false); codeOf(err) != "no-session" {
			t.Errorf("%q: %v", token, err)
		}
	}
	var kept []sessionRow
	if err := b.db.Find(&kept).Error; err != nil {
		t.Fatal(err)
	}
	for _, r := range kept {
		if string(r.Hash) == g.Token.Reveal() {
			t.Error("the token itself is in the database")
		}
	}
}

func TestSweepRemovesWhatIsOver(t *testing.T) { each(t, testSweepRemovesWhatIsOver) }

func testSweepRemovesWhatIsOver(t *testing.T, b *bench) {
	b.must(b.clerk("lin.mei", "correct horse"), "correct horse")
	b.wait(10 * time.Minute)
	if err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int64
	if b.db.Model(&sessionRow{}).Count(&n); n != 0 {
		t.Errorf("%d sessions left", n)
	}
}
