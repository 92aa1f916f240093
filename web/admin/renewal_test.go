package admin

import (
	"certwindow/ra/renew"
	"certwindow/ra/store"
)

func (h *house) renewals() Renewals { return renew.New(store.RenewStore{Store: h.store}, h.now) }
