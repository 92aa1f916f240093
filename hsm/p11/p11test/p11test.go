// Package p11test prepares throw-away SoftHSM tokens for tests, with the same set-up and ceremony calls that an
// operator's token is made with. A test that uses it skips where SoftHSM is not installed, and fails there under CI.
package p11test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"certwindow/hsm"
	"certwindow/hsm/p11"
)

// EnvName is the environment variable that tells SoftHSM where its configuration is.
const EnvName = "SOFTHSM2_CONF"

// PINs of every token that this package makes.
const (
	SOPIN   = "87654321"
	UserPIN = "1234567"
)

// Module returns the path of SoftHSM's library, or "" where it is not installed.
func Module() string {
	for _, p := range []string{
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
	} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

// Env writes a SoftHSM configuration with its tokens below dir and returns the path of the configuration, which
// belongs into the environment variable EnvName before the module is loaded.
func Env(dir string) (string, error) {
	tokens := filepath.Join(dir, "tokens")
	if err := os.MkdirAll(tokens, 0o700); err != nil {
		return "", err
	}
	conf := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n", tokens)
	return conf, os.WriteFile(conf, []byte(text), 0o600)
}

// A process has one SoftHSM configuration while the module is loaded, so every token of a test binary lives in one
// directory, told apart by label, and the directory goes when the last one is closed.
var process struct {
	sync.Mutex
	users  int
	made   int
	dir    string
	before string
	module *p11.Module
}

// Place is a SoftHSM that holds no token of this label yet.
type Place struct {
	Module  string
	Label   string
	SOPIN   hsm.Secret
	UserPIN hsm.Secret
}

// Config opens the token, once it has been made.
func (p Place) Config() p11.Config {
	return p11.Config{Module: p.Module, TokenLabel: p.Label, PIN: p.UserPIN, Sessions: 4}
}

// Admin is for ceremonies on the token.
func (p Place) Admin() p11.Admin {
	return p11.Admin{Module: p.Module, TokenLabel: p.Label, SOPIN: p.SOPIN, UserPIN: p.UserPIN}
}

// Empty gives a place for a token that the test makes itself.
func Empty(t testing.TB) Place {
	t.Helper()
	module := Module()
	if module == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("SoftHSM is not installed")
		}
		t.Skip("SoftHSM is not installed")
	}
	process.Lock()
	defer process.Unlock()
	if process.users == 0 {
		start(t, module)
	}
	process.users++
	process.made++
	t.Cleanup(stop)
	return Place{
		Module:  module,
		Label:   fmt.Sprintf("test-%d", process.made),
		SOPIN:   hsm.NewSecret([]byte(SOPIN)),
		UserPIN: hsm.NewSecret([]byte(UserPIN)),
	}
}

func start(t testing.TB, module string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "certwindow-softhsm-")
	if err != nil {
		t.Fatal(err)
	}
	conf, err := Env(dir)
	if err != nil {
		t.Fatal(err)
	}
	process.dir, process.before = dir, os.Getenv(EnvName)
	os.Setenv(EnvName, conf)
	if process.module, err = p11.LoadModule(module); err != nil {
		t.Fatal(err)
	}
}

func stop() {
	process.Lock()
	defer process.Unlock()
	if process.users--; process.users > 0 {
		return
	}
	process.module.Close()
	os.RemoveAll(process.dir)
	if process.before == "" {
		os.Unsetenv(EnvName)
	} else {
		os.Setenv(EnvName, process.before)
	}
}

// Prepare makes a token with the MAC key and a master key of generation 1 and does not open it.
func Prepare(t testing.TB) Place {
	t.Helper()
	p := Empty(t)
	if err := p11.InitToken(p.Module, p.Label, p.SOPIN, p.UserPIN); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := p11.CreateMaster(ctx, p.Admin(), p11.MasterSpec{Generation: 1, Components: Components(1), Master: true}); err != nil {
		t.Fatal(err)
	}
	tok, err := p11.Open(ctx, p.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.GenerateMACKey(ctx, p11.MACLabel); err != nil {
		t.Fatal(err)
	}
	if err := tok.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Token makes and opens a token with the MAC key, the activation key and a master key of generation 1. It is closed after the test.
func Token(t testing.TB) *p11.Token {
	t.Helper()
	return Open(t, Prepare(t))
}

// Open opens a token that was made before, and gives it an activation key where it has none. It is closed after the test.
func Open(t testing.TB, p Place) *p11.Token {
	t.Helper()
	tok, err := p11.Open(context.Background(), p.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	if err := tok.GenerateActivationKey(context.Background()); err != nil && !errors.Is(err, hsm.ErrExists) {
		t.Fatal(err)
	}
	return tok
}

// Components returns the same two components for the same generation, so that a test can make a master key again.
func Components(generation int) []hsm.Secret {
	var all []hsm.Secret
	for _, who := range []string{"first", "second"} {
		sum := sha256.Sum256(fmt.Appendf(nil, "test component of the %s custodian, generation %d", who, generation))
		all = append(all, hsm.NewSecret(sum[:]))
	}
	return all
}

// Digest is a random SHA-256 digest to sign.
func Digest(t testing.TB) []byte {
	t.Helper()
	d := make([]byte, 32)
	if _, err := rand.Read(d); err != nil {
		t.Fatal(err)
	}
	return d
}
