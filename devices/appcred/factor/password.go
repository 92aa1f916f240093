package factor

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

	"certwindow/policy"
	"certwindow/ra"
)

// PasswordCost is Argon2id's cost (RFC 9106). Stored hashes carry their own, so that it can be raised later.
type PasswordCost struct {
	Time    uint32 // passes
	Memory  uint32 // KiB
	Threads uint8
}

// DefaultCost takes 19 MiB a password, of which a Hasher works on a few at a time.
var DefaultCost = PasswordCost{Time: 2, Memory: 19 * 1024, Threads: 1}

// MaxPassword is how long a password can be, in bytes. A longer one is never right.
const MaxPassword = 1024

// Bounds of what a stored hash may ask for, and of what may wait for its turn.
const (
	maxCostTime   = 16
	maxCostMemory = 256 * 1024 // KiB
	maxWaiting    = 256        // logins in the queue; more are turned away
	saltBytes     = 16
	hashBytes     = 32
)

// Hasher hashes passwords: Argon2id over an HMAC that only the HSM can make, so that the database alone is
// worth nothing to a guesser (HCA-8.2.6(6)). Few run at a time, so that a flood cannot fill the memory.
type Hasher struct {
	cost   PasswordCost
	label  string
	pepper Pepper
	rand   io.Reader
	slots  chan struct{}
	queue  chan struct{}
	decoy  string
}

// Pepper is an HMAC whose key never leaves the HSM.
type Pepper func(ctx context.Context, data []byte) ([]byte, error)

// NewHasher makes a hasher of one kind of accounts, whose label keeps its passwords apart from everything else that
// the HSM's key is asked about. A cost of zero is DefaultCost.
func NewHasher(label string, cost PasswordCost, pepper Pepper, rand io.Reader) (*Hasher, error) {
	if cost == (PasswordCost{}) {
		cost = DefaultCost
	}
	if label == "" || pepper == nil || rand == nil {
		return nil, errors.New("factor: a dependency is missing")
	}
	if cost.Time < 1 || cost.Time > maxCostTime || cost.Memory < 8 || cost.Memory > maxCostMemory || cost.Threads < 1 {
		return nil, errors.New("factor: password cost out of bounds")
	}
	h := &Hasher{cost: cost, label: label + "\x00", pepper: pepper, rand: rand,
		slots: make(chan struct{}, max(2, runtime.GOMAXPROCS(0))), queue: make(chan struct{}, maxWaiting)}
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(rand, salt); err != nil {
		return nil, fmt.Errorf("factor: random source: %w", err)
	}
	h.decoy = encode(cost, salt, make([]byte, hashBytes))
	return h, nil
}

// Decoy is the hash of no password: what a guess is compared with where there is no account, so that it takes as long.
func (h *Hasher) Decoy() string { return h.decoy }

// Slots is how many passwords are worked on at the same time.
func (h *Hasher) Slots() int { return cap(h.slots) }

// Hash makes what is stored of a password.
func (h *Hasher) Hash(ctx context.Context, password Secret) (string, error) {
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(h.rand, salt); err != nil {
		return "", randomless(err)
	}
	key, err := h.derive(ctx, password, salt, h.cost, hashBytes)
	if err != nil {
		return "", err
	}
	return encode(h.cost, salt, key), nil
}

// Matches compares a password with what is stored. It takes as long when the answer is no.
func (h *Hasher) Matches(ctx context.Context, password Secret, stored string) (bool, error) {
	cost, salt, want, err := decode(stored)
	if err != nil {
		return false, ra.Errorf(ra.KindInternal, "password-stored", err, "What is stored of the password cannot be read. Nothing was changed.")
	}
	got, err := h.derive(ctx, password, salt, cost, uint32(len(want)))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && len(password) <= MaxPassword, nil
}

func (h *Hasher) derive(ctx context.Context, password Secret, salt []byte, cost PasswordCost, size uint32) ([]byte, error) {
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
	if len(text) > MaxPassword {
		text = text[:MaxPassword]
	}
	mac, err := h.pepper(ctx, []byte(h.label+text))
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
	bad := errors.New("factor: stored password hash cannot be read")
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

// Acceptable refuses a password that may not be set for an account: by the rules of HCA-8.2.6, and when it is one that
// guessers try first, which is our own tightening of them (HCA-9).
func Acceptable(account string, password Secret) error {
	if err := ra.Refused(policy.Password(account, password.Reveal())); err != nil {
		return err
	}
	return ra.Refused(policy.PasswordGuess(Common(password, account)))
}
