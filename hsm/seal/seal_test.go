package seal_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"certwindow/hsm/seal"
)

func sealer(t testing.TB, fill byte) *seal.Sealer {
	t.Helper()
	s, err := seal.New(bytes.Repeat([]byte{fill}, 32), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSeal(t *testing.T) {
	s := sealer(t, 1)
	sealed, err := s.Seal("person.national_id", []byte("A123456789"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("A1234")) || len(sealed) != 10+seal.Overhead {
		t.Error("not sealed")
	}
	if again, _ := s.Seal("person.national_id", []byte("A123456789")); bytes.Equal(again, sealed) {
		t.Error("the same value is sealed the same way twice")
	}
	if p, err := s.Open("person.national_id", sealed); err != nil || string(p) != "A123456789" {
		t.Fatalf("%q %v", p, err)
	}
	if _, err := s.Open("person.name", sealed); !errors.Is(err, seal.ErrSealed) {
		t.Errorf("opened as another column: %v", err)
	}
	if _, err := sealer(t, 2).Open("person.national_id", sealed); !errors.Is(err, seal.ErrSealed) {
		t.Errorf("opened under another secret: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := s.Open("person.national_id", bad); !errors.Is(err, seal.ErrSealed) {
			t.Fatalf("opened with byte %d changed", i)
		}
		if _, err := s.Open("person.national_id", sealed[:i]); !errors.Is(err, seal.ErrSealed) {
			t.Fatalf("opened when cut to %d bytes", i)
		}
	}
}

func TestHash(t *testing.T) {
	s := sealer(t, 1)
	h := s.Hash("ab", "c")
	if !bytes.Equal(h, s.Hash("ab", "c")) {
		t.Error("a hash for search must be the same every time")
	}
	for _, other := range [][]byte{s.Hash("a", "bc"), s.Hash("ab", "d"), sealer(t, 2).Hash("ab", "c")} {
		if bytes.Equal(h, other) {
			t.Error("two different things have one hash")
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func TestRefusals(t *testing.T) {
	if _, err := seal.New(make([]byte, 31), rand.Reader); err == nil {
		t.Error("a short secret was taken")
	}
	if _, err := seal.New(make([]byte, 32), nil); err == nil {
		t.Error("no random source was taken")
	}
	s, err := seal.New(make([]byte, 32), broken{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Seal("c", nil); err == nil {
		t.Error("sealed without randomness")
	}
}

// zeros makes the same sealed value in every process that fuzzes.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func FuzzOpen(f *testing.F) {
	s, err := seal.New(bytes.Repeat([]byte{1}, 32), zeros{})
	if err != nil {
		f.Fatal(err)
	}
	good, err := s.Seal("c", []byte("value"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := s.Open("c", b); err == nil && (!bytes.Equal(b, good) || string(p) != "value") {
			t.Fatal("a forgery opened")
		}
	})
}
