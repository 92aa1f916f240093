package policy

import (
	"slices"
	"strings"
)

// Ground is one case in which the window may revoke a certificate without the holder's consent (HCA-5.2.2).
type Ground struct {
	Name   string
	Case   int    // (1), (2) or (3) of the clause
	Reason string // RFC 5280 section 5.3.1
	Title  string // one short English phrase
}

// grounds are the cases of HCA-5.2.2 in its order. A lost device's key is treated as compromised: whoever
// finds the device holds it.
var grounds = [...]Ground{
	{"device-broken", 1, "cessationOfOperation", "the device is broken"},
	{"key-compromised", 1, "keyCompromise", "the key is compromised"},
	{"key-misused", 1, "keyCompromise", "somebody else used the key"},
	{"device-lost", 2, "keyCompromise", "the device is lost"},
	{"device-scrapped", 2, "cessationOfOperation", "the device was scrapped"},
	{"person-left", 2, "affiliationChanged", "the holder left or no longer practises"},
	{"person-died", 2, "cessationOfOperation", "the holder died"},
	{"no-permission", 2, "privilegeWithdrawn", "no application may be used with it any more"},
	{"carrier-not-allowed", 3, "privilegeWithdrawn", "it is installed on a carrier that is not allowed"},
}

// GroundOf finds a ground by its name.
func GroundOf(name string) (Ground, bool) {
	i := slices.IndexFunc(grounds[:], func(g Ground) bool { return g.Name == name })
	if i < 0 {
		return Ground{}, false
	}
	return grounds[i], true
}

// Grounds are all grounds, in the clause's order.
func Grounds() []Ground { return slices.Clone(grounds[:]) }

// RevokeWithoutConsent decides whether a certificate may be revoked that its holder did not ask to have revoked
// (HCA-5.2.2: only on one of its grounds). startedBy is "person", who must give a note and have approvals of at
// least one other person, or "sweep", which must have proved the ground and then needs neither. approvals
// counts people other than the one who started it.
func RevokeWithoutConsent(ground, startedBy string, approvals int, note string, proved bool) Decision {
	if _, ok := GroundOf(ground); !ok {
		return Refuse("HCA-5.2.2", "ground-unknown",
			"Without the holder's consent a certificate is revoked only on a ground the rule book names; choose one of them.")
	}
	switch startedBy {
	case "sweep":
		if !proved {
			return Refuse("HCA-5.2.2", "ground-not-proved", "The sweep did not prove the ground; a person must look at it and start the revocation.")
		}
	case "person":
		if strings.TrimSpace(note) == "" {
			return Refuse("HCA-5.2.2", "note-required", "A revocation without consent needs a note; write what happened and how it is known.")
		}
		if approvals < 1 {
			return Refuse("HCA-5.2.2", "approval-required",
				"A second person must approve a revocation without consent; until then the certificate can be suspended at once.")
		}
	default:
		return Refuse("HCA-5.2.2", "starter-unknown", "Only a person or the sweep can start a revocation without consent.")
	}
	return Allow()
}
