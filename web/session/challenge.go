package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/consent"
)

// CardJudge tells whose card signed a text; consent.Verifier is one.
type CardJudge interface {
	Identify(ctx context.Context, want consent.Expected, a consent.Signature) (consent.Identity, error)
}

// Cards is what signing in by IC card needs.
type Cards struct {
	Judge  CardJudge
	Window ra.InstitutionCode
	Site   string // the origin of the pages, which the card's holder reads in the text
}

// maxChallengeLife is how long a text may be signed: time enough to find the card and type its PIN (HCA-8.1.4).
const maxChallengeLife = 3 * time.Minute

// What a challenge is good for.
const (
	forLogin = "login"
	forLink  = "link"
	forReset = "reset"
)

// Challenge is a text to be signed by a card.
type Challenge struct {
	Nonce     string
	Text      []byte // exactly what is shown and signed (HCA-8.1.3)
	ExpiresAt time.Time
}

type challengeRow struct {
	Hash       []byte     `gorm:"column:hash;primaryKey"`
	Purpose    string     `gorm:"column:purpose"`
	Bound      []byte     `gorm:"column:bound"`
	Text       []byte     `gorm:"column:text"`
	IssuedAt   time.Time  `gorm:"column:issued_at"`
	ExpiresAt  time.Time  `gorm:"column:expires_at"`
	RedeemedAt *time.Time `gorm:"column:redeemed_at"`
}

func (challengeRow) TableName() string { return "card_challenges" }

// NewBrowserToken makes the token of a browser in which nobody is signed in yet, for BrowserCookieName.
func (s *Service) NewBrowserToken() (Secret, error) {
	var b [32]byte
	if _, err := io.ReadFull(s.Rand, b[:]); err != nil {
		return "", internal("random", err)
	}
	return Secret(base64.RawURLEncoding.EncodeToString(b[:])), nil
}

// TakesCards tells whether staff may sign in by IC card.
func (s *Service) TakesCards() bool { return s.Cards != nil }

func errNoCards() error {
	return ra.Errorf(ra.KindNotFound, "card-sign-in-off", nil, "This window takes no cards to sign in.")
}

// LoginChallenge makes a text for signing in by card, good for this browser alone.
func (s *Service) LoginChallenge(ctx context.Context, browser Secret, address string) (Challenge, error) {
	return s.browserChallenge(ctx, forLogin, browser, address, func(nonce string, now, expires time.Time) ([]byte, error) {
		return cardmsg.Login{Nonce: nonce, Issued: now, Expires: expires, Window: s.Cards.Window, Site: s.Cards.Site}.Text()
	})
}

// ResetChallenge makes a text by which a holder's card sets the password of his account on phones, good for this
// browser alone (HCA-8.2.6(4)).
func (s *Service) ResetChallenge(ctx context.Context, browser Secret, address string) (Challenge, error) {
	return s.browserChallenge(ctx, forReset, browser, address, func(nonce string, now, expires time.Time) ([]byte, error) {
		return cardmsg.PasswordReset{Nonce: nonce, Issued: now, Expires: expires, Window: s.Cards.Window, Site: s.Cards.Site}.Text()
	})
}

// browserChallenge makes a text for a browser in which nobody is signed in.
func (s *Service) browserChallenge(ctx context.Context, purpose string, browser Secret, address string, write func(nonce string, now, expires time.Time) ([]byte, error)) (Challenge, error) {
	if s.Cards == nil {
		return Challenge{}, errNoCards()
	}
	now := s.moment()
	if err := s.limitOne(ctx, "challenge:"+prefixOf(address), limitPerAddress, now); err != nil {
		return Challenge{}, err
	}
	if len(browser) != tokenLength {
		return Challenge{}, ra.Errorf(ra.KindMalformed, "browser-unknown", nil, "The browser has no token of ours.")
	}
	return s.challenge(ctx, purpose, boundTo(browser), now, func(nonce string, expires time.Time) ([]byte, error) {
		return write(nonce, now, expires)
	})
}

// LinkChallenge makes a text that links a card to the account of this session, good for this session alone.
func (s *Service) LinkChallenge(ctx context.Context, x Session) (Challenge, error) {
	if s.Cards == nil {
		return Challenge{}, errNoCards()
	}
	if err := x.mayChangeCard(); err != nil {
		return Challenge{}, err
	}
	now := s.moment()
	if err := s.limitOne(ctx, "link:"+string(x.Staff.ID), limitPerAccount, now); err != nil {
		return Challenge{}, err
	}
	return s.challenge(ctx, forLink, x.hash, now, func(nonce string, expires time.Time) ([]byte, error) {
		return cardmsg.Link{Nonce: nonce, Issued: now, Expires: expires, Window: s.Cards.Window, Site: s.Cards.Site, Account: x.Staff.Account}.Text()
	})
}

func (s *Service) challenge(ctx context.Context, purpose string, bound []byte, now time.Time, write func(string, time.Time) ([]byte, error)) (Challenge, error) {
	nonce, err := ra.NewNonceValue(s.Rand)
	if err != nil {
		return Challenge{}, internal("random", err)
	}
	c := Challenge{Nonce: nonce, ExpiresAt: now.Add(maxChallengeLife)}
	if c.Text, err = write(nonce, c.ExpiresAt); err != nil {
		return Challenge{}, internal("text", err)
	}
	db := s.db.WithContext(ctx)
	// What nobody signed in time goes as new ones come, so that who asks and never signs fills nothing.
	if err := db.Exec("DELETE FROM card_challenges WHERE expires_at <= ?", now).Error; err != nil {
		return Challenge{}, internal("write", err)
	}
	r := challengeRow{Hash: ra.NonceHash(nonce), Purpose: purpose, Bound: bound, Text: c.Text, IssuedAt: now, ExpiresAt: c.ExpiresAt}
	if err := db.Create(&r).Error; err != nil {
		return Challenge{}, internal("write", err)
	}
	return c, nil
}

// boundTo is what a challenge keeps of a browser's token.
func boundTo(token Secret) []byte {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return sum[:]
}

// identify uses a challenge up and tells whose card signed it. It is used up by whatever answer comes, in one guarded
// update, so that of two answers at however many replicas only one is judged (HCA-8.1.4).
func (s *Service) identify(ctx context.Context, purpose string, bound []byte, nonce string, a consent.Signature, now time.Time) (consent.Identity, error) {
	spent := ra.Refuse("HCA-8.1.4", "challenge-spent", "The text was used before, is too old, or was made for another browser. Nothing was changed; sign a new one.", nil)
	if !cardmsg.ValidNonce(nonce) {
		return consent.Identity{}, spent
	}
	db, hash := s.db.WithContext(ctx), ra.NonceHash(nonce)
	res := db.Exec("UPDATE card_challenges SET redeemed_at = ? WHERE hash = ? AND purpose = ? AND bound = ? AND redeemed_at IS NULL AND expires_at > ?",
		now, hash, purpose, bound, now)
	if res.Error != nil {
		return consent.Identity{}, internal("write", res.Error)
	}
	if res.RowsAffected != 1 {
		return consent.Identity{}, spent
	}
	var r challengeRow
	if err := db.Where("hash = ?", hash).Take(&r).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		return consent.Identity{}, spent
	} else if err != nil {
		return consent.Identity{}, internal("read", err)
	}
	return s.Cards.Judge.Identify(ctx, consent.Expected{Text: r.Text, Nonce: nonce, Issued: r.IssuedAt, Expires: r.ExpiresAt, Clause: clauseLogin}, a)
}
