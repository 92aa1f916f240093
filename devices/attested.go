package devices

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"certwindow/policy"
	"certwindow/ra"
)

// KeyRecord is what is known of where a device key is kept (HCA-6.1). It is kept with the binding.
type KeyRecord struct {
	Tie      string          `json:"tie"` // "proved" by the platform, or "declared" by the app
	Attested *ra.Attested    `json:"attested,omitempty"`
	JudgedAt time.Time       `json:"judged_at"`
	Proof    *ra.Attestation `json:"proof,omitempty"` // as it came, so that it can be judged again
}

// Key is what is known of the binding's key; the zero value when it was presented before that was kept.
func (b Binding) Key() (k KeyRecord) {
	if json.Unmarshal([]byte(b.Attestation), &k) != nil {
		return KeyRecord{}
	}
	return k
}

// BindingChallenge is what the attestation of a device key holds: it is derived from the one-time code of the counter's
// QR, so that the key was made after the code was shown, and for it alone (HCA-6.0).
func BindingChallenge(code string) []byte {
	sum := sha256.Sum256([]byte("certwindow binding attestation v1\x00" + code))
	return sum[:]
}

// platformFormats is how each platform attests a device key.
var platformFormats = map[ra.Platform]ra.AttestationFormat{ra.PlatformAndroid: ra.AttestAndroid, ra.PlatformIOS: ra.AttestApple}

// judgeDeviceKey writes down what is known of the key that a phone presents, and refuses what is wrong or not enough.
func (s *Service) judgeDeviceKey(tx Tx, b *Binding, code string, proof *ra.Attestation) error {
	d, err := tx.Device("", b.Device)
	if err != nil {
		return err
	}
	now := s.now()
	record := KeyRecord{Tie: "declared", JudgedAt: now.UTC(), Proof: proof}
	facts := policy.KeyFacts{Proof: "declared"}
	if proof != nil {
		if proof.Format != platformFormats[d.Platform] {
			return ra.Refuse("HCA-6.1", "attestation-of-other-platform", "The attestation is not of the platform that this device is registered with. Nothing was bound.", nil)
		}
		app, _, _ := b.Reported()
		challenge := BindingChallenge(code)
		digests, err := tx.AppDigests(d.ID, app)
		if err != nil {
			return err
		}
		got, err := s.keys.Judge(*proof, ra.AttestationWant{Challenge: challenge, ClientData: ra.ClientData(challenge, b.KeySPKI), SPKI: b.KeySPKI,
			Package: app, Digests: digests, At: now})
		if err != nil {
			return err
		}
		record.Attested, facts = &got, got.Facts
		record.Tie = policy.KeyTie(facts)
	}
	if err := ra.Refused(policy.DeviceKey(facts, s.keys.Setting(d.Platform))); err != nil {
		return err
	}
	raw, err := json.Marshal(record)
	b.Attestation = string(raw)
	return err
}
