// Package remotesign decides whether a holder's key may be used now, tells it in signed status statements for
// keys on phones, and makes signatures with keys in the HSM (HCA-6.3, HCA-7.2, HCA-7.3).
package remotesign

import (
	"context"
	"crypto"
	"encoding/hex"
	"time"

	"certwindow/hsm"
	"certwindow/policy"
	"certwindow/ra"
)

// Tx is one transaction on what a use of a key reads and writes.
type Tx interface {
	Certificate(scope ra.InstitutionCode, id ra.CertificateID) (ra.Certificate, error)
	Device(id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error)
	Person(id ra.PersonID) (ra.PersonFacts, error)
	HolderKey(id ra.ApplicationID) (hsm.WrappedKey, error)
	Audit(e ra.Event) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Keys uses holders' keys in the HSM.
type Keys interface {
	SignerFor(ctx context.Context, k hsm.WrappedKey, b hsm.Binding) (crypto.Signer, error)
}

// StatementLife is how long a phone may rely on a status statement.
const StatementLife = 10 * time.Minute

// signTime bounds one signature, the wait for a free session of the module included: a transaction is open meanwhile.
const signTime = 10 * time.Second

// Service is the use case.
type Service struct {
	store     Store
	keys      Keys
	statement crypto.Signer // of status statements; a P-256 key in the HSM
	keyID     string
	issuer    string
	now       func() time.Time
}

// New wires the use case. issuer names the window in its statements.
func New(store Store, keys Keys, statement crypto.Signer, keyID, issuer string, now func() time.Time) *Service {
	return &Service{store: store, keys: keys, statement: statement, keyID: keyID, issuer: issuer, now: now}
}

// Statement is what a signed status statement says. A phone must hold one that has not expired before it uses
// its key (HCA-7.2).
type Statement struct {
	Issuer      string   `json:"iss"`
	Certificate string   `json:"sub"` // the certificate's id at this window
	Serial      string   `json:"serial"`
	IssuerKey   string   `json:"issuer_key"`
	Device      string   `json:"device"`
	Status      string   `json:"status"` // always "good": for any other there is no statement
	Scope       []string `json:"scope"`
	IssuedAt    int64    `json:"iat"` // Unix seconds
	Expires     int64    `json:"exp"`
}

// Status makes a statement for a certificate on this device, as a JWS in compact form (RFC 7515, ES256, type
// "certwindow-status+jwt"), or refuses under HCA-7.2 or HCA-7.3.
func (s *Service) Status(ctx context.Context, actor ra.Actor, device ra.DeviceID, id ra.CertificateID) (string, error) {
	var c ra.Certificate
	e := ra.Event{Actor: actor, Act: "status.statement", Object: "certificate/" + string(id)}
	err := s.store.View(ctx, func(tx Tx) (err error) {
		c, err = s.usable(tx, device, id)
		return err
	})
	if err != nil {
		e.Institution = c.Institution
		return "", ra.Act[Tx](ctx, s.store, s.now(), e, func(Tx, *ra.Event) error { return err })
	}
	now := s.now()
	until := now.Add(StatementLife)
	if until.After(c.NotAfter) {
		until = c.NotAfter
	}
	return signJWS(s.statement, s.keyID, Statement{Issuer: s.issuer, Certificate: string(c.ID), Serial: c.Serial, IssuerKey: c.IssuerKey, Device: string(device),
		Status: "good", Scope: c.Scope, IssuedAt: now.Unix(), Expires: until.Unix()})
}

// usable loads a certificate for the device it was made for and judges whether its key may be used now.
func (s *Service) usable(tx Tx, device ra.DeviceID, id ra.CertificateID) (ra.Certificate, error) {
	c, err := tx.Certificate("", id)
	if err != nil {
		return c, err
	}
	if c.DeviceID != device {
		return c, ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such certificate on this device.")
	}
	d, err := tx.Device(device, c.PersonID)
	if err != nil {
		return c, err
	}
	p, err := tx.Person(c.PersonID)
	if err != nil {
		return c, err
	}
	return c, ra.Refused(policy.Usable(policy.Use{State: string(c.State), NotBefore: c.NotBefore, NotAfter: c.NotAfter, DeviceState: string(d.State),
		SameBinding: d.Generation == c.Generation, SamePerson: d.IsUser && p.Active && p.MemberOf(c.Institution)}, s.now()))
}

// SignHash makes one signature with a holder's HSM key over a digest (HCA-6.3.5). The audit row is part of it:
// no row, no signature.
func (s *Service) SignHash(ctx context.Context, actor ra.Actor, device ra.DeviceID, id ra.CertificateID, hash crypto.Hash, digest []byte) (sig []byte, err error) {
	ctx, stop := context.WithTimeout(ctx, signTime)
	defer stop()
	e := ra.Event{Actor: actor, Act: "sign.hash", Object: "certificate/" + string(id), Details: map[string]string{"hash": hex.EncodeToString(digest)}}
	err = ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		if (hash != crypto.SHA256 && hash != crypto.SHA384 && hash != crypto.SHA512) || len(digest) != hash.Size() {
			return ra.Errorf(ra.KindMalformed, "hash", nil, "The hash is SHA-256, SHA-384 or SHA-512, and of that length. Nothing was signed.")
		}
		c, err := s.usable(tx, device, id)
		e.Institution = c.Institution // of a refusal too: it is that institution's to see
		if err != nil {
			return err
		}
		if c.KeyDesign != ra.KeyHSM {
			return ra.Errorf(ra.KindConflict, "key-not-in-hsm", nil, "This certificate's key is on the phone. Nothing was signed.")
		}
		k, err := tx.HolderKey(c.ApplicationID)
		if err != nil {
			return err
		}
		signer, err := s.keys.SignerFor(ctx, k, hsm.Binding{Person: string(c.PersonID), Device: string(c.DeviceID), Application: string(c.ApplicationID)})
		if err != nil {
			return ra.Errorf(ra.KindUnavailable, "hsm-key", err, "The key cannot be used. Nothing was signed.")
		}
		if sig, err = hsm.Sign(ctx, signer, digest, hash); err != nil {
			return ra.Errorf(ra.KindUnavailable, "hsm-key", err, "The HSM did not sign. Try again.")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sig, nil
}
