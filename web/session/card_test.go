package session

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/consent"
)

// Identify judges a card's signature as the window does, with the status answers of the test's own PKI.
func (b *bench) Identify(ctx context.Context, want consent.Expected, a consent.Signature) (consent.Identity, error) {
	o := cardmsg.Options{Path: b.pki.Path(b.t, b.now(), b.cards...), Clause: want.Clause, Content: want.Text, Nonce: want.Nonce, Skew: time.Minute,
		NotBefore: want.Issued, NotAfter: want.Expires}
	m, err := (*cardmsg.Verified)(nil), error(nil)
	if a.Bare != nil {
		m, err = cardmsg.VerifyBare(ctx, want.Text, a.Bare.Value, a.Bare.Certificate, o)
	} else {
		var u cardmsg.Unverified
		if u, err = cardmsg.Decode(a.CMS); err == nil {
			m, err = u.Verify(ctx, o)
		}
	}
	var c *cardmsg.Error
	if errors.As(err, &c) {
		return consent.Identity{}, ra.Refuse(c.Clause, c.Reason, c.Detail, err)
	}
	if err != nil {
		return consent.Identity{}, err
	}
	return consent.Identity{Holder: m.Holder(), SignerFingerprint: "f", MessageSHA256: "m"}, nil
}

// pack makes a PKI and cards of two holders.
func (b *bench) pack() (own, other *cardtest.Card) {
	b.pki = cardtest.New(b.t, b.at)
	own = b.pki.Card(b.t, cardtest.CardOptions{Name: "林美玲", Holder: "0000000112345678"})
	other = b.pki.Card(b.t, cardtest.CardOptions{Name: "陳志明", Holder: "0000000112345699"})
	b.cards = []*cardtest.Card{own, other}
	return own, other
}

func (b *bench) signed(card *cardtest.Card, c Challenge) consent.Signature {
	return consent.Signature{CMS: card.Sign(b.t, c.Text, b.now(), c.Nonce)}
}

// bare is what a component gives that makes no CMS.
func (b *bench) bare(card *cardtest.Card, c Challenge) consent.Signature {
	sum := sha256.Sum256(c.Text)
	sig, err := card.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		b.t.Fatal(err)
	}
	return consent.Signature{Bare: &consent.Bare{Value: sig, Certificate: card.Cert.Raw}}
}

