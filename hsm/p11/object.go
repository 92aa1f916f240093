package p11

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"

	"certwindow/hsm"

	"github.com/miekg/pkcs11"
)

// maxObjects bounds every search, so that a broken module cannot make one endless.
const maxObjects = 100_000

func attr(typ uint, value any) *pkcs11.Attribute { return pkcs11.NewAttribute(typ, value) }

// objectID is the CKA_ID that a key pair and its certificate share.
func objectID(label string) []byte {
	sum := sha256.Sum256([]byte(label))
	return sum[:20]
}

// find lists the objects that match.
func (s *session) find(template ...*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := s.ctx.FindObjectsInit(s.h, template); err != nil {
		return nil, wrap("C_FindObjectsInit", err)
	}
	var all []pkcs11.ObjectHandle
	for len(all) < maxObjects {
		part, _, err := s.ctx.FindObjects(s.h, 256)
		if err != nil {
			s.ctx.FindObjectsFinal(s.h)
			return nil, wrap("C_FindObjects", err)
		}
		if len(part) == 0 {
			break
		}
		all = append(all, part...)
	}
	return all, wrap("C_FindObjectsFinal", s.ctx.FindObjectsFinal(s.h))
}

// findOne finds the only token object of a class and label; two of them are an error, never a choice.
func (s *session) findOne(class uint, label string) (pkcs11.ObjectHandle, error) {
	hs, err := s.find(attr(pkcs11.CKA_CLASS, class), attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_LABEL, label))
	if err != nil {
		return 0, err
	}
	switch len(hs) {
	case 0:
		return 0, s.absent(label)
	case 1:
		return hs[0], nil
	}
	return 0, fmt.Errorf("p11: %d objects have the label %q", len(hs), label)
}

// absent is the error for an object that a search did not find. A session that lost its login sees no private
// objects and no error either, so that is asked first: nothing may be taken for missing that is only out of sight.
func (s *session) absent(what string) error {
	if err := s.loggedIn(); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", hsm.ErrNotFound, what)
}

// loggedIn says whether the session sees and uses private objects.
func (s *session) loggedIn() error {
	i, err := s.ctx.GetSessionInfo(s.h)
	if err != nil {
		return wrap("C_GetSessionInfo", err)
	}
	if i.State != pkcs11.CKS_RW_USER_FUNCTIONS {
		return &Error{Op: "C_GetSessionInfo", RV: pkcs11.CKR_USER_NOT_LOGGED_IN}
	}
	return nil
}

// value reads one attribute; an attribute that the module does not know or reveal is an error.
func (s *session) value(h pkcs11.ObjectHandle, typ uint) ([]byte, error) {
	as, err := s.ctx.GetAttributeValue(s.h, h, []*pkcs11.Attribute{attr(typ, nil)})
	if err != nil {
		return nil, wrap("C_GetAttributeValue", err)
	}
	if len(as) != 1 {
		return nil, fmt.Errorf("p11: attribute 0x%X: the module gave %d values", typ, len(as))
	}
	return as[0].Value, nil
}

// optional reads one attribute, empty where the module does not have it. Losing the session stays an error.
func (s *session) optional(h pkcs11.ObjectHandle, typ uint) ([]byte, error) {
	v, err := s.value(h, typ)
	if err != nil && (RV(err) == pkcs11.CKR_ATTRIBUTE_TYPE_INVALID || RV(err) == pkcs11.CKR_ATTRIBUTE_SENSITIVE) {
		return nil, nil
	}
	return v, err
}

// ulong reads a CK_ULONG attribute.
func (s *session) ulong(h pkcs11.ObjectHandle, typ uint) (uint, error) {
	v, err := s.value(h, typ)
	if err != nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, fmt.Errorf("p11: attribute 0x%X has %d bytes, not a CK_ULONG", typ, len(v))
	}
	return uint(binary.NativeEndian.Uint64(v)), nil
}

// publicKey reads a public key object.
func (s *session) publicKey(h pkcs11.ObjectHandle) (crypto.PublicKey, error) {
	kind, err := s.ulong(h, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return nil, err
	}
	switch kind {
	case pkcs11.CKK_RSA:
		n, err := s.value(h, pkcs11.CKA_MODULUS)
		if err != nil {
			return nil, err
		}
		e, err := s.value(h, pkcs11.CKA_PUBLIC_EXPONENT)
		if err != nil {
			return nil, err
		}
		return rsaPublicKey(n, e)
	case pkcs11.CKK_EC:
		params, err := s.value(h, pkcs11.CKA_EC_PARAMS)
		if err != nil {
			return nil, err
		}
		point, err := s.value(h, pkcs11.CKA_EC_POINT)
		if err != nil {
			return nil, err
		}
		return ecPublicKey(params, point)
	}
	return nil, fmt.Errorf("%w key type 0x%X", hsm.ErrUnsupported, kind)
}

// rsaPublicKey takes big-endian numbers. Moduli outside 1024 to 8192 bits are refused unread.
func rsaPublicKey(n, e []byte) (*rsa.PublicKey, error) {
	n, e = bytes.TrimLeft(n, "\x00"), bytes.TrimLeft(e, "\x00")
	if len(n) < 128 || len(n) > 1024 || len(e) == 0 || len(e) > 4 {
		return nil, fmt.Errorf("%w RSA key of %d bytes with an exponent of %d", hsm.ErrUnsupported, len(n), len(e))
	}
	exp := new(big.Int).SetBytes(e).Int64()
	if exp < 3 || exp&1 == 0 || exp > 1<<31-1 {
		return nil, fmt.Errorf("%w RSA exponent %d", hsm.ErrUnsupported, exp)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exp)}, nil
}

var (
	oidP256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	oidP384 = asn1.ObjectIdentifier{1, 3, 132, 0, 34}
)

// ecPublicKey takes CKA_EC_PARAMS (a named curve) and CKA_EC_POINT: a DER OCTET STRING by the standard, the bare
// point from some modules. Points off the curve are refused.
func ecPublicKey(params, point []byte) (*ecdsa.PublicKey, error) {
	var oid asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(params, &oid); err != nil || len(rest) != 0 {
		return nil, fmt.Errorf("%w EC parameters: not a named curve", hsm.ErrUnsupported)
	}
	var curve elliptic.Curve
	switch {
	case oid.Equal(oidP256):
		curve = elliptic.P256()
	case oid.Equal(oidP384):
		curve = elliptic.P384()
	default:
		return nil, fmt.Errorf("%w curve %v", hsm.ErrUnsupported, oid)
	}
	var raw []byte
	if rest, err := asn1.Unmarshal(point, &raw); err != nil || len(rest) != 0 {
		raw = point
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, raw)
	if err != nil {
		return nil, fmt.Errorf("p11: EC point: %w", err)
	}
	return pub, nil
}

// ecParams is CKA_EC_PARAMS of an algorithm.
func ecParams(alg hsm.Algorithm) ([]byte, error) {
	switch alg {
	case hsm.P256:
		return asn1.Marshal(oidP256)
	case hsm.P384:
		return asn1.Marshal(oidP384)
	}
	return nil, fmt.Errorf("%w algorithm %q", hsm.ErrUnsupported, alg)
}
