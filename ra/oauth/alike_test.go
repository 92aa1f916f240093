package oauth_test

import (
	"testing"

	"gorm.io/gorm"

	"certwindow/ra/oauth"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-8.2.6: who is a stranger and measures the time of an answer learns of no account: of a name that nobody has as many
// statements are carried out, and as much is queued, as of a holder's.
func TestNobodyIsAskedByAsManyStatements(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		w.Store.CallPhones()
		statements := 0
		count := func(*gorm.DB) { statements++ }
		w.must(db.Gorm.Callback().Create().Before("*").Register("count:create", count))
		w.must(db.Gorm.Callback().Raw().Before("*").Register("count:raw", count))
		begin := func(account string) (n, jobs int) {
			a := w.asked(oauth.Service)
			a.Account = account
			statements = 0
			_, _, err := w.a.Begin(ctx, system, a)
			w.must(err)
			return statements, w.Jobs(t, "wake")
		}
		known, queued := begin("doctor")
		unknown, more := begin("nobody")
		if known != unknown || more != 2*queued {
			t.Errorf("of a holder %d statements and %d jobs, of nobody %d and %d", known, queued, unknown, more-queued)
		}
	})
}
