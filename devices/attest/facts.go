package attest

import "certwindow/policy"

// Facts is what the rule policy.KeyProof wants to know of an attested key; the caller adds design, app
// approval and times. KeyBound is true only if want named the key of the request.
func (k *AndroidKey) Facts(want AndroidWant) policy.KeyFacts {
	level := map[Level]string{LevelSoftware: "software", LevelTEE: "tee", LevelStrongBox: "strongbox"}[k.Level]
	return policy.KeyFacts{Proof: "android", Verified: true, ChallengeHeld: true, KeyBound: want.SPKI != nil,
		Level: level, UserAuth: k.UserAuth, VerifiedBoot: k.VerifiedBoot}
}

// Facts is what the rule policy.KeyProof wants to know after an App Attest object was verified. The object is
// of the app's own key, so the caller says whether ClientDataHash also covered the key of the request.
func (k *AppleKey) Facts(coversRequestKey bool) policy.KeyFacts {
	return policy.KeyFacts{Proof: "apple", Verified: true, ChallengeHeld: true, KeyBound: coversRequestKey,
		Development: k.Environment != AppleProduction}
}

// Facts is what the rule policy.KeyProof wants to know of a chip's key.
func (k *ChipKey) Facts() policy.KeyFacts {
	certification := k.Chip.Certification
	return policy.KeyFacts{Proof: "chip", Verified: true, ChallengeHeld: k.ChallengeHeld, KeyBound: true,
		Chip: &certification}
}
