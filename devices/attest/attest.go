// Package attest judges what phones and chips say of the keys they made: Android Key Attestation, Apple App
// Attest, and statements of listed secure chips. It answers what was proved of a key; whether that is enough
// for a key design is the rule policy.KeyProof (HCA-6.0, HCA-6.1, HCA-6.2).
//
// Everything here is read from strangers: sizes are capped before parsing, nothing recurses without a limit,
// and no function reads the clock or the network. The moment of judging comes in by argument.
package attest

import (
	"fmt"
	"strings"
)

// Limits of what is parsed, in bytes. Anything larger is refused before it is looked into.
const (
	MaxObject     = 64 << 10 // an attestation: a PEM chain, an Apple object, a chip's proof
	MaxRootsFile  = 1 << 20  // a list of root certificates or of chips
	MaxStatusFile = 16 << 20 // the vendor's list of revoked attestation keys; a few hundred KiB in practice
)

const (
	maxChain   = 8    // certificates in a chain; the longest vendor chain has five
	maxRSABits = 4096 // larger keys cost a stranger nothing and us a long verification
)

// Codes of refusals: stable words for programs and for the message catalogue.
const (
	CodeMalformed     = "malformed"           // cannot be parsed, is empty or too large
	CodeUnsupported   = "unsupported"         // an algorithm or a format we do not support
	CodeChain         = "chain"               // names, signatures, order or length of the chain
	CodeRoot          = "unknown-root"        // the chain does not end at a known root's key
	CodeDates         = "dates"               // a certificate is not valid at the moment of judging
	CodePlacement     = "extension-placement" // the attestation is not in the leaf, or not in it alone
	CodeRevoked       = "revoked"             // the vendor's status list names a certificate of the chain
	CodeChallenge     = "challenge"           // the attestation holds another challenge (HCA-6.0)
	CodeKey           = "key"                 // the attestation speaks of another key
	CodeLevel         = "security-level"      // the key lives in a weaker place than required
	CodeOrigin        = "origin"              // the key was not generated there
	CodePurpose       = "purpose"             // the key may do other things than sign
	CodeAllApps       = "all-applications"    // any application may use the key
	CodeUserAuth      = "user-authentication" // the key works without the user
	CodeBoot          = "verified-boot"       // the system was not verified at boot, or the device is unlocked
	CodeApp           = "application"         // another application, or more than the one
	CodeEnvironment   = "environment"         // development instead of production, or the reverse
	CodeCounter       = "counter"             // a counter that did not start at zero or did not rise
	CodeSignature     = "signature"           // a signature over the statement that does not verify
	CodeChip          = "chip"                // a chip model that is not on the list
	CodeCertification = "certification"       // the chip's certification has expired
)

// Refusal is one reason why an attestation does not count.
type Refusal struct {
	Code   string // one of the Code constants
	Detail string // one English sentence or clause, without secrets
}

// Refusals are all the reasons found, never empty when returned as an error. Reading one, a person sees
// everything that has to be put right, not the first thing only.
type Refusals []Refusal

// Error joins the reasons with semicolons.
func (r Refusals) Error() string {
	parts := make([]string, len(r))
	for i, one := range r {
		parts[i] = one.Detail
	}
	return strings.Join(parts, "; ")
}

// Has says whether one of the reasons has this code.
func (r Refusals) Has(code string) bool {
	for _, one := range r {
		if one.Code == code {
			return true
		}
	}
	return false
}

// add appends a reason.
func (r *Refusals) add(code, format string, args ...any) {
	*r = append(*r, Refusal{code, fmt.Sprintf(format, args...)})
}

// err is nil when there is nothing against it.
func (r Refusals) err() error {
	if len(r) == 0 {
		return nil
	}
	return r
}

// refuse is a single reason as an error.
func refuse(code, format string, args ...any) error {
	return Refusals{{code, fmt.Sprintf(format, args...)}}
}
