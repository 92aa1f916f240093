package window

import (
	"maps"

	"certwindow/ra/approve"
)

// acts are the acts of the other rooms of the house that two persons decide (HCA-8.1.6), a line for each room: what
// is judged when it is proposed and again when it is approved, and what the approval carries out.
func (w *Window) acts() map[approve.Act]approve.Executor {
	all := map[approve.Act]approve.Executor{}
	for _, room := range []map[approve.Act]approve.Executor{
		w.Accounts.Acts(),
	} {
		maps.Copy(all, room)
	}
	return all
}
