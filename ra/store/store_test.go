package store_test

import (
	"testing"

	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// HCA-7.5, HCA-8.1.4, HCA-8.1.6: what the rules rest on holds on each database.
func TestSQLite(t *testing.T) { storetest.Run(t, storetest.SQLite) }

func TestPostgreSQL(t *testing.T) { storetest.Run(t, storetest.Postgres) }

// Each column is one that the store knows, on both databases.
func TestModels(t *testing.T) {
	register := []string{"institutions", "persons", "memberships", "devices", "device_users", "device_bindings", "scopes", "scope_institutions",
		"app_versions", "device_continuity", "device_checkins", "safety_notices", "notice_acknowledgements", "unmaskings", "unmaskers", "unmasked_lists",
		"person_cards", "card_readings", "holder_accounts", "holder_codes", "holder_biometrics", "holder_logins", "device_pushes"}
	web := []string{"staff", "staff_handovers", "sessions", "login_attempts", "idempotency_keys", "staff_cards", "card_challenges", "ended_sessions", "drafts", "refused_looks"}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		storetest.Models(t, db, append(register, web...), store.Models()...)
	})
}
