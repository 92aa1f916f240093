package remotesign

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"certwindow/ra"
)

// ShortCode is six digits that both screens show, so that the holder can tell one request from another.
func (a Authorisation) ShortCode() string {
	sum := sha256.Sum256(append([]byte("certwindow short code\x00"), a.Challenge...))
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum[:8])%1_000_000)
}

// Claim is what a client collects: signatures over these hashes by this key.
type Claim struct {
	Client        ClientID
	SAD           string          // from Check
	Authorisation AuthorisationID // in place of SAD, where the client's access token was granted for it
	Certificate   ra.CertificateID
	HashAlgorithm string
	Hashes        [][]byte
}

// authorisation finds what a claim is about, and compares them.
func (c Claim) authorisation(tx Tx) (a Authorisation, err error) {
	if c.Authorisation != "" {
		a, err = tx.Authorisation(c.Authorisation)
	} else {
		a, err = tx.AuthorisationBySAD(hashOf(c.SAD))
	}
	if err == nil && a.Client != c.Client {
		err = ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such authorisation of this system.")
	}
	switch {
	case err != nil:
		return a, err
	case c.Certificate != "" && c.Certificate != a.Certificate:
		return a, ra.Refuse("HCA-6.3.5", "claim-certificate", "The holder released signatures of another certificate. Nothing was handed out.", nil)
	case c.HashAlgorithm != "" && c.HashAlgorithm != a.HashAlgorithm:
		return a, ra.Refuse("HCA-6.3.5", "claim-algorithm", "The holder released hashes of another algorithm. Nothing was handed out.", nil)
	}
	return a, nil
}

// Credential is a certificate whose key in the HSM a client may ask to use, and whether it may be used now.
type Credential struct {
	ra.Certificate
	Usable error // why not; nil: it may
}

// Credentials are the certificates with keys in the HSM that a client may ask for: those of its institution, of one
// person, or the one that is named.
func (s *Service) Credentials(ctx context.Context, client ClientID, person ra.PersonID, id ra.CertificateID) (out []Credential, err error) {
	c, err := s.Clients.Client(ctx, client)
	if err != nil {
		return nil, err
	}
	err = s.Store.View(ctx, func(tx Tx) error {
		list, err := tx.HSMCertificates(c.Institution, person, id, maxCredentials)
		if err != nil {
			return err
		}
		out = nil
		for _, x := range list {
			_, _, err := s.usable(tx, x.DeviceID, x.ID, x.PersonID)
			if k := ra.KindOf(err); err != nil && (k == ra.KindUnavailable || k == ra.KindInternal) {
				return err
			}
			out = append(out, Credential{x, err})
		}
		return nil
	})
	return out, err
}

// maxCredentials bounds one list: a person has five, or what HCA allows in writing.
const maxCredentials = 50
