package certpath

import "time"

// Bytes that parsers accept; more is malformed. Callers that read input need read no more than one byte over.
const (
	MaxCertificate = 256 << 10 // one certificate
	MaxBundle      = 4 << 20   // a file of certificates
	MaxCRL         = 64 << 20
	MaxOCSP        = 1 << 20
)

// Bounds on the work that input chosen by a stranger can cause.
const (
	maxOIDLength     = 64
	maxDepth         = 20   // certificates of a path, both ends counted
	maxCandidates    = 2000 // issuer candidates looked at in one validation
	maxPaths         = 200  // complete paths judged in one validation
	maxComparisons   = 100_000
	maxRSABits       = 8192
	minRSABits       = 2048
	maxPoints        = 64  // distribution points of a certificate, and names of a distribution point
	maxRevocationTry = 200 // CRL and OCSP candidates looked at in one validation
	maxSignerDepth   = 3   // paths of CRL signers within paths of CRL signers
	maxFetches       = 16  // network requests of one validation

	// signatureBudget bounds the signatures checked in one validation, in units of about 12 µs of one core.
	signatureBudget = 2600

	defaultSkew    = 5 * time.Minute
	defaultOCSPAge = 24 * time.Hour
)
