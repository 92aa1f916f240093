package bench

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"certwindow/hsm"
	"certwindow/hsm/p11"
)

const tokenLabel = "certwindow-bench"

// token measures holders' keys in a throw-away token of SoftHSM: a signature, for which the key is unwrapped and
// destroyed again, beside one by a key that stays in the token; and a key that is generated and wrapped, beside
// the generation by the standard library.
func token(ctx context.Context, o Options) ([]Figure, error) {
	if o.Module == "" {
		fmt.Fprintln(o.Log, "SoftHSM is not installed: its figures are left out")
		return nil, nil
	}
	fmt.Fprintln(o.Log, "holders' keys under SoftHSM")
	dir, err := os.MkdirTemp("", "certwindow-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	tok, err := openToken(ctx, o.Module, dir, 1)
	if err != nil {
		return nil, err
	}
	defer tok.Close()
	var out []Figure
	for _, alg := range []hsm.Algorithm{hsm.RSA2048, hsm.P256} {
		c, err := signatures(ctx, tok, alg, o)
		if err != nil {
			return nil, err
		}
		out = append(out, Figure{Name: fmt.Sprintf("%s unwrap and sign", alg), Unit: "µs", Ours: c.ours / 1e3, Raw: c.raw / 1e3,
			Note: "one session, by the clock; raw is a signature by a key that stays in the token"})
	}
	// RSA is left out: searching primes takes SoftHSM a tenth of a second to a second, and says nothing of us.
	c, err := wall(ctx,
		func() error { _, err := tok.GenerateWrapped(ctx, hsm.P256, owner); return err },
		func() error { _, err := newKey(false); return err }, o.For)
	if err != nil {
		return nil, err
	}
	return append(out, Figure{Name: "P-256 generate and wrap", Unit: "µs", Ours: c.ours / 1e3, Raw: c.raw / 1e3,
		Note: "one session, by the clock; raw is a key made by the standard library, without a module"}), nil
}

var owner = hsm.Binding{Person: "bench", Device: "bench", Application: "bench"}

func signatures(ctx context.Context, tok *p11.Token, alg hsm.Algorithm, o Options) (compared, error) {
	wrapped, err := tok.GenerateWrapped(ctx, alg, owner)
	if err != nil {
		return compared{}, err
	}
	ours, err := tok.SignerFor(ctx, wrapped, owner)
	if err != nil {
		return compared{}, err
	}
	raw, err := tok.GenerateKeyPair(ctx, "bench-"+string(alg), alg)
	if err != nil {
		return compared{}, err
	}
	digest := sha256.Sum256([]byte("a medical record"))
	sign := func(key crypto.Signer) operation {
		return func() error { _, err := key.Sign(nil, digest[:], crypto.SHA256); return err }
	}
	return wall(ctx, sign(ours), sign(raw), o.For)
}

// openToken makes a token below dir, with a MAC key and a master key, by the calls of an operator's ceremony.
func openToken(ctx context.Context, module, dir string, sessions int) (*p11.Token, error) {
	tokens, conf := filepath.Join(dir, "tokens"), filepath.Join(dir, "softhsm2.conf")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", tokens)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if err := os.Setenv("SOFTHSM2_CONF", conf); err != nil {
		return nil, err
	}
	so, user := secret(4), secret(4)
	if err := p11.InitToken(module, tokenLabel, so, user); err != nil {
		return nil, err
	}
	admin := p11.Admin{Module: module, TokenLabel: tokenLabel, SOPIN: so, UserPIN: user}
	master := p11.MasterSpec{Generation: 1, Components: []hsm.Secret{componentOf(), componentOf()}, Master: true}
	if _, err := p11.CreateMaster(ctx, admin, master); err != nil {
		return nil, err
	}
	tok, err := p11.Open(ctx, p11.Config{Module: module, TokenLabel: tokenLabel, PIN: user, Sessions: sessions})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(tok.GenerateMACKey(ctx, p11.MACLabel), tok.GenerateActivationKey(ctx)); err != nil {
		return nil, errors.Join(err, tok.Close())
	}
	return tok, nil
}

// secret is a random PIN of twice as many hexadecimal digits.
func secret(n int) hsm.Secret {
	b := make([]byte, n)
	rand.Read(b)
	return hsm.NewSecret(fmt.Appendf(nil, "%x", b))
}

func componentOf() hsm.Secret {
	b := make([]byte, p11.ComponentSize)
	rand.Read(b)
	return hsm.NewSecret(b)
}
