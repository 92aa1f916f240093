package evidence

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"certwindow/ra"
	"certwindow/ra/csr"
)

// FileKey is what is known of where and when the key was made, with its attestation as it came (HCA-6.0); enrolments alone,
// and not those from before it was kept.
const FileKey = "key.json"

// Key is what the evidence says of the key: how it is tied to its application, and what was proved of it.
type Key struct {
	Tie      string       `json:"tie"` // "proved", "declared", or "hsm": recorded by the window
	MadeAt   time.Time    `json:"made_at"`
	Attested *ra.Attested `json:"attested,omitempty"`
	// Judged tells whether the attestation was judged again just now, at the moment at which it was judged then.
	Judged bool `json:"judged"`
}

// keyFile is FileKey as the window keeps it with the application.
type keyFile struct {
	Kind     string          `json:"kind"`
	MadeAt   time.Time       `json:"made_at"`
	Attested *ra.Attested    `json:"attested"`
	Proof    *ra.Attestation `json:"proof"`
	Package  string          `json:"package"`
	Digests  []string        `json:"digests"`
}

// checkKey reads what is known of the key, and judges its attestation again where somebody can: it has to be of the very
// key and challenge in the request. "Proved" without an attestation is a lie.
func checkKey(data, request []byte, judge func(ra.Attestation, ra.AttestationWant) (ra.Attested, error)) (*Key, error) {
	if data == nil {
		return nil, nil
	}
	var f keyFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, refuse(ReasonKey, err, FileKey)
	}
	k := &Key{Tie: f.Kind, MadeAt: f.MadeAt, Attested: f.Attested}
	if f.Kind == "proved" && (f.Proof == nil || f.Attested == nil) {
		return nil, refuse(ReasonKey, nil, "the key is called proved, and there is no attestation")
	}
	if judge == nil || f.Proof == nil {
		return k, nil
	}
	req, err := csr.Parse(request)
	if err != nil {
		return nil, refuse(ReasonCSR, err, FileCSR)
	}
	challenge, err := base64.RawURLEncoding.DecodeString(req.Challenge)
	if err != nil {
		return nil, refuse(ReasonCSR, err, "the request's challenge")
	}
	_, err = judge(*f.Proof, ra.AttestationWant{Challenge: challenge, ClientData: ra.ClientData(challenge, req.SPKI), SPKI: req.SPKI,
		Package: f.Package, Digests: f.Digests, At: f.MadeAt})
	if err != nil && ra.AsError(err).Code == ra.CodeNotJudged {
		return k, nil // its format's roots were not given
	}
	if err != nil {
		return nil, refuse(ReasonKey, err, "the key's attestation")
	}
	k.Judged = true
	return k, nil
}
