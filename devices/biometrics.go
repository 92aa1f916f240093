package devices

import (
	"context"
	"slices"
	"strings"

	"certwindow/policy"
	"certwindow/ra"
)

// BiometricsTx is what a transaction on the register writes of what an institution accepts.
type BiometricsTx interface {
	// SetBiometrics writes the kinds that an institution accepts, and nothing else of it.
	SetBiometrics(code ra.InstitutionCode, kinds []string) error
}

// SetBiometrics says which kinds of biometric proof an institution accepts by its risk (HCA-8.2.8(2)), each of
// policy.Biometrics; none is none. It holds from the next proof on, of keys that were added before as well.
func (s *Service) SetBiometrics(ctx context.Context, actor ra.Actor, code ra.InstitutionCode, kinds []string) error {
	kinds = slices.DeleteFunc(slices.Clone(policy.Biometrics), func(k string) bool { return !slices.Contains(kinds, k) })
	e := ra.Event{Actor: actor, Act: "institution.biometrics", Object: "institution/" + string(code), Institution: code, Clause: "HCA-8.2.8",
		Details: map[string]string{"kinds": strings.Join(kinds, ", ")}}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, _ *ra.Event) error {
		if actor.Institution != "" {
			return forbidden()
		}
		if _, err := tx.Institution(code); err != nil {
			return err
		}
		return tx.SetBiometrics(code, kinds)
	})
}
