package ra

import (
	"crypto/sha256"
	"slices"
	"time"

	"certwindow/policy"
)

// AttestationFormat says who vouches for a key, and how.
type AttestationFormat string

// The formats that are judged; docs/attestation.md describes them.
const (
	AttestAndroid AttestationFormat = "android-key"      // Android Key Attestation
	AttestApple   AttestationFormat = "apple-app-attest" // Apple App Attest
	AttestChip    AttestationFormat = "secure-chip"      // a listed chip's proof (HCA-6.2)
)

// Attestation is what a phone or a chip says of a key that it made, as it came: nothing of it is believed yet.
type Attestation struct {
	Format AttestationFormat `json:"format"`
	Chain  [][]byte          `json:"chain,omitempty"`  // android-key: certificates in DER, the key's first
	KeyID  []byte            `json:"key_id,omitempty"` // apple-app-attest
	Object []byte            `json:"object,omitempty"` // apple-app-attest: CBOR; secure-chip: the chip's proof, JSON
}

// AttestationWant is what an attestation has to show.
type AttestationWant struct {
	Challenge  []byte    // what an Android key or a chip holds whole
	ClientData [32]byte  // what an App Attest object covers: it stands for challenge and key
	SPKI       []byte    // of the key, DER
	Package    string    // of the app that the phone says to run
	Digests    []string  // of that app's approved versions: signing certificates in hex, or TEAM.BUNDLE; none: nothing is approved
	At         time.Time // the moment of judging
}

// ClientData is what an App Attest object covers: the challenge and the key that it was asked for.
func ClientData(challenge, spki []byte) [32]byte {
	return sha256.Sum256(slices.Concat(challenge, spki))
}

// Attested is what a verified attestation proves. It is kept with the key.
type Attested struct {
	Format  AttestationFormat `json:"format"`
	Level   string            `json:"level,omitempty"`    // tee or strongbox; of Android alone
	App     string            `json:"app,omitempty"`      // the approved app that holds the key
	OSPatch string            `json:"os_patch,omitempty"` // YYYYMM or YYYYMMDD, as the secure environment says; of Android alone
	Chip    string            `json:"chip,omitempty"`     // the chip's model

	Facts policy.KeyFacts `json:"-"` // what the rules ask; design, app and times are the caller's to add
}

// Attestor judges attestations under the operator's roots.
type Attestor interface {
	// Judge refuses what does not show all that is wanted, under HCA-6.0, HCA-6.1 or HCA-6.2.
	Judge(a Attestation, w AttestationWant) (Attested, error)
	// Setting is what the window demands of keys on a platform.
	Setting(p Platform) policy.KeySetting
}

// Unattested is the Attestor of a window that has no roots to judge by: keys are taken as declared, no chip is listed, and
// an attestation that is sent all the same is refused, since nobody looked at it.
type Unattested struct{}

// CodeNotJudged is the code of a refusal of what nobody could look at.
const CodeNotJudged = "attestation-not-judged"

// Judge refuses.
func (Unattested) Judge(Attestation, AttestationWant) (Attested, error) {
	return Attested{}, Refuse("HCA-6.1", CodeNotJudged, "This window has nothing to judge attestations of this format by. Nothing was changed; send none.", nil)
}

// Setting takes the approved app's word.
func (Unattested) Setting(Platform) policy.KeySetting {
	return policy.KeySetting{Designs: []string{string(KeyApp), string(KeyHSM)}, AllowDeclared: true}
}
