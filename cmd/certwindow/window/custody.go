package window

import (
	"context"
	"slices"

	"certwindow/ra/custody"
	"certwindow/web/admin"
)

// Generation is one generation of the master key, as the token and the database know it.
type Generation struct {
	Number   int  `json:"number"`
	Held     bool `json:"held"`     // the token holds it
	Rollover bool `json:"rollover"` // its keys can move to the newest
	Keys     int  `json:"keys"`     // holders' keys that are wrapped under it
}

// Generations are all of them, oldest first. One that keys are under and that no token holds is among them too.
func (w *Window) Generations(ctx context.Context) ([]Generation, error) {
	_, keys, err := w.Custody.Ceremonies(ctx)
	if err != nil {
		return nil, err
	}
	held, err := w.Token.MasterGenerations(ctx)
	if err != nil {
		return nil, err
	}
	rollover, err := w.Token.RolloverGenerations(ctx)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(held)
	for g := range keys {
		all = append(all, g)
	}
	slices.Sort(all)
	var out []Generation
	for _, g := range slices.Compact(all) {
		out = append(out, Generation{Number: g, Held: slices.Contains(held, g), Rollover: slices.Contains(rollover, g), Keys: keys[g]})
	}
	return out, nil
}

// vault is what the page of ceremonies shows (HCA-6.3.3).
type vault struct{ w *Window }

// Place is the token that holds the master key.
func (v vault) Place() admin.KeyPlace {
	i := v.w.Token.Info()
	return admin.KeyPlace{Label: i.Label, Module: i.Manufacturer + " " + i.Model, Serial: i.Serial, Software: i.Software}
}

// Generations are those of the master key.
func (v vault) Generations(ctx context.Context) (out []admin.MasterKey, err error) {
	all, err := v.w.Generations(ctx)
	for _, g := range all {
		out = append(out, admin.MasterKey{Generation: g.Number, Held: g.Held, Rollover: g.Rollover, Keys: g.Keys})
	}
	return out, err
}

// Ceremonies are those that two persons approved, with the records that they left.
func (v vault) Ceremonies(ctx context.Context) ([]custody.Ceremony, error) {
	list, _, err := v.w.Custody.Ceremonies(ctx)
	return list, err
}
