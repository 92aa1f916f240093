package remotesign_test

import (
	"context"
	"crypto"
	"errors"
	"testing"

	"certwindow/hsm"
	"certwindow/hsm/p11/p11test"
	"certwindow/ra"
	"certwindow/ra/remotesign"
)

// HCA-6.3.4: where a rollover is under way, a key moves to the newer master key when its holder uses it.
func TestRewrapAtUse(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	moved := &rollover{Keys: w.module, failing: hsm.ErrNotFound}
	w.token = moved
	w.serve(t, nil)
	if _, err := w.sign(t, nil); err != nil || moved.asked != 1 {
		t.Errorf("before the rollover object is there: %v", err)
	}
	if n := w.Count(t, "holder_keys WHERE generation = 1"); n != 1 {
		t.Error("the key was moved")
	}
	moved.failing = nil
	if _, err := w.sign(t, nil); err != nil {
		t.Fatal(err)
	}
	if n := w.Count(t, "holder_keys WHERE generation = 2"); n != 1 {
		t.Error("the key was not moved")
	}
	moved.failing = errors.New("CKR_DEVICE_ERROR")
	if err := w.DB.Gorm.Exec("UPDATE holder_keys SET generation = 1").Error; err != nil {
		t.Fatal(err)
	}
	if _, err := w.sign(t, nil); ra.KindOf(err) != ra.KindUnavailable {
		t.Errorf("a module that does not answer: %v", err)
	}
}

// rollover is a module with two master keys, whose second one is only told of: keys say the generation that they were
// moved to, and sign as before.
type rollover struct {
	remotesign.Keys
	failing error
	asked   int
}

func (r *rollover) MasterGenerations(context.Context) ([]int, error) { return []int{1, 2}, nil }

func (r *rollover) RewrapSealed(_ context.Context, k hsm.WrappedKey, _ hsm.Binding, _ hsm.Secret, to int) (hsm.WrappedKey, error) {
	r.asked++
	if r.failing != nil {
		return hsm.WrappedKey{}, r.failing
	}
	k.Generation = to
	return k, nil
}

func (r *rollover) SignSealed(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, s hsm.Secret, h crypto.Hash, d [][]byte) ([][]byte, error) {
	k.Generation = 1
	return r.Keys.SignSealed(ctx, k, b, s, h, d)
}
