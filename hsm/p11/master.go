package p11

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"certwindow/hsm"

	"github.com/miekg/pkcs11"
)

// MaxGeneration is the highest number a generation of the master key may have.
const MaxGeneration = 9999

func generationLabel(prefix string, generation int) string { return prefix + strconv.Itoa(generation) }

// generations lists the trusted objects of a prefix by number, lowest first. TRUSTED is the security officer's mark:
// an object that merely carries the label counts for nothing.
func (s *session) generations(prefix string) ([]int, error) {
	hs, err := s.find(attr(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_TRUSTED, true))
	if err != nil {
		return nil, err
	}
	var all []int
	for _, h := range hs {
		label, err := s.value(h, pkcs11.CKA_LABEL)
		if err != nil {
			return nil, err
		}
		number, ok := strings.CutPrefix(string(label), prefix)
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(number); err == nil && n >= 1 && n <= MaxGeneration && strconv.Itoa(n) == number {
			all = append(all, n)
		}
	}
	if len(all) == 0 {
		return nil, s.loggedIn()
	}
	slices.Sort(all)
	return all, nil
}

// trusted finds the master key or rollover object of a generation.
func (t *Token) trusted(s *session, prefix string, generation int) (pkcs11.ObjectHandle, error) {
	label := generationLabel(prefix, generation)
	// A name of its own, so that it is never taken for an object that was found without the mark.
	key := objectKey{pkcs11.CKO_SECRET_KEY, "trusted " + label}
	return t.pool.remember(s, key, func() (pkcs11.ObjectHandle, error) { return s.findTrusted(label) })
}

func (s *session) findTrusted(label string) (pkcs11.ObjectHandle, error) {
	hs, err := s.find(attr(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), attr(pkcs11.CKA_TOKEN, true),
		attr(pkcs11.CKA_TRUSTED, true), attr(pkcs11.CKA_LABEL, label))
	if err != nil {
		return 0, err
	}
	switch len(hs) {
	case 0:
		return 0, s.absent(label)
	case 1:
		return hs[0], nil
	}
	return 0, fmt.Errorf("p11: %d trusted keys have the label %q", len(hs), label)
}

// MasterGenerations lists the generations of the master key that the token holds, oldest first.
func (t *Token) MasterGenerations(ctx context.Context) ([]int, error) {
	return t.listGenerations(ctx, masterPrefix)
}

// RolloverGenerations lists the generations whose keys can be wrapped anew, oldest first (see Rewrap).
func (t *Token) RolloverGenerations(ctx context.Context) ([]int, error) {
	return t.listGenerations(ctx, rolloverPrefix)
}

func (t *Token) listGenerations(ctx context.Context, prefix string) (all []int, err error) {
	err = t.pool.do(ctx, func(s *session) error {
		all, err = s.generations(prefix)
		return err
	})
	return all, err
}

// MasterCheckValue is the key check value of a generation's master key, as the module computes it: three bytes in
// hexadecimal, which tell two keys apart and nothing more.
func (t *Token) MasterCheckValue(ctx context.Context, generation int) (check string, err error) {
	err = t.pool.do(ctx, func(s *session) error {
		h, err := t.trusted(s, masterPrefix, generation)
		if err != nil {
			return err
		}
		check, err = s.checkValue(h)
		return err
	})
	return check, err
}

func (s *session) checkValue(h pkcs11.ObjectHandle) (string, error) {
	v, err := s.value(h, pkcs11.CKA_CHECK_VALUE)
	if err != nil {
		return "", err
	}
	if len(v) != 3 {
		return "", fmt.Errorf("p11: key check value of %d bytes", len(v))
	}
	return hex.EncodeToString(v), nil
}

// DestroyMaster removes the master key of a generation and its rollover object. Every key still wrapped under it is
// lost unless the custodians make it again, so the caller counts those first.
func (t *Token) DestroyMaster(ctx context.Context, generation int) error {
	found := false
	err := t.pool.do(ctx, func(s *session) error {
		for _, prefix := range []string{rolloverPrefix, masterPrefix} {
			label := generationLabel(prefix, generation)
			t.pool.forget(pkcs11.CKO_SECRET_KEY, "trusted "+label)
			h, err := s.findTrusted(label)
			if errors.Is(err, hsm.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if err := s.ctx.DestroyObject(s.h, h); err != nil {
				return wrap("C_DestroyObject", err)
			}
			found = true
		}
		return nil
	})
	if err == nil && !found {
		return fmt.Errorf("%w: master key of generation %d", hsm.ErrNotFound, generation)
	}
	return err
}

// DestroyRollover removes the rollover object of a generation, once every key has been wrapped anew.
func (t *Token) DestroyRollover(ctx context.Context, generation int) error {
	return t.pool.do(ctx, func(s *session) error {
		label := generationLabel(rolloverPrefix, generation)
		t.pool.forget(pkcs11.CKO_SECRET_KEY, "trusted "+label)
		h, err := s.findTrusted(label)
		if err != nil {
			return err
		}
		return wrap("C_DestroyObject", s.ctx.DestroyObject(s.h, h))
	})
}

// ExportMACKey wraps the MAC key (MACLabel) under the master key of a generation, for the backup that a ceremony
// keeps: with it, and the custodians, a new token opens sealed columns and knows its wrapped keys again.
func (t *Token) ExportMACKey(ctx context.Context, generation int) (blob []byte, err error) {
	err = t.pool.do(ctx, func(s *session) error {
		master, err := t.trusted(s, masterPrefix, generation)
		if err != nil {
			return err
		}
		mac, err := t.pool.tokenObject(s, pkcs11.CKO_SECRET_KEY, MACLabel)
		if err != nil {
			return err
		}
		blob, err = s.ctx.WrapKey(s.h, keyWrap, master, mac)
		return wrap("C_WrapKey", err)
	})
	return blob, err
}

// MACCheckValue tells two MAC keys apart and nothing more: four bytes of an HMAC made for this alone, hexadecimal.
func (t *Token) MACCheckValue(ctx context.Context) (string, error) {
	mac, err := t.hmac(ctx, MACLabel, macMessage(domainCheck))
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(mac[:4]), nil
}
