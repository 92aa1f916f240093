package factor

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var cheap = PasswordCost{Time: 1, Memory: 64, Threads: 1}

func pepperOf(key string) Pepper {
	return func(_ context.Context, data []byte) ([]byte, error) {
		m := hmac.New(sha256.New, []byte(key))
		m.Write(data)
		return m.Sum(nil), nil
	}
}

func hasherOf(t *testing.T, label, pepper string) *Hasher {
	t.Helper()
	h, err := NewHasher(label, cheap, pepperOf(pepper), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// HCA-8.2.6(6): what is stored is a salted one-way hash that needs the pepper, and of one kind of accounts only.
func TestStoredPassword(t *testing.T) {
	h := hasherOf(t, "staff", "p")
	stored, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.Hash(t.Context(), "correct horse")
	if err != nil || stored == again || strings.Contains(stored, "horse") || !strings.HasPrefix(stored, "$argon2id$") {
		t.Errorf("%v %s %s", err, stored, again)
	}
	for name, c := range map[string]struct {
		h        *Hasher
		password Secret
		want     bool
	}{
		"right": {h, "correct horse", true}, "wrong": {h, "correct horsf", false}, "empty": {h, "", false},
		"another pepper": {hasherOf(t, "staff", "q"), "correct horse", false}, "another kind": {hasherOf(t, "holder", "p"), "correct horse", false},
		"too long": {h, Secret(strings.Repeat("x", MaxPassword+1)), false},
	} {
		if ok, err := c.h.Matches(t.Context(), c.password, stored); err != nil || ok != c.want {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
	if ok, err := h.Matches(t.Context(), "", h.Decoy()); err != nil || ok {
		t.Errorf("the decoy opens: %v %v", ok, err)
	}
	for _, bad := range []string{"", "x", strings.Replace(stored, "argon2id", "argon2i", 1), strings.Replace(stored, "m=64", "m=99999999", 1), stored[:len(stored)-30]} {
		if ok, err := h.Matches(t.Context(), "correct horse", bad); ok || err == nil {
			t.Errorf("%q is taken as a hash", bad)
		}
	}
}

// A flood of logins is worked on a few at a time, and what is too much is turned away.
func TestFloodOfLoginsIsBounded(t *testing.T) {
	var now, most, turned atomic.Int32
	slow := func(ctx context.Context, data []byte) ([]byte, error) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		defer now.Add(-1)
		return pepperOf("p")(ctx, data)
	}
	h, err := NewHasher("staff", cheap, slow, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 10_000 {
		wg.Go(func() {
			if _, err := h.Matches(t.Context(), "x", h.Decoy()); err != nil {
				turned.Add(1)
			}
		})
	}
	wg.Wait()
	if int(most.Load()) > h.Slots() {
		t.Errorf("%d at once", most.Load())
	}
	t.Logf("%d at once, %d turned away", most.Load(), turned.Load())
}
