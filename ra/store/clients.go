package store

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"certwindow/ra"
	"certwindow/ra/apiclient"
)

// ClientStore gives package apiclient its transactions.
type ClientStore struct{ *Store }

var _ apiclient.Store = ClientStore{}

// Update implements apiclient.Store.
func (s ClientStore) Update(ctx context.Context, fn func(apiclient.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// View implements apiclient.Store.
func (s ClientStore) View(ctx context.Context, fn func(apiclient.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

// apiClient is a system on the register (HCA-5.1.2).
type apiClient struct {
	ID          string `gorm:"primaryKey"`
	Kind        apiclient.Kind
	Name        string
	Institution ra.InstitutionCode
	Scopes      []string `gorm:"serializer:json"`
	Redirects   []string `gorm:"serializer:json"`
	Thumbprint  string
	NotAfter    time.Time
	Active      bool
	CreatedAt   time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt   time.Time `gorm:"autoUpdateTime:false"`
}

func (apiClient) TableName() string { return "api_clients" }

// APIClient is one system.
func (tx *Tx) APIClient(id string) (apiclient.Client, error) {
	var row apiClient
	if err := mapError(tx.db.Where("id = ?", id).Take(&row).Error); err != nil {
		return apiclient.Client{}, err
	}
	return apiclient.Client(row), nil
}

// maxClients bounds one list of systems: an institution has a handful.
const maxClients = 1000

// APIClients are those of an institution, or of any when scope is empty, by id.
func (tx *Tx) APIClients(scope ra.InstitutionCode) ([]apiclient.Client, error) {
	q := tx.db
	if scope != "" {
		q = q.Where("institution = ?", scope)
	}
	return clientsOf(q)
}

func clientsOf(q *gorm.DB) ([]apiclient.Client, error) {
	var rows []apiClient
	if err := q.Order("id").Limit(maxClients).Find(&rows).Error; err != nil {
		return nil, err
	}
	out := make([]apiclient.Client, len(rows))
	for i, r := range rows {
		out[i] = apiclient.Client(r)
	}
	return out, nil
}

// APIClientsShowing are those registered with the certificate of this thumbprint, by id.
func (tx *Tx) APIClientsShowing(thumbprint string) ([]apiclient.Client, error) {
	return clientsOf(tx.db.Where("thumbprint = ?", thumbprint))
}

// SaveAPIClient writes a system over the one before. Tokens of its earlier certificate are good for nothing any more.
func (tx *Tx) SaveAPIClient(c apiclient.Client) error {
	row := apiClient(c)
	row.NotAfter, row.CreatedAt, row.UpdatedAt = c.NotAfter.UTC(), c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	if row.Scopes == nil {
		row.Scopes = []string{}
	}
	if row.Redirects == nil {
		row.Redirects = []string{}
	}
	if err := tx.endTokensOf(c.ID, c.UpdatedAt); err != nil {
		return err
	}
	return tx.db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error
}

// StopAPIClient stops an active system, and ends its tokens.
func (tx *Tx) StopAPIClient(id string, at time.Time) error {
	if err := guarded(tx.db.Model(&apiClient{}).Where("id = ? AND active = ?", id, true).
		UpdateColumns(map[string]any{"active": false, "updated_at": at.UTC()})); err != nil {
		return err
	}
	return tx.endTokensOf(id, at)
}

func (tx *Tx) endTokensOf(client string, at time.Time) error {
	return tx.db.Model(&oauthToken{}).Where("client = ? AND ended_at IS NULL", client).UpdateColumn("ended_at", at.UTC()).Error
}
