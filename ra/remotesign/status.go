package remotesign

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"certwindow/policy"
	"certwindow/ra"
)

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

// Issued is a statement as a JWS in compact form, and a name for what it says.
type Issued struct {
	Token string // empty: the caller has one of this name
	Tag   string // the same until half of the statement's life is over, or anything that it says is otherwise
}

// Status makes a statement for a certificate on this device, as a JWS in compact form (RFC 7515, ES256, type
// "certwindow-status+jwt"), or refuses under HCA-7.2 or HCA-7.3. Who has seen one of the same name gets none: his says the
// same, and lives half of its time yet.
func (s *Service) Status(ctx context.Context, actor ra.Actor, device ra.DeviceID, id ra.CertificateID, seen string) (Issued, error) {
	var c ra.Certificate
	e := ra.Event{Actor: actor, Act: "status.statement", Object: certificateObject(id)}
	err := s.Store.View(ctx, func(tx Tx) (err error) {
		c, _, err = s.usable(tx, device, id, "")
		return err
	})
	if err != nil {
		e.Institution = c.Institution
		return Issued{}, s.refused(ctx, e, err)
	}
	now, life := s.Now(), s.Life()
	what := Statement{Issuer: s.Issuer, Certificate: string(c.ID), Serial: c.Serial, IssuerKey: c.IssuerKey, Device: string(device), Status: "good", Scope: c.Scope}
	half := max(life/2, time.Second)
	tag, err := tagOf(s.KeyID, life, now.UnixNano()/int64(half), what)
	if err != nil || tag == seen {
		return Issued{Tag: tag}, err
	}
	until := now.Add(life)
	if until.After(c.NotAfter) {
		until = c.NotAfter
	}
	what.IssuedAt, what.Expires = now.Unix(), until.Unix()
	token, err := signJWS(s.Statement, StatementType, s.KeyID, what)
	return Issued{token, tag}, err
}

// tagOf names what a statement says within one half of a life.
func tagOf(key string, life time.Duration, half int64, what Statement) (string, error) {
	raw, err := json.Marshal([]any{key, life, half, what})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:16]), nil
}

// ActivationKeyType is the JWS "typ" of the statement about the activation key.
const ActivationKeyType = "certwindow-activation-key+jwt"

// ActivationKeyStatement says which key phones encrypt their secrets to.
type ActivationKeyStatement struct {
	Issuer   string `json:"iss"`
	Key      []byte `json:"key"` // uncompressed P-256 point, base64
	IssuedAt int64  `json:"iat"`
}

// ActivationStatement is the window's signed word on its activation key, as a JWS in compact form. A phone that has
// seen the key of the window's statements goes by that signature, and not by the address that it came from.
func (s *Service) ActivationStatement() (string, error) {
	return signJWS(s.Statement, ActivationKeyType, s.KeyID, ActivationKeyStatement{s.Issuer, s.ActivationKey, s.Now().Unix()})
}

// usable loads a certificate for the device it was made for and judges whether its key may be used now: by
// its holder (who is named where he is known), on this device (HCA-7.2, HCA-7.3), in the app that runs there (HCA-6.1, HCA-8.2.1).
func (s *Service) usable(tx Tx, device ra.DeviceID, id ra.CertificateID, holder ra.PersonID) (c ra.Certificate, d ra.DeviceFacts, err error) {
	if c, err = tx.CertificateUse(id); err != nil {
		return c, d, err
	}
	if c.DeviceID != device || holder != "" && c.PersonID != holder {
		return c, d, ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such certificate on this device.")
	}
	h, err := tx.Holder(device, c.PersonID)
	if err != nil {
		return c, d, err
	}
	d = h.Device
	return c, d, ra.Refused(policy.All(
		policy.Usable(policy.Use{State: string(c.State), NotBefore: c.NotBefore, NotAfter: c.NotAfter, DeviceState: string(d.State),
			SameBinding: d.Generation == c.Generation, SamePerson: d.IsUser && h.Active && slices.Contains(h.Institutions, c.Institution)}, s.Now()),
		policy.AppVersion(h.App.Rule, c.Scope)))
}

func certificateObject(id ra.CertificateID) string  { return "certificate/" + string(id) }
func authorisationObject(id AuthorisationID) string { return "authorisation/" + string(id) }
