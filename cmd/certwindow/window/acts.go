package window

import "certwindow/ra/approve"

// acts are the acts of the other rooms of the house that two persons decide (HCA-8.1.6), a line for each: what is
// judged when it is proposed and again when it is approved, and what the approval carries out.
func (w *Window) acts() map[approve.Act]approve.Executor {
	return map[approve.Act]approve.Executor{}
}
