package enrol

import (
	"encoding/json"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/csr"
)

// What KeyProof.Kind says: how a key is tied to its application, in the words of policy.KeyTie, and "hsm" of a key that
// the window recorded making.
const (
	KindProved   = "proved"
	KindDeclared = "declared"
	KindHSM      = "hsm"
)

// KeyProof says what is known of where a key was made (HCA-6.0). It is kept with the application.
type KeyProof struct {
	Kind     string          `json:"kind"`    // one of the Kind constants
	MadeAt   time.Time       `json:"made_at"` // of one that the phone made, when its request came and was judged
	Attested *ra.Attested    `json:"attested,omitempty"`
	Proof    *ra.Attestation `json:"proof,omitempty"`   // as it came, so that it can be judged again
	Package  string          `json:"package,omitempty"` // the app that the device said to run
	Digests  []string        `json:"digests,omitempty"` // what its approved versions were known by
}

// ReadKeyProof is what is known of an application's key; the zero value when there is no key, or what is known was erased.
func ReadKeyProof(a ra.Application) (k KeyProof) {
	if json.Unmarshal(a.KeyProof, &k) != nil {
		return KeyProof{}
	}
	return k
}

// judgeKey decides whether what is known of a phone's or a chip's key is enough for its design (HCA-6.0 to HCA-6.2).
func (s *Service) judgeKey(tx Tx, d ra.DeviceFacts, a ra.Application, req *csr.Request, proof *ra.Attestation) (KeyProof, error) {
	now := s.now()
	app, err := tx.AppFacts(d.ID)
	if err != nil {
		return KeyProof{}, err
	}
	setting := s.cfg.Attestor.Setting(d.Platform)
	facts := policy.KeyFacts{Proof: KindDeclared, NoAttestation: setting.AllowDeclared, KeyBound: true}
	made := KeyProof{MadeAt: now.UTC(), Package: app.App, Proof: proof}
	if proof != nil {
		if (a.KeyDesign == ra.KeyChip) != (proof.Format == ra.AttestChip) {
			return KeyProof{}, ra.Refuse("HCA-6.0", "attestation-of-other-design", "The attestation is not of the key design that was applied for. Nothing was changed.", nil)
		}
		if made.Digests, err = tx.AppDigests(d.ID, app.App); err != nil {
			return KeyProof{}, err
		}
		got, err := s.cfg.Attestor.Judge(*proof, wanted(a, req.SPKI, made))
		if err != nil {
			return KeyProof{}, err
		}
		facts, made.Attested = got.Facts, &got
	}
	facts.Design, facts.Applied, facts.Made = string(a.KeyDesign), a.CreatedAt, now
	onDevice := policy.AppOnDevice(app.Rule)
	facts.AppApproved = onDevice.Allowed
	if err := ra.Refused(policy.All(onDevice, policy.KeyProof(facts, setting, now))); err != nil {
		return KeyProof{}, err
	}
	made.Kind = policy.KeyTie(facts)
	return made, nil
}

// wanted is what an attestation of an application's key has to show.
func wanted(a ra.Application, spki []byte, k KeyProof) ra.AttestationWant {
	return ra.AttestationWant{Challenge: a.Challenge, ClientData: ra.ClientData(a.Challenge, spki), SPKI: spki, Package: k.Package, Digests: k.Digests, At: k.MadeAt}
}
