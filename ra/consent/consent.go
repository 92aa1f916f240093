// Package consent judges card-signed messages with what this window is configured to trust: the pinned
// roots, the HCA's status services, and the marks of an IC card's certificate (HCA-5.1.1, HCA-5.2.1).
package consent

import (
	"time"

	"certwindow/policy"
)

// Expected is what the message must be, taken from the database and never from the message.
type Expected struct {
	Text    []byte // byte for byte (HCA-8.1.3)
	Nonce   string
	Holder  string
	Name    string
	Issued  time.Time
	Expires time.Time
	Bare    bool          // the message wraps a bare signature, which no message with signed attributes is taken for
	Clause  policy.Clause // HCA-5.1.1 of an enrolment, HCA-5.2.1 of a revocation
	// Judged are the rules that the use case holds the application against before it takes the message. They are kept
	// with the proof, which is stored only when all of them have passed.
	Judged []policy.Clause
}

// Verified is what was found of a message that passed.
type Verified struct {
	Bare              bool   // a bare signature that the window wrapped
	Proof             []byte // JSON: the signer's path and the revocation answers it was judged by
	SignerFingerprint string // SHA-256 of the signer's certificate, hex
	MessageSHA256     string // of the CMS, hex
}
