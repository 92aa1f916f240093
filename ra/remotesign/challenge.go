package remotesign

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"certwindow/ra"
)

// ChallengeLife is how long a challenge for the app's own signatures is good. Activation data on it is taken once.
const ChallengeLife = 10 * time.Minute

// Challenge is the window's challenge for signatures that the app itself asks for: base64url, 32 bytes. Any replica
// knows its own again; nothing is stored until it is used.
func (s *Service) Challenge(ctx context.Context, device ra.DeviceID, id ra.CertificateID) (string, time.Time, error) {
	var c ra.Certificate
	err := s.Store.View(ctx, func(tx Tx) (err error) { c, err = tx.CertificateUse(id); return err })
	if err == nil && c.DeviceID != device {
		err = ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such certificate on this device.")
	}
	if err != nil {
		return "", time.Time{}, err
	}
	until := s.Now().Add(ChallengeLife).Truncate(time.Second)
	return base64.RawURLEncoding.EncodeToString(s.challenge(until, device, id)), until, nil
}

// challenge is the end of its life and a MAC over that, device and certificate.
func (s *Service) challenge(until time.Time, device ra.DeviceID, id ra.CertificateID) []byte {
	out := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	m := hmac.New(sha256.New, s.ChallengeKey.Bytes())
	m.Write(out)
	m.Write([]byte("\x00" + string(device) + "\x00" + string(id)))
	return append(out, m.Sum(nil)[:24]...)
}

// openChallenge takes a challenge that this window made for the device and the certificate, within its time.
func (s *Service) openChallenge(text string, device ra.DeviceID, id ra.CertificateID) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 32 {
		return nil, malformed("challenge", "The challenge is not one of this window's. Nothing was signed.")
	}
	until := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	now := s.Now()
	if !hmac.Equal(raw, s.challenge(until, device, id)) || !now.Before(until) || until.After(now.Add(ChallengeLife+time.Second)) {
		return nil, ra.Refuse("HCA-6.3.5", "challenge", "The challenge is another's, or its time is over. Nothing was signed; fetch a new one.", nil)
	}
	return raw, nil
}

// later is the later of two moments.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
