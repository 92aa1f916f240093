package api

import (
	"crypto"
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"

	"certwindow/ra"
	"certwindow/ra/revoke"
)

const (
	typeKeySet = "application/jwk-set+json" // RFC 7517 section 8.5
)

type certificate struct {
	Certificate ra.CertificateID    `json:"certificate"`
	Serial      string              `json:"serial"`
	State       ra.CertificateState `json:"state"`
	KeyDesign   ra.KeyDesign        `json:"key_design"`
	Scope       []string            `json:"scope"`
	NotAfter    time.Time           `json:"not_after"`
	RenewBy     *time.Time          `json:"renew_by,omitempty"` // there once it is time to apply for the next
	RenewedBy   ra.CertificateID    `json:"renewed_by,omitempty"`
	Renews      ra.CertificateID    `json:"renews,omitempty"`
}

// maxCertificates is the contract's cap on one list.
const maxCertificates = 200

// listCertificates are the signed-in holder's, of this device's present binding: what was made under an earlier one is
// on no phone that may use it (HCA-7.3, HCA-7.4).
func (c *call) listCertificates() (answer, error) {
	list, err := c.api.Certificates.Certificates(c.ctx(), c.actor(), revoke.Query{Device: c.device.ID, Person: c.login.Person, Limit: maxCertificates})
	if err != nil {
		return answer{}, err
	}
	due, err := c.due(list)
	if err != nil {
		return answer{}, err
	}
	out := []certificate{}
	for _, x := range list {
		if x.DeviceID == c.device.ID && x.Generation == c.device.Generation {
			line := certificate{Certificate: x.ID, Serial: x.Serial, State: x.State, KeyDesign: x.KeyDesign, Scope: x.Scope, NotAfter: x.NotAfter.UTC()}
			if by, is := due[x.ID]; is {
				line.RenewBy = &by
			}
			out = append(out, line)
		}
	}
	if err := c.linked(out); err != nil {
		return answer{}, err
	}
	return document(http.StatusOK, map[string][]certificate{"certificates": out})
}

// getKeys are the public keys of status statements, and the window's signed word on the key that phones encrypt their
// secrets to (HCA-6.3.5).
func (c *call) getKeys() (answer, error) {
	return answer{status: http.StatusOK, mediaType: typeKeySet, body: c.api.keySet}, nil
}

// keySet is the document, with members that RFC 7517 section 5 leaves to us.
func keySet(pub crypto.PublicKey, id, activation string, successions []string) ([]byte, error) {
	return json.Marshal(struct {
		jose.JSONWebKeySet
		Activation  string   `json:"activation"`
		Successions []string `json:"successions,omitempty"`
	}{jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: pub, KeyID: id, Algorithm: string(jose.ES256), Use: "sig"}}}, activation, successions})
}
