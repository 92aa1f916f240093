package attest

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"

	"certwindow/policy"
	"certwindow/ra"
)

// Trust is what attestations are judged by. What is nil judges nothing: attestations of that format are refused.
type Trust struct {
	Android *AndroidRoots
	Status  *AndroidStatus
	Apple   []*x509.Certificate
	Chips   *ChipList
	// Development admits apps of Apple's development environment; never set in production mode.
	Development bool
	// Verified demands of Android a system that was verified at boot on a locked device.
	Verified bool
	// Minimum is Android's; zero: LevelTEE.
	Minimum Level
}

// Judge judges an attestation of any format (HCA-6.0, HCA-6.1, HCA-6.2). Its refusals name the clause.
func (t *Trust) Judge(a ra.Attestation, w ra.AttestationWant) (ra.Attested, error) {
	clause, judge := policy.Clause("HCA-6.1"), t.judgeAndroid
	switch a.Format {
	case ra.AttestAndroid:
	case ra.AttestApple:
		judge = t.judgeApple
	case ra.AttestChip:
		clause, judge = "HCA-6.2", t.judgeChip
	default:
		return ra.Attested{}, ra.Errorf(ra.KindMalformed, "attestation", nil, "The attestation is of no known format. Nothing was changed.")
	}
	got, err := judge(a, w)
	if err == nil {
		return got, nil
	}
	if ra.KindOf(err) != ra.KindInternal {
		return ra.Attested{}, err
	}
	reasons := asRefusals(err)
	if reasons.Has(CodeChallenge) {
		clause = "HCA-6.0"
	}
	return ra.Attested{}, ra.Refuse(clause, "attestation-"+reasons[0].Code, "The attestation does not prove this key: "+reasons.Error()+". Nothing was changed.", err)
}

// notJudged is the refusal of a format for which the operator gave nothing to judge by.
func notJudged() error {
	_, err := ra.Unattested{}.Judge(ra.Attestation{}, ra.AttestationWant{})
	return err
}

// approved refuses where no version of the app is approved.
func approved(w ra.AttestationWant) error {
	if len(w.Digests) > 0 {
		return nil
	}
	return ra.Refuse("HCA-6.1", "app-not-approved", "No version of this app is approved by the window. Nothing was changed; install an approved one.", nil)
}

// judgeAndroid wants exactly one of the app's signing certificates; there is more than one when it was renewed.
func (t *Trust) judgeAndroid(a ra.Attestation, w ra.AttestationWant) (ra.Attested, error) {
	if t.Android == nil || t.Status == nil {
		return ra.Attested{}, notJudged()
	}
	if err := approved(w); err != nil {
		return ra.Attested{}, err
	}
	total := 0
	for _, der := range a.Chain {
		total += len(der)
	}
	if total > MaxObject {
		return ra.Attested{}, refuse(CodeMalformed, "the chain has %d bytes, more than %d", total, MaxObject)
	}
	chain, err := parseChainDER(a.Chain, "the attestation")
	if err != nil {
		return ra.Attested{}, err
	}
	want := AndroidWant{Roots: t.Android, Status: t.Status, Challenge: w.Challenge, At: w.At, MinLevel: t.Minimum, RequireVerifiedBoot: t.Verified, SPKI: w.SPKI}
	var key *AndroidKey
	for _, digest := range w.Digests {
		raw, derr := hex.DecodeString(digest)
		if derr != nil {
			continue
		}
		want.App = &AndroidApp{Package: w.Package, SigningDigest: raw}
		if key, err = VerifyAndroid(chain, want); err == nil {
			break
		}
	}
	if err != nil || key == nil {
		return ra.Attested{}, err
	}
	got := ra.Attested{Format: a.Format, App: w.Package, Facts: key.Facts(want)}
	got.Level = got.Facts.Level
	if patch := key.Description.HardwareEnforced.OSPatchLevel; patch != nil {
		text, _ := patch.MarshalText() // of a number it cannot fail
		got.OSPatch = string(text)
	}
	return got, nil
}

func (t *Trust) judgeApple(a ra.Attestation, w ra.AttestationWant) (ra.Attested, error) {
	if len(t.Apple) == 0 {
		return ra.Attested{}, notJudged()
	}
	if err := approved(w); err != nil {
		return ra.Attested{}, err
	}
	environments := []AppleEnvironment{AppleProduction}
	if t.Development {
		environments = append(environments, AppleDevelopment)
	}
	var key *AppleKey
	var err error
	for _, app := range w.Digests {
		for _, environment := range environments {
			key, err = VerifyApple(a.Object, AppleWant{Roots: t.Apple, AppID: app, KeyID: a.KeyID, ClientDataHash: w.ClientData, Environment: environment, At: w.At})
			if err == nil {
				return ra.Attested{Format: a.Format, App: key.AppID, Facts: key.Facts(true)}, nil
			}
		}
	}
	return ra.Attested{}, err
}

func (t *Trust) judgeChip(a ra.Attestation, w ra.AttestationWant) (ra.Attested, error) {
	if t.Chips == nil {
		return ra.Attested{}, notJudged()
	}
	key, err := VerifyChip(a.Object, ChipWant{List: t.Chips, Challenge: w.Challenge, SPKI: bytes.Clone(w.SPKI), At: w.At})
	if err != nil {
		return ra.Attested{}, err
	}
	return ra.Attested{Format: a.Format, Chip: key.Chip.Model, Facts: key.Facts()}, nil
}
