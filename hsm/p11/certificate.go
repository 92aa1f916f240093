package p11

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"

	"certwindow/hsm"
)

// maxCertificate bounds what is taken for a certificate, in and out of tokens.
const maxCertificate = 64 << 10

// Certificate is a certificate object of a token.
type Certificate struct {
	Label string
	ID    []byte // CKA_ID, shared with its key
	DER   []byte
}

// ImportCertificate stores a certificate beside the key pair of the same label, in place of the one that is there.
// A certificate for another key is refused.
func (t *Token) ImportCertificate(ctx context.Context, label string, der []byte) error {
	if len(der) > maxCertificate {
		return fmt.Errorf("p11: certificate of %d bytes is too large", len(der))
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("p11: certificate: %w", err)
	}
	serial, err := asn1.Marshal(c.SerialNumber)
	if err != nil {
		return fmt.Errorf("p11: certificate: %w", err)
	}
	template := []*pkcs11.Attribute{
		attr(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE),
		attr(pkcs11.CKA_CERTIFICATE_TYPE, pkcs11.CKC_X_509),
		attr(pkcs11.CKA_TOKEN, true),
		attr(pkcs11.CKA_PRIVATE, false),
		attr(pkcs11.CKA_LABEL, label),
		attr(pkcs11.CKA_ID, objectID(label)),
		attr(pkcs11.CKA_SUBJECT, c.RawSubject),
		attr(pkcs11.CKA_ISSUER, c.RawIssuer),
		attr(pkcs11.CKA_SERIAL_NUMBER, serial),
		attr(pkcs11.CKA_VALUE, der),
	}
	t.making.Lock()
	defer t.making.Unlock()
	return t.pool.do(ctx, func(s *session) error {
		if err := s.matchesKey(label, c.PublicKey); err != nil {
			return err
		}
		old, err := s.find(attr(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE), attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_LABEL, label))
		if err != nil {
			return err
		}
		if len(old) == 1 {
			if v, err := s.value(old[0], pkcs11.CKA_VALUE); err == nil && bytes.Equal(v, der) {
				return nil
			}
		}
		t.pool.forget(pkcs11.CKO_CERTIFICATE, label)
		if _, err := s.ctx.CreateObject(s.h, template); err != nil {
			return wrap("C_CreateObject", err)
		}
		for _, h := range old {
			if err := s.ctx.DestroyObject(s.h, h); err != nil {
				return wrap("C_DestroyObject", err)
			}
		}
		return nil
	})
}

// matchesKey refuses a public key that is not the one of the label's key pair.
func (s *session) matchesKey(label string, pub crypto.PublicKey) error {
	h, err := s.findOne(pkcs11.CKO_PUBLIC_KEY, label)
	if errors.Is(err, hsm.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	have, err := s.publicKey(h)
	if err != nil {
		return err
	}
	if k, ok := have.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(pub) {
		return fmt.Errorf("p11: the certificate is not for the key %q of the token", label)
	}
	return nil
}

// Certificates lists the certificates of the token.
func (t *Token) Certificates(ctx context.Context) ([]Certificate, error) {
	var all []Certificate
	err := t.pool.do(ctx, func(s *session) error {
		var err error
		all, err = s.certificates()
		return err
	})
	return all, err
}

func (s *session) certificates() ([]Certificate, error) {
	hs, err := s.find(attr(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE))
	if err != nil {
		return nil, err
	}
	var all []Certificate
	for _, h := range hs {
		der, err := s.value(h, pkcs11.CKA_VALUE)
		if err != nil {
			return nil, err
		}
		if len(der) == 0 || len(der) > maxCertificate {
			continue // an empty container on a card, or nothing that is a certificate
		}
		id, err := s.optional(h, pkcs11.CKA_ID)
		if err != nil {
			return nil, err
		}
		label, err := s.optional(h, pkcs11.CKA_LABEL)
		if err != nil {
			return nil, err
		}
		all = append(all, Certificate{Label: string(label), ID: id, DER: der})
	}
	return all, nil
}
