package policy

import "slices"

// Signing is what a signature with a key in the HSM is asked for.
type Signing struct {
	Scope       string   // the application system's, as the certificate names it
	Certificate []string // the scope of use of the certificate
	Client      []string // the scopes that the asking system is registered for; of the app itself, those of the certificate
	SameClient  bool     // the asking system is registered, and at the certificate's institution
}

// SignatureScope decides whether a system may have a signature under a scope: the certificate must have been issued
// for it, and the system be approved for it (HCA-5.1.2).
func SignatureScope(s Signing) Decision {
	switch {
	case s.Scope == "":
		return Refuse("HCA-5.1.2", "scope-missing", "A signature is asked for under one scope of use; name it. Nothing was signed.")
	case !s.SameClient:
		return Refuse("HCA-5.1.2", "client-not-approved", "The system that asks is not approved at the institution of this certificate. Nothing was signed.")
	case !slices.Contains(s.Certificate, s.Scope):
		return Refuse("HCA-5.1.2", "scope-not-of-certificate", "The certificate was not issued for this scope of use. Nothing was signed.")
	case !slices.Contains(s.Client, s.Scope):
		return Refuse("HCA-5.1.2", "scope-not-of-client", "The system that asks is not approved for this scope of use. Nothing was signed.")
	}
	return Allow()
}
