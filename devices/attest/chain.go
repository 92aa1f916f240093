package attest

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ParseChain reads PEM certificates in the order given, which is the leaf first. Text between the blocks is
// ignored, any other kind of block is refused.
func ParseChain(data []byte) ([]*x509.Certificate, error) {
	if len(data) > MaxObject {
		return nil, refuse(CodeMalformed, "the chain has %d bytes, more than %d", len(data), MaxObject)
	}
	// The decoder skips blocks that it cannot read; here nothing that looks like a certificate is skipped.
	blocks := bytes.Count(data, []byte("-----BEGIN "))
	if blocks > maxChain {
		return nil, refuse(CodeMalformed, "the chain has more than %d certificates", maxChain)
	}
	var chain []*x509.Certificate
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, refuse(CodeMalformed, "the chain holds a PEM block that is not a certificate")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, refuse(CodeMalformed, "certificate %d cannot be parsed: %v", len(chain)+1, err)
		}
		chain = append(chain, cert)
		data = rest
	}
	if len(chain) == 0 {
		return nil, refuse(CodeMalformed, "no certificate was found")
	}
	if len(chain) != blocks {
		return nil, refuse(CodeMalformed, "%d of %d PEM blocks can be read", len(chain), blocks)
	}
	return chain, nil
}

// parseChainDER reads certificates that came one by one in DER.
func parseChainDER(ders [][]byte, what string) ([]*x509.Certificate, error) {
	if len(ders) == 0 || len(ders) > maxChain {
		return nil, refuse(CodeMalformed, "%s holds %d certificates, not 1 to %d", what, len(ders), maxChain)
	}
	chain := make([]*x509.Certificate, len(ders))
	for i, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, refuse(CodeMalformed, "certificate %d of %s cannot be parsed: %v", i+1, what, err)
		}
		chain[i] = cert
	}
	return chain, nil
}

// issued says whether issuer's name and key stand behind cert. It asks nothing of the issuer's extensions:
// attestation chains in the field break RFC 5280 there (attestation keys marked as no CA), and the vendor's
// verifier does not look at them either. position names cert in a reason: a stranger's subject is not repeated.
func issued(issuer, cert *x509.Certificate, position int) error {
	if !bytes.Equal(cert.RawIssuer, issuer.RawSubject) {
		return refuse(CodeChain, "certificate %d was issued under another name than the next certificate's", position)
	}
	if key, ok := issuer.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
		return refuse(CodeUnsupported, "certificate %d is signed with an unsupported RSA key of %d bits", position, key.N.BitLen())
	}
	err := issuer.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature)
	var insecure x509.InsecureAlgorithmError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, x509.ErrUnsupportedAlgorithm), errors.As(err, &insecure):
		return refuse(CodeUnsupported, "certificate %d has an unsupported signature algorithm: %v", position, err)
	default:
		return refuse(CodeChain, "the signature on certificate %d does not verify", position)
	}
}

// asRefusals turns any error into refusals, for functions that gather several.
func asRefusals(err error) Refusals {
	var r Refusals
	if errors.As(err, &r) {
		return r
	}
	return Refusals{{CodeMalformed, fmt.Sprint(err)}}
}
