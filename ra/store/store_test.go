package store_test

import (
	"testing"

	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// HCA-7.5, HCA-8.1.4, HCA-8.1.6: what the rules rest on holds on each database.
func TestSQLite(t *testing.T) { storetest.Run(t, storetest.SQLite) }

func TestPostgreSQL(t *testing.T) { storetest.Run(t, storetest.Postgres) }
