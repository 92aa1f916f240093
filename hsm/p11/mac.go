package p11

import (
	"context"
	"encoding/binary"
	"fmt"

	"certwindow/hsm"

	"github.com/miekg/pkcs11"
)

// What a MAC key is used for: the first, length-prefixed field of every message, so that a value made for one
// purpose is worth nothing for another.
const (
	domainData    = "certwindow mac v1 data"
	domainDerive  = "certwindow mac v1 derived secret"
	domainWrapped = "certwindow mac v1 wrapped key"
	domainCheck   = "certwindow mac v1 check value"
)

// macMessage joins a domain and fields so that no two different lists give the same bytes.
func macMessage(domain string, fields ...[]byte) []byte {
	m := lengthPrefixed(nil, []byte(domain))
	for _, f := range fields {
		m = lengthPrefixed(m, f)
	}
	return m
}

func lengthPrefixed(b, field []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(field)))
	return append(b, field...)
}

// GenerateMACKey makes the 256-bit secret behind MAC. It never leaves the token in the clear; the one way out is
// ExportMACKey, wrapped under a master key that a ceremony made (CKA_WRAP_WITH_TRUSTED), because columns sealed with
// it must be readable after the token is lost. A label that is in use is hsm.ErrExists.
func (t *Token) GenerateMACKey(ctx context.Context, label string) error {
	t.making.Lock()
	defer t.making.Unlock()
	return t.pool.do(ctx, func(s *session) error {
		if err := s.refuseExisting(label); err != nil {
			return err
		}
		_, err := s.ctx.GenerateKey(s.h, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_GENERIC_SECRET_KEY_GEN, nil)},
			append(macTemplate(label), attr(pkcs11.CKA_VALUE_LEN, 32)))
		return wrap("C_GenerateKey", err)
	})
}

func macTemplate(label string) []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		attr(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		attr(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
		attr(pkcs11.CKA_TOKEN, true),
		attr(pkcs11.CKA_PRIVATE, true),
		attr(pkcs11.CKA_SENSITIVE, true),
		attr(pkcs11.CKA_EXTRACTABLE, true),
		attr(pkcs11.CKA_WRAP_WITH_TRUSTED, true),
		attr(pkcs11.CKA_SIGN, true),
		attr(pkcs11.CKA_VERIFY, false),
		attr(pkcs11.CKA_ENCRYPT, false),
		attr(pkcs11.CKA_DECRYPT, false),
		attr(pkcs11.CKA_DERIVE, false),
		attr(pkcs11.CKA_WRAP, false),
		attr(pkcs11.CKA_UNWRAP, false),
		attr(pkcs11.CKA_LABEL, label),
		attr(pkcs11.CKA_ID, objectID(label)),
		allowMechanisms(pkcs11.CKM_SHA256_HMAC),
	}
}

// MAC is HMAC-SHA-256 of data, made inside the token. The message is data with the name of this purpose before it,
// so that no data yields the secrets or bindings that come from the same key.
func (t *Token) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	return t.hmac(ctx, label, macMessage(domainData, data))
}

// DeriveSecret is a 32-byte secret for one purpose, the same at every start, from the MAC key of the token
// (MACLabel). It is for keys that must be used outside the module, such as those of package seal.
func (t *Token) DeriveSecret(ctx context.Context, purpose string) (hsm.Secret, error) {
	b, err := t.hmac(ctx, MACLabel, macMessage(domainDerive, []byte(purpose)))
	if err != nil {
		return hsm.Secret{}, err
	}
	defer clear(b)
	return hsm.NewSecret(b), nil
}

func (t *Token) hmac(ctx context.Context, label string, message []byte) ([]byte, error) {
	var mac []byte
	err := t.pool.do(ctx, func(s *session) error {
		key, err := t.pool.tokenObject(s, pkcs11.CKO_SECRET_KEY, label)
		if err != nil {
			return err
		}
		mac, err = s.hmac(key, message)
		return err
	})
	return mac, err
}

func (s *session) hmac(key pkcs11.ObjectHandle, message []byte) ([]byte, error) {
	mac, err := s.signRaw(key, pkcs11.NewMechanism(pkcs11.CKM_SHA256_HMAC, nil), message)
	if err != nil {
		return nil, err
	}
	if len(mac) != 32 {
		return nil, fmt.Errorf("p11: the module gave an HMAC of %d bytes", len(mac))
	}
	return mac, nil
}