// link gives an account a card, as its owner does after signing in with password and code.
func (b *bench) link(g Grant, card *cardtest.Card) {
	b.t.Helper()
	c, err := b.LinkChallenge(b.t.Context(), g.Session)
	if err == nil {
		err = b.LinkCard(b.t.Context(), g.Session, "correct horse", c.Nonce, b.signed(card, c), g.Session.Actor("192.0.2.7", "r"))
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// challenge is a text for signing in, and the browser that it is for.
func (b *bench) challenged() (Secret, Challenge) {
	b.t.Helper()
	browser, err := b.NewBrowserToken()
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := b.LoginChallenge(b.t.Context(), browser, "192.0.2.7")
	if err != nil {
		b.t.Fatal(err)
	}
	return browser, c
}

// byCard signs in with a card.
func (b *bench) byCard(card *cardtest.Card) (Grant, error) {
	b.t.Helper()
	browser, c := b.challenged()
	return b.CardLogin(b.t.Context(), CardAttempt{Browser: browser, Nonce: c.Nonce, Answer: b.signed(card, c), Address: "192.0.2.7"})
}

// HCA-8.1.6: the linked card opens the account, with the component that makes CMS and with the one that makes bare
// signatures, and leaves its row.
func TestCardOpensTheAccount(t *testing.T) { each(t, testCardOpensTheAccount) }

func testCardOpensTheAccount(t *testing.T, b *bench) {
	own, other := b.pack()
	c := b.clerk("lin.mei", "correct horse")
	b.link(b.must(c, "correct horse"), own)
	g, err := b.byCard(own)
	if err != nil || g.Session.Staff.Account != "lin.mei" || g.Session.Method != byCard {
		t.Fatalf("%v %+v", err, g.Session)
	}
	if x, err := b.Authenticate(t.Context(), g.Token, false); err != nil || x.Method != byCard || x.Staff.ID != c.ID {
		t.Fatalf("%v %+v", err, x)
	}
	browser, ch := b.challenged()
	if _, err := b.CardLogin(t.Context(), CardAttempt{Browser: browser, Nonce: ch.Nonce, Answer: b.bare(own, ch), Address: "192.0.2.7"}); err != nil {
		t.Fatalf("bare: %v", err)
	}
	if _, err := b.byCard(other); codeOf(err) != "card-login-refused" {
		t.Fatalf("a card that is not linked: %v", err)
	}
	if n := b.codes("staff.login-card"); n[""] != 2 || n["card-not-linked"] != 1 {
		t.Errorf("audit: %v", n)
	}
	var kept cardRow
	if err := b.db.Take(&kept).Error; err != nil || string(kept.HolderSealed) == own.Cert.Subject.SerialNumber || len(kept.HolderHash) < 16 {
		t.Errorf("HCA-8.1.5: %v %q", err, kept.HolderSealed)
	}
}

// HCA-8.1.4: a text that was signed is good once, for the browser that was shown it, for a few minutes, and for nothing
// but signing in.
func TestChallengeIsGoodOnceForOneBrowser(t *testing.T) {
	each(t, testChallengeIsGoodOnceForOneBrowser)
}

func testChallengeIsGoodOnceForOneBrowser(t *testing.T, b *bench) {
	own, _ := b.pack()
	c := b.clerk("lin.mei", "correct horse")
	staff := b.must(c, "correct horse")
	b.link(staff, own)
	try := func(browser Secret, nonce string, a consent.Signature) string {
		_, err := b.CardLogin(t.Context(), CardAttempt{Browser: browser, Nonce: nonce, Answer: a, Address: "192.0.2.7"})
		return codeOf(err)
	}
	browser, ch := b.challenged()
	stolen, _ := b.NewBrowserToken()
	if got := try(stolen, ch.Nonce, b.signed(own, ch)); got != "challenge-spent" {
		t.Errorf("in another browser: %q", got)
	}
	answer := b.signed(own, ch)
	var in, spent atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch try(browser, ch.Nonce, answer) {
			case "":
				in.Add(1)
			case "challenge-spent":
				spent.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 || spent.Load() != 7 {
		t.Errorf("of eight at once %d got in, %d were replays", in.Load(), spent.Load())
	}
	browser, old := b.challenged()
	b.wait(maxChallengeLife)
	if got := try(browser, old.Nonce, b.signed(own, old)); got != "challenge-spent" {
		t.Errorf("too late: %q", got)
	}
	browser, ch = b.challenged()
	_, another := b.challenged()
	if got := try(browser, ch.Nonce, b.signed(own, another)); got == "" || got == "challenge-spent" {
		t.Errorf("another text: %q", got)
	}
	staff = b.must(c, "correct horse")
	link, err := b.LinkChallenge(t.Context(), staff.Session)
	if err != nil {
		t.Fatal(err)
	}
	if got := try(browser, link.Nonce, b.signed(own, link)); got != "challenge-spent" {
		t.Errorf("the text of a link: %q", got)
	}
	browser, ch = b.challenged()
	if got := codeOf(b.LinkCard(t.Context(), staff.Session, "correct horse", ch.Nonce, b.signed(own, ch), operator)); got != "challenge-spent" {
		t.Errorf("the text of a login links: %q", got)
	}
	for _, nonce := range []string{"", "x", ch.Nonce + "A"} {
		if got := try(browser, nonce, answer); got != "challenge-spent" {
			t.Errorf("nonce %q: %q", nonce, got)
		}
	}
}

// HCA-8.1.6, HCA-8.2.6, HCA-8.2.7, HCA-3.7: what shuts the door to password and code shuts it to the card, and the answer
// is the same as for a card that nobody linked.
func TestCardIsNoWayRoundALock(t *testing.T) { each(t, testCardIsNoWayRoundALock) }

func testCardIsNoWayRoundALock(t *testing.T, b *bench) {
	own, other := b.pack()
	c := b.hire(NewStaff{Account: "theirs", Role: Clerk, Institution: "0101090517"})
	g, err := b.try(c, c.Password.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if g, err = b.ChangePassword(t.Context(), g.Session, c.Password, "correct horse", operator); err != nil {
		t.Fatal(err)
	}
	b.link(g, own)
	_, unlinked := b.byCard(other)
	refused := func(why string) {
		t.Helper()
		b.wait(2 * time.Minute)
		if _, err := b.byCard(own); err == nil || err.Error() != unlinked.Error() {
			t.Errorf("%s: %v", why, err)
		}
	}
	set := func(sql string) {
		t.Helper()
		if err := b.db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
	set("UPDATE staff SET failures = 5")
	refused("password locked")
	set("UPDATE staff SET failures = 0, totp_failures = 3")
	refused("code locked")
	set("UPDATE staff SET totp_failures = 0")
	b.suspend("0101090517", true)
	refused("institution suspended")
	b.suspend("0101090517", false)
	if err := b.Stop(t.Context(), operator, c.ID); err != nil {
		t.Fatal(err)
	}
	refused("stopped")
	set("UPDATE staff SET active = TRUE")
	b.wait(2 * time.Minute)
	if _, err := b.byCard(own); err != nil {
		t.Errorf("open again: %v", err)
	}
	for _, code := range []string{"card-not-linked", "password-locked", "otp-locked", "institution-inactive", "staff-stopped"} {
		if b.codes("staff.login-card")[code] != 1 {
			t.Errorf("no row of %s: %v", code, b.codes("staff.login-card"))
		}
	}
}

// Before a signature is proved nothing is told of the card: a bad one of a linked card answers like one of a card that
// is not linked.
func TestCardAnswersTellNothingUnproved(t *testing.T) { each(t, testCardAnswersTellNothingUnproved) }

func testCardAnswersTellNothingUnproved(t *testing.T, b *bench) {
	own, other := b.pack()
	b.link(b.must(b.clerk("lin.mei", "correct horse"), "correct horse"), own)
	bad := func(card *cardtest.Card) error {
		browser, c := b.challenged()
		a := b.signed(card, c)
		a.CMS[len(a.CMS)-3] ^= 1
		_, err := b.CardLogin(t.Context(), CardAttempt{Browser: browser, Nonce: c.Nonce, Answer: a, Address: "192.0.2.7"})
		return err
	}
	linked, free := bad(own), bad(other)
	if codeOf(linked) == "card-login-refused" || codeOf(linked) != codeOf(free) || linked == nil {
		t.Errorf("%v, %v", linked, free)
	}
}

// HCA-8.1.6: a card is linked only in a session that password and code began, opens one account, and is unlinked by its
// owner or an administrator, which ends what it had opened.
func TestLinkingACard(t *testing.T) { each(t, testLinkingACard) }

func testLinkingACard(t *testing.T, b *bench) {
	own, other := b.pack()
	lin, chen := b.clerk("lin.mei", "correct horse"), b.clerk("chen.ming", "correct horse")
	first, second := b.must(lin, "correct horse"), b.must(chen, "correct horse")
	c, err := b.LinkChallenge(t.Context(), first.Session)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.LinkCard(t.Context(), first.Session, "wrong horse", c.Nonce, b.signed(own, c), operator); codeOf(err) != "password-wrong" {
		t.Errorf("a link without the password: %v", err)
	}
	b.link(first, own)
	if err := b.UnlinkOwnCard(t.Context(), first.Session, "", operator); codeOf(err) != "password-wrong" {
		t.Errorf("an unlink without the password: %v", err)
	}
	steal, err := b.LinkChallenge(t.Context(), second.Session)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.LinkCard(t.Context(), second.Session, "correct horse", steal.Nonce, b.signed(own, steal), operator); codeOf(err) != "card-taken" {
		t.Errorf("one card, two accounts: %v", err)
	}
	more, _ := b.LinkChallenge(t.Context(), first.Session)
	if err := b.LinkCard(t.Context(), first.Session, "correct horse", more.Nonce, b.signed(other, more), operator); codeOf(err) != "card-taken" {
		t.Errorf("two cards, one account: %v", err)
	}
	g, err := b.byCard(own)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.LinkChallenge(t.Context(), g.Session); codeOf(err) != "card-needs-password" {
		t.Errorf("a link in a card's session: %v", err)
	}
	if err := b.UnlinkOwnCard(t.Context(), g.Session, "correct horse", operator); codeOf(err) != "card-needs-password" {
		t.Errorf("an unlink in a card's session: %v", err)
	}
	if err := b.UnlinkCard(t.Context(), ra.Actor{Kind: ra.ActorStaff, ID: "x", Institution: "9999999999"}, lin.ID); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("another institution's: %v", err)
	}
	if err := b.UnlinkCard(t.Context(), operator, lin.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Authenticate(t.Context(), g.Token, false); err == nil {
		t.Error("what the card had opened is still open")
	}
	if _, err := b.Authenticate(t.Context(), first.Token, false); err != nil {
		t.Errorf("what the password had opened: %v", err)
	}
	if _, err := b.byCard(own); codeOf(err) != "card-login-refused" {
		t.Errorf("an unlinked card: %v", err)
	}
	if err := b.UnlinkOwnCard(t.Context(), first.Session, "correct horse", operator); codeOf(err) != "card-none" {
		t.Errorf("%v", err)
	}
	b.link(first, own)
	b.reset(lin.ID, true, false)
	if _, ok, err := b.Card(t.Context(), lin.ID); ok || err != nil {
		t.Errorf("new credentials leave the card: %v", err)
	}
	if n := b.codes("staff.card-link"); n[""] != 2 || n["card-taken"] != 2 {
		t.Errorf("audit: %v", n)
	}
}

// Texts that are asked for and never signed are limited by address, and fill nothing.
func TestChallengesAreLimited(t *testing.T) { each(t, testChallengesAreLimited) }

func testChallengesAreLimited(t *testing.T, b *bench) {
	b.pack()
	browser, _ := b.NewBrowserToken()
	var err error
	for range limitPerAddress + 1 {
		_, err = b.LoginChallenge(t.Context(), browser, "192.0.2.9")
	}
	if codeOf(err) != "too-many-logins" {
		t.Fatal(err)
	}
	b.wait(2 * maxChallengeLife)
	for i := range 3 {
		if _, err := b.LoginChallenge(t.Context(), browser, fmt.Sprintf("192.0.2.%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	var n int64
	if b.db.Model(&challengeRow{}).Count(&n); n != 3 {
		t.Errorf("%d texts are kept", n)
	}
}

// A window without the component's configuration takes no cards.
func TestNoCards(t *testing.T) { each(t, testNoCards) }

func testNoCards(t *testing.T, b *bench) {
	b.Cards = nil
	if _, err := b.LoginChallenge(t.Context(), "x", "192.0.2.1"); codeOf(err) != "card-sign-in-off" {
		t.Error(err)
	}
	if _, err := b.CardLogin(t.Context(), CardAttempt{}); codeOf(err) != "card-sign-in-off" {
		t.Error(err)
	}
}
