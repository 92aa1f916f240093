package store

import (
	"cmp"
	"context"
	"time"

	"certwindow/ra"
	"certwindow/ra/jobs"
	"certwindow/ra/news"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
)

// OAuthStore gives package oauth its transactions.
type OAuthStore struct{ *Store }

var _ oauth.Store = OAuthStore{}

// Update implements oauth.Store.
func (s OAuthStore) Update(ctx context.Context, fn func(oauth.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// View implements oauth.Store.
func (s OAuthStore) View(ctx context.Context, fn func(oauth.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

// oauthToken is an authorization code or an access token, by its hash.
type oauthToken struct {
	Hash            []byte `gorm:"primaryKey"`
	Kind            oauth.Kind
	GrantID         string
	Client          string
	Scope           string
	PersonID        ra.PersonID
	AuthorisationID remotesign.AuthorisationID
	Redirect        string
	Challenge       string
	Rich            bool
	Thumbprint      string
	CreatedAt       time.Time `gorm:"autoCreateTime:false"`
	ExpiresAt       time.Time
	EndedAt         *time.Time
}

func (oauthToken) TableName() string { return "oauth_tokens" }

// InsertToken stores a code or a token.
func (tx *Tx) InsertToken(t oauth.Token) error {
	row := oauthToken{Hash: t.Hash, Kind: t.Kind, GrantID: t.Grant, Client: t.Client, Scope: t.Scope, PersonID: t.Person, AuthorisationID: t.Authorisation,
		Redirect: t.Redirect, Challenge: t.Challenge, Rich: t.Rich, Thumbprint: t.Thumbprint, CreatedAt: t.CreatedAt.UTC(), ExpiresAt: t.ExpiresAt.UTC(), EndedAt: utc(t.EndedAt)}
	return tx.db.Create(&row).Error
}

// Token is a code or token that was stored under this hash.
func (tx *Tx) Token(hash []byte) (oauth.Token, error) {
	var r oauthToken
	if err := mapError(tx.db.Where("hash = ?", hash).Take(&r).Error); err != nil {
		return oauth.Token{}, err
	}
	return oauth.Token{Hash: r.Hash, Kind: r.Kind, Grant: r.GrantID, Client: r.Client, Scope: r.Scope, Person: r.PersonID, Authorisation: r.AuthorisationID,
		Redirect: r.Redirect, Challenge: r.Challenge, Rich: r.Rich, Thumbprint: r.Thumbprint, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, EndedAt: r.EndedAt}, nil
}

// EndToken ends a code or token, and says whether it was not ended before.
func (tx *Tx) EndToken(hash []byte, at time.Time) (bool, error) {
	res := tx.db.Model(&oauthToken{}).Where("hash = ? AND ended_at IS NULL", hash).UpdateColumn("ended_at", at.UTC())
	return res.RowsAffected == 1, res.Error
}

// EndGrant ends everything that came of a code. The code is marked, so that nothing more comes of it.
func (tx *Tx) EndGrant(grant string, at time.Time) error {
	if err := tx.db.Model(&oauthToken{}).Where("grant_id = ? AND kind = ?", grant, oauth.Code).
		UpdateColumns(map[string]any{"kind": oauth.Burnt, "ended_at": at.UTC()}).Error; err != nil {
		return err
	}
	return tx.db.Model(&oauthToken{}).Where("grant_id = ? AND ended_at IS NULL", grant).UpdateColumn("ended_at", at.UTC()).Error
}

// HoldGrant keeps a code's row until the transaction ends, and fails with a conflict where the grant was ended.
func (tx *Tx) HoldGrant(grant string) error {
	return guarded(tx.db.Model(&oauthToken{}).Where("grant_id = ? AND kind = ?", grant, oauth.Code).UpdateColumn("kind", oauth.Code))
}

// accessRequest is what a holder is asked on a page and answers on the phone.
type accessRequest struct {
	ID              string `gorm:"primaryKey"`
	BrowserHash     []byte
	Client          string
	Redirect        string
	Scope           string
	State           string
	Challenge       string
	Rich            bool
	PersonID        ra.PersonID
	AuthorisationID remotesign.AuthorisationID
	ShortCode       string
	Standing        oauth.Standing
	CreatedAt       time.Time `gorm:"autoCreateTime:false"`
	ExpiresAt       time.Time
}

func (r accessRequest) request() oauth.Request {
	return oauth.Request{ID: r.ID, BrowserHash: r.BrowserHash, Client: r.Client, Redirect: r.Redirect, Scope: r.Scope, State: r.State, Challenge: r.Challenge, Rich: r.Rich,
		Person: r.PersonID, Authorisation: r.AuthorisationID, ShortCode: r.ShortCode, Standing: r.Standing, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt}
}

// nobody stands for whoever has a name that nobody has: no phone waits for his news.
const nobody ra.PersonID = "nobody"

// InsertAccessRequest stores a request for access. As much is written of nobody as of a holder, so that the time which the
// answer takes does not tell who has an account.
func (tx *Tx) InsertAccessRequest(r oauth.Request) error {
	if r.Authorisation == "" {
		person := cmp.Or(r.Person, nobody)
		tx.stir(news.OfPerson(person))
		tx.call(jobs.Wake{Person: person})
	}
	return tx.db.Create(&accessRequest{ID: r.ID, BrowserHash: r.BrowserHash, Client: r.Client, Redirect: r.Redirect, Scope: r.Scope, State: r.State,
		Challenge: r.Challenge, Rich: r.Rich, PersonID: r.Person, AuthorisationID: r.Authorisation, ShortCode: r.ShortCode, Standing: r.Standing,
		CreatedAt: r.CreatedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC()}).Error
}

// AccessRequest is one of them.
func (tx *Tx) AccessRequest(id string) (oauth.Request, error) {
	var row accessRequest
	if err := mapError(tx.db.Where("id = ?", id).Take(&row).Error); err != nil {
		return oauth.Request{}, err
	}
	return row.request(), nil
}

// AccessRequestsOf are those that wait for a person, oldest first.
func (tx *Tx) AccessRequestsOf(person ra.PersonID, at time.Time, limit int) (out []oauth.Request, err error) {
	var rows []accessRequest
	err = tx.db.Where("person_id = ? AND standing = ? AND authorisation_id = ? AND expires_at > ?", person, oauth.Pending, "", at.UTC()).
		Order("id").Limit(limit).Find(&rows).Error
	for _, r := range rows {
		out = append(out, r.request())
	}
	return out, err
}

// MoveAccessRequest moves a request on from where it stands, and fails with a conflict when it stands elsewhere.
func (tx *Tx) MoveAccessRequest(id string, from, to oauth.Standing) error {
	err := guarded(tx.db.Model(&accessRequest{}).Where("id = ? AND standing = ?", id, from).UpdateColumn("standing", to))
	if err != nil || from != oauth.Pending {
		return err
	}
	var person []ra.PersonID
	err = tx.db.Model(&accessRequest{}).Where("id = ? AND person_id <> ''", id).Pluck("person_id", &person).Error
	for _, p := range person {
		tx.stir(news.OfPerson(p))
	}
	return err
}

// ForgetGrants deletes codes, tokens and requests whose time was over before.
func (tx *Tx) ForgetGrants(before time.Time) error {
	if err := tx.db.Where("expires_at < ?", before.UTC()).Delete(&oauthToken{}).Error; err != nil {
		return err
	}
	return tx.db.Where("expires_at < ?", before.UTC()).Delete(&accessRequest{}).Error
}
