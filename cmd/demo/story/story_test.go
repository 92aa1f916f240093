package story

import (
	"testing"

	"certwindow/cmd/demo/stage"
)

// The whole story, from the first set-up to the evidence of an enrolment years later, holds on each database; on
// PostgreSQL also with two servers that share database and token, each request going to the next of them
// (HCA-3.3, HCA-3.6, HCA-5.1.1, HCA-6.3.5, HCA-6.3.7, HCA-7.2, HCA-7.3, HCA-7.5, HCA-8.1.4). Neither logs nor database show
// whom it was about, nor a password, code, token or key of anybody's (HCA-8.1.5, HCA-8.2.6, HCA-8.2.7).
func TestStory(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		w := &watcher{}
		st, s := told(t, stage.Options{TimeStamps: true, Pushes: true, Watch: w.see})
		systems(t, onSQLite(st))
		tellAccounts(t, st, s, w, onSQLite(st))
		hidePhoneSecrets(t, s)
		t.Run("LogsHoldNoPersonalData", func(t *testing.T) { logsHoldNoPersonalData(t, st, s, w, 1) })
		t.Run("PagesHoldNoSecret", func(t *testing.T) { pagesHoldNoSecret(t, s, w) })
		t.Run("DatabaseHoldsNoPersonalData", func(t *testing.T) { databaseHoldsNoPersonalData(t, onSQLite(st), s, w) })
		t.Run("FileHoldsNoPersonalData", func(t *testing.T) { fileHoldsNoPersonalData(t, st, s, w) })
		t.Run("ReplayAtTransport", func(t *testing.T) { replayAtTransport(t, st, s, w) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		address, configured := onPostgres(t)
		told(t, stage.Options{TimeStamps: true, Pushes: true, Database: configured})
		systems(t, address)
	})
	t.Run("PostgreSQL with two servers", func(t *testing.T) {
		t.Parallel()
		address, configured := onPostgres(t)
		w := &watcher{}
		st, s := told(t, stage.Options{TimeStamps: true, Pushes: true, Database: configured, Replicas: 2, Watch: w.see})
		systems(t, address)
		tellAccounts(t, st, s, w, address)
		hidePhoneSecrets(t, s)
		t.Run("LogsHoldNoPersonalData", func(t *testing.T) { logsHoldNoPersonalData(t, st, s, w, 2) })
		t.Run("PagesHoldNoSecret", func(t *testing.T) { pagesHoldNoSecret(t, s, w) })
		t.Run("DatabaseHoldsNoPersonalData", func(t *testing.T) { databaseHoldsNoPersonalData(t, address, s, w) })
		t.Run("DumpHoldsNoPersonalData", func(t *testing.T) { dumpHoldsNoPersonalData(t, address, s, w) })
		replicas(t, st, s, w, address)
	})
}

func told(t *testing.T, opt stage.Options) (*stage.Stage, *Story) {
	t.Helper()
	st := newStage(t, opt)
	s := New(st, t.Output())
	if err := s.Tell(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.TellSystems(t.Context()); err != nil {
		t.Fatal(err)
	}
	return st, s
}
