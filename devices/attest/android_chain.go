package attest

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// judge judges names, signatures and order of a chain (the leaf first), that it ends at a known root's key,
// that the attestation stands in the leaf and nowhere else, that it has the length of its kind, and its dates.
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
	kind, err := provisioningOf(chain)
	if err != nil {
		return err
	}
	if err := kind.length(len(chain)); err != nil {
		return err
	}
	return kind.dates(chain, at)
}

// provisioning is how a device came by its attestation key.
type provisioning int

const (
	provisionedOtherwise provisioning = iota // by no way that we know: software, or a way to come
	provisionedAtFactory
	provisionedRemotely
)

// provisioningOf tells it as the vendor's verifier does, by the name of the certificate below the root: a factory's has
// a serial number there, the servers' has a name of its own. Certificates over the network also hold the
// ProvisioningInfo extension.
func provisioningOf(chain []*x509.Certificate) (provisioning, error) {
	kind, below := provisionedOtherwise, chain[len(chain)-2].Subject
	if below.SerialNumber != "" {
		kind = provisionedAtFactory
	}
	if below.CommonName == "Droid CA2" && slices.Equal(below.Organization, []string{"Google LLC"}) {
		kind = provisionedRemotely
	}
	for _, cert := range chain[1:] {
		if value := extension(cert, oidProvisioningInfo); value != nil {
			if _, err := parseProvisioningInfo(value); err != nil {
				return kind, err
			}
			kind = provisionedRemotely
		}
	}
	return kind, nil
}

// length holds a chain to the certificates of its kind: key, attestation key, one intermediate or two, root. A longer one
// was extended by somebody who owns a key in it.
func (p provisioning) length(n int) error {
	least, most := 3, 4
	switch p {
	case provisionedAtFactory:
		least = 4
	case provisionedRemotely:
		least, most = 5, 5
	}
	if n < least || n > most {
		return refuse(CodeChain, "the chain has %d certificates, and one of its kind has %d to %d", n, least, most)
	}
	return nil
}

// dates judges all certificates between leaf and root. What a factory put into a device cannot be replaced there, so its
// end is not judged, as the vendor's own verifier does not. The leaf's dates are the device's own saying.
func (p provisioning) dates(chain []*x509.Certificate, at time.Time) error {
	for i, cert := range chain[1 : len(chain)-1] {
		if at.Before(cert.NotBefore) || at.After(cert.NotAfter) && p != provisionedAtFactory {
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
