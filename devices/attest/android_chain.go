package attest

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// judge judges names, signatures and order of a chain (the leaf first), that it ends at a known root's key,
// that the attestation stands in the leaf and nowhere else, and the dates of a remotely provisioned chain.
//
// Chains made at the factory cannot be replaced on the device, so their dates are not judged, as the vendor's
// own verifier does not. The leaf's dates are the device's own saying and are judged in neither.
func (r *AndroidRoots) judge(chain []*x509.Certificate, at time.Time) error {
	if len(chain) < 3 || len(chain) > maxChain {
		return refuse(CodeChain, "the chain has %d certificates, not 3 to %d", len(chain), maxChain)
	}
	last := chain[len(chain)-1]
	root := r.bySPKI[string(last.RawSubjectPublicKeyInfo)]
	if root == nil || !bytes.Equal(root.RawSubject, last.RawSubject) {
		return refuse(CodeRoot, "the chain does not end at the key of a known root")
	}
	for i, cert := range chain[:len(chain)-1] {
		if r.bySPKI[string(cert.RawSubjectPublicKeyInfo)] != nil {
			return refuse(CodeChain, "certificate %d is a root, and others follow it", i+1)
		}
	}
	// From the root downwards, so that no key is used before a trusted one has signed it.
	issuer := root
	for i, cert := range slices.Backward(chain) {
		if err := issued(issuer, cert, i+1); err != nil {
			return err
		}
		issuer = cert
	}
	if err := placement(chain); err != nil {
		return err
	}
	remote, err := provisionedRemotely(chain)
	if err != nil || !remote {
		return err
	}
	for i, cert := range chain[1 : len(chain)-1] {
		if at.Before(cert.NotBefore) || at.After(cert.NotAfter) {
			return refuse(CodeDates, "certificate %d is valid from %s to %s only", i+2,
				cert.NotBefore.Format(time.RFC3339), cert.NotAfter.Format(time.RFC3339))
		}
	}
	return nil
}

// placement holds the attestation to the leaf. Whoever owns an attested key can sign a further certificate
// with it and write any attestation into that one: then there are two.
func placement(chain []*x509.Certificate) error {
	for i, cert := range chain {
		switch present := extension(cert, oidKeyDescription) != nil; {
		case i == 0 && !present:
			return refuse(CodePlacement, "the leaf certificate holds no attestation")
		case i > 0 && present:
			return refuse(CodePlacement, "certificate %d holds an attestation too: the chain was extended with an attested key", i+1)
		}
	}
	return nil
}

// provisionedRemotely says whether the attestation key was certified over the network, for weeks only. Such a
// certificate holds the ProvisioningInfo extension; the vendor's servers also have a name of their own.
func provisionedRemotely(chain []*x509.Certificate) (bool, error) {
	remote := false
	for _, cert := range chain[1:] {
		if value := extension(cert, oidProvisioningInfo); value != nil {
			if _, err := parseProvisioningInfo(value); err != nil {
				return false, err
			}
			remote = true
		}
	}
	server := chain[len(chain)-2].Subject
	if server.CommonName == "Droid CA2" && slices.Equal(server.Organization, []string{"Google LLC"}) {
		remote = true
	}
	return remote, nil
}

// provisioningInfo is the extension 1.3.6.1.4.1.11129.2.1.30: a CBOR map with integer keys.
type provisioningInfo struct {
	// CertificatesIssued is roughly how many certificates the device had in the last thirty days.
	CertificatesIssued *uint64 `cbor:"1,keyasint"`
}

func parseProvisioningInfo(value []byte) (provisioningInfo, error) {
	var info provisioningInfo
	var fields map[int64]cbor.RawMessage // every key an integer, none twice
	if len(value) > MaxObject || strictCBOR().Unmarshal(value, &fields) != nil ||
		strictCBOR().Unmarshal(value, &info) != nil {
		return info, refuse(CodeMalformed, "the provisioning information cannot be parsed")
	}
	return info, nil
}
