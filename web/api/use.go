package api

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-jose/go-jose/v4"

	"certwindow/ra"
	"certwindow/ra/revoke"
)

const (
	typeJWT    = "application/jwt"          // RFC 7519 section 10.3.1
	typeKeySet = "application/jwk-set+json" // RFC 7517 section 8.5
)

type certificate struct {
	Certificate ra.CertificateID    `json:"certificate"`
	Serial      string              `json:"serial"`
	State       ra.CertificateState `json:"state"`
	KeyDesign   ra.KeyDesign        `json:"key_design"`
	Scope       []string            `json:"scope"`
	NotAfter    time.Time           `json:"not_after"`
}

// maxCertificates is the contract's cap on one list.
const maxCertificates = 200

// listCertificates are those of this device's present binding: what was made under an earlier one is on no phone
// that may use it (HCA-7.3).
func (c *call) listCertificates() (answer, error) {
	list, err := c.api.Certificates.Certificates(c.ctx(), c.actor(), revoke.Query{Device: c.device.ID, Limit: maxCertificates})
	if err != nil {
		return answer{}, err
	}
	out := []certificate{}
	for _, x := range list {
		if x.DeviceID == c.device.ID && x.Generation == c.device.Generation {
			out = append(out, certificate{Certificate: x.ID, Serial: x.Serial, State: x.State, KeyDesign: x.KeyDesign, Scope: x.Scope, NotAfter: x.NotAfter.UTC()})
		}
	}
	return document(http.StatusOK, map[string][]certificate{"certificates": out})
}

// getStatus is the statement without which the app does not use its key (HCA-7.2).
func (c *call) getStatus() (answer, error) {
	jws, err := c.api.Keys.Status(c.ctx(), c.actor(), c.device.ID, ra.CertificateID(c.Param("certificate")))
	return answer{status: http.StatusOK, mediaType: typeJWT, body: []byte(jws)}, err
}

var hashes = map[string]crypto.Hash{"SHA-256": crypto.SHA256, "SHA-384": crypto.SHA384, "SHA-512": crypto.SHA512}

// signHash signs with the holder's key in the HSM (HCA-6.3.5).
func (c *call) signHash() (answer, error) {
	var b struct {
		HashAlgorithm string `json:"hash_algorithm"`
		Hash          string `json:"hash"`
	}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	hash, ok := hashes[b.HashAlgorithm]
	if !ok {
		return answer{}, malformed("hash_algorithm", "The hash is SHA-256, SHA-384 or SHA-512. Nothing was signed.")
	}
	digest, err := octets("hash", b.Hash)
	if err != nil {
		return answer{}, err
	}
	if err := c.fromClosedNetwork(); err != nil {
		return answer{}, err
	}
	sig, err := c.api.Keys.SignHash(c.ctx(), c.actor(), c.device.ID, ra.CertificateID(c.Param("certificate")), hash, digest)
	if err != nil {
		return answer{}, err
	}
	return document(http.StatusOK, map[string]string{"signature": base64.StdEncoding.EncodeToString(sig)})
}

// fromClosedNetwork keeps HSM keys inside the institution's private network (HCA-6.3.7).
func (c *call) fromClosedNetwork() error {
	if from, err := netip.ParseAddr(c.RealIP()); err == nil {
		from = from.Unmap().WithZone("")
		for _, p := range c.api.ClosedNetwork {
			if p.Contains(from) {
				return nil
			}
		}
	}
	return ra.Refuse("HCA-6.3.7", "outside-network", "Keys in the HSM are used from inside the institution's network only. Nothing was signed.", nil)
}

// getKeys are the public keys of status statements.
func (c *call) getKeys() (answer, error) {
	return answer{status: http.StatusOK, mediaType: typeKeySet, body: c.api.keySet}, nil
}

func keySet(pub crypto.PublicKey, id string) ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: pub, KeyID: id, Algorithm: string(jose.ES256), Use: "sig"}}})
}
