package checker_test

import (
	"testing"

	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-7.5, HCA-8.1.6: of a window that did nothing wrong the checker finds nothing, on both databases.
func TestNothingIsFound(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db, sim)
		for _, f := range h.check(t) {
			t.Errorf("%+v", f)
		}
	})
}
