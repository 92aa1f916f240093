package p11

import (
	"context"
	"crypto/ecdh"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"certwindow/hsm"
)

// Labels of the objects that a window's token holds.
const (
	// MACLabel is the generic secret behind the bindings of wrapped keys and DeriveSecret.
	MACLabel = "certwindow-mac"
	// masterPrefix and rolloverPrefix come before the number of a generation of the master key.
	masterPrefix   = "certwindow-master-"
	rolloverPrefix = "certwindow-rollover-"
)

// Config says which token to open.
type Config struct {
	Module     string     // path of the PKCS#11 library
	TokenLabel string     // slots are found by label, since their numbers change
	PIN        hsm.Secret // of the user (CKU_USER)
	Sessions   int        // size of the session pool, 1 to 256; 0 means 4
}

// Token is an open module with a pool of logged-in sessions. It is safe for concurrent use. Operations that find
// their session lost open a new one and try once more.
type Token struct {
	mod  *Module
	pool *pool
	info hsm.Info
	// making is held while a labelled object is made, so that two callers cannot make the same one.
	making sync.Mutex
	// activation is the public half of the activation key, once it was read.
	activation atomic.Pointer[ecdh.PublicKey]
	verified   verified
}

// Open loads the module, finds the token and logs in once, so that a wrong PIN shows at the start.
func Open(ctx context.Context, c Config) (*Token, error) {
	if c.Sessions == 0 {
		c.Sessions = 4
	}
	if c.Sessions < 1 || c.Sessions > 256 {
		return nil, fmt.Errorf("p11: %d sessions, not 1 to 256", c.Sessions)
	}
	mod, err := LoadModule(c.Module)
	if err != nil {
		return nil, err
	}
	slot, err := mod.slotByLabel(c.TokenLabel)
	if err != nil {
		return nil, errors.Join(err, mod.Close())
	}
	t := &Token{mod: mod, pool: newPool(mod, c.TokenLabel, c.PIN, slot.ID, c.Sessions), info: describe(slot.Token)}
	if err := t.pool.do(ctx, func(*session) error { return nil }); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func describe(t *TokenInfo) hsm.Info {
	return hsm.Info{
		Manufacturer: t.Manufacturer,
		Model:        t.Model,
		Serial:       t.Serial,
		Label:        t.Label,
		Firmware:     t.FirmwareVersion.String(),
		Software:     isSoftware(t),
	}
}

// isSoftware recognises modules that are no hardware (HCA-6.3.1) by what they call themselves.
func isSoftware(t *TokenInfo) bool {
	for _, s := range []string{t.Manufacturer, t.Model} {
		s = strings.ToLower(s)
		if strings.Contains(s, "softhsm") || strings.Contains(s, "kryoptic") || strings.Contains(s, "nss ") {
			return true
		}
	}
	return false
}

// Close waits for the operations under way and closes every session. The PIN stays the caller's to destroy.
func (t *Token) Close() error {
	t.pool.close()
	return t.mod.Close()
}

// Info says which token this is, as it was when it was opened.
func (t *Token) Info() hsm.Info { return t.info }

// Healthy asks the module, through a logged-in session, whether it still works; a lost session is repaired.
func (t *Token) Healthy(ctx context.Context) error {
	return t.pool.do(ctx, func(s *session) error {
		if err := s.loggedIn(); err != nil {
			return err
		}
		_, err := s.ctx.GenerateRandom(s.h, 1)
		return wrap("C_GenerateRandom", err)
	})
}
