package certpath

import "time"

// Bounds on what is read and on the work that input chosen by a stranger can cause.
const (
	maxCertificate   = 256 << 10 // bytes of one certificate
	maxBundle        = 4 << 20   // bytes of a PEM file
	maxBundleCerts   = 1000
	maxCRL           = 64 << 20
	maxOCSP          = 1 << 20
	maxOIDLength     = 64
	maxDepth         = 20   // certificates of a path, both ends counted
	maxCandidates    = 2000 // issuer candidates looked at in one validation
	maxPaths         = 64   // complete paths judged in one validation
	maxComparisons   = 100_000
	maxRSABits       = 8192
	minRSABits       = 2048
	maxRevocationTry = 200 // CRL and OCSP candidates looked at in one validation
	maxSignerDepth   = 3   // paths of CRL signers within paths of CRL signers
	maxFetches       = 16  // network requests of one validation

	// signatureBudget bounds the signatures checked in one validation, in units of about 12 µs of one core.
	signatureBudget = 2600

	defaultSkew    = 5 * time.Minute
	defaultOCSPAge = 24 * time.Hour
)
