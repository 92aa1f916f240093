package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"certwindow/ra"
	"certwindow/ra/store"
)

// Run puts a store through everything that the use cases rely on, on a fresh database for each part. open gives one
// that is migrated and empty.
func Run(t *testing.T, open func(t testing.TB) *store.DB) {
	for _, part := range []struct {
		name string
		test func(*testing.T, *World)
	}{
		{"Applications", testApplications},
		{"ApplicationsOfAnotherInstitution", testApplicationScope},
		{"Overdue", testOverdue},
		{"Certificates", testCertificates},
		{"HolderKeys", testHolderKeys},
		{"Requests", testRequests},
		{"GuardedUpdates", testGuarded},
		{"Slots", testSlots},
		{"SlotsOfExpired", testExpiredSlots},
		{"HolderLock", testHolderLock},
		{"NonceOnce", testNonceOnce},
		{"NonceBound", testNonceBound},
		{"Notices", testNotices},
		{"Leases", testLeases},
		{"SweepRuns", testSweepRuns},
		{"Overview", testOverview},
		{"Settings", testSettings},
		{"CRLs", testCRLs},
		{"CRLRace", testCRLRace},
		{"AuditChain", testAuditChain},
		{"AuditTampering", testAuditTampering},
		{"AuditOfRefusals", testAuditRefusals},
		{"AuditQueries", testAuditQueries},
		{"AuditCheckpoints", testCheckpoints},
		{"AuditOfHostileTexts", testAuditHostile},
		{"Sealed", testSealed},
		{"MovedCells", testMovedCells},
		{"Rollback", testRollback},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, NewWorld(t, open(t))) })
	}
}

// race runs f many times at once and tells how often it succeeded. A failure that want does not allow fails the test.
func race(t testing.TB, n int, want func(error) bool, f func(i int) error) int {
	t.Helper()
	var won atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			<-start
			switch err := f(i); {
			case err == nil:
				won.Add(1)
			case !want(err):
				t.Errorf("try %d: %v", i, err)
			}
		}()
	}
	close(start)
	wg.Wait()
	return int(won.Load())
}

func conflict(err error) bool { return ra.KindOf(err) == ra.KindConflict }

// refusedUnder tells whether a rule refused, and that it was this one.
func refusedUnder(clause string) func(error) bool {
	return func(err error) bool {
		e := ra.AsError(err)
		return e.Kind == ra.KindRefused && string(e.Clause) == clause
	}
}

// update runs a transaction and gives its error.
func (w *World) update(fn func(*store.Tx) error) error {
	return w.Store.Update(context.Background(), fn)
}
