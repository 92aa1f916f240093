package session

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"

	"certwindow/ra"
)

// PasswordCost is Argon2id's cost (RFC 9106). Stored hashes carry their own, so that it can be raised later.
type PasswordCost struct {
	Time    uint32 // passes
	Memory  uint32 // KiB
	Threads uint8
}

// DefaultCost takes 19 MiB a login, which package session bounds to a few at a time.
var DefaultCost = PasswordCost{Time: 2, Memory: 19 * 1024, Threads: 1}

// Bounds of what a stored hash may ask for, and of what may wait for its turn.
const (
	maxCostTime   = 16
	maxCostMemory = 256 * 1024 // KiB
	maxPassword   = 1024       // bytes; longer ones are never right
	maxWaiting    = 256        // logins in the queue; more are turned away
	saltBytes     = 16
	hashBytes     = 32
)

// pepperLabel keeps passwords apart from everything else that the HSM's key is asked about.
const pepperLabel = "certwindow staff password v1\x00"

// hasher hashes passwords: Argon2id over an HMAC that only the HSM can make, so that the database alone is
// worth nothing to a guesser (HCA-8.2.6(6)). Few run at a time, so that a flood cannot fill the memory.
type hasher struct {
	cost   PasswordCost
	pepper func(context.Context, []byte) ([]byte, error)
	rand   io.Reader
	slots  chan struct{}
	queue  chan struct{}
	decoy  string // compared with where there is no account, so that it takes as long
}

func newHasher(cost PasswordCost, pepper func(context.Context, []byte) ([]byte, error), rand io.Reader) (*hasher, error) {
	if cost.Time < 1 || cost.Time > maxCostTime || cost.Memory < 8 || cost.Memory > maxCostMemory || cost.Threads < 1 {
		return nil, errors.New("session: password cost out of bounds")
	}
	h := &hasher{cost: cost, pepper: pepper, rand: rand,
		slots: make(chan struct{}, max(2, runtime.GOMAXPROCS(0))), queue: make(chan struct{}, maxWaiting)}
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(rand, salt); err != nil {
		return nil, fmt.Errorf("session: random source: %w", err)
	}
	h.decoy = encode(cost, salt, make([]byte, hashBytes))
	return h, nil
}

// hash makes what is stored of a password.
func (h *hasher) hash(ctx context.Context, password Secret) (string, error) {
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(h.rand, salt); err != nil {
		return "", internal("random", err)
	}
	key, err := h.derive(ctx, password, salt, h.cost, hashBytes)
	if err != nil {
		return "", err
	}
	return encode(h.cost, salt, key), nil
}

// matches compares a password with what is stored. It takes as long when the answer is no.
func (h *hasher) matches(ctx context.Context, password Secret, stored string) (bool, error) {
	cost, salt, want, err := decode(stored)
	if err != nil {
		return false, internal("password", err)
	}
	got, err := h.derive(ctx, password, salt, cost, uint32(len(want)))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && len(password) <= maxPassword, nil
}

func (h *hasher) derive(ctx context.Context, password Secret, salt []byte, cost PasswordCost, size uint32) ([]byte, error) {
	select {
	case h.queue <- struct{}{}:
		defer func() { <-h.queue }()
	default:
		return nil, ra.Errorf(ra.KindTooMany, "logins-busy", nil, "Too many people are signing in at once. Try again in a minute.")
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, ra.Errorf(ra.KindUnavailable, "logins-busy", ctx.Err(), "Signing in took too long.")
	}
	text := password.Reveal()
	if len(text) > maxPassword {
		text = text[:maxPassword]
	}
	mac, err := h.pepper(ctx, []byte(pepperLabel+text))
	if err != nil {
		return nil, ra.Errorf(ra.KindUnavailable, "hsm", err, "The hardware security module does not answer, so nobody can sign in.")
	}
	return argon2.IDKey(mac, salt, cost.Time, cost.Memory, cost.Threads, size), nil
}

// encode writes a hash in the usual PHC form: $argon2id$v=19$m=…,t=…,p=…$salt$hash.
func encode(c PasswordCost, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Time, c.Threads,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

func decode(stored string) (c PasswordCost, salt, key []byte, err error) {
	bad := errors.New("session: stored password hash cannot be read")
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, bad
	}
	if n, serr := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Time, &c.Threads); serr != nil || n != 3 {
		return c, nil, nil, bad
	}
	if c.Time < 1 || c.Time > maxCostTime || c.Memory < 8 || c.Memory > maxCostMemory || c.Threads < 1 {
		return c, nil, nil, bad
	}
	if salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(salt) < 8 {
		return c, nil, nil, bad
	}
	if key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(key) < 16 || len(key) > 64 {
		return c, nil, nil, bad
	}
	return c, salt, key, nil
}
