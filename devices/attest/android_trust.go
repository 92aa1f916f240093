package attest

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
)

// AndroidRoots are the vendor's root keys. A root counts by its key and name, not by its certificate: the
// vendor has certified one key several times.
type AndroidRoots struct {
	bySPKI map[string]*x509.Certificate
}

// ParseAndroidRoots reads the vendor's roots.json, an array of PEM certificates.
func ParseAndroidRoots(data []byte) (*AndroidRoots, error) {
	if len(data) > MaxRootsFile {
		return nil, refuse(CodeMalformed, "the list of roots has %d bytes, more than %d", len(data), MaxRootsFile)
	}
	var pems []string
	if err := json.Unmarshal(data, &pems); err != nil {
		return nil, refuse(CodeMalformed, "the list of roots is not a JSON array of PEM certificates: %v", err)
	}
	roots := &AndroidRoots{bySPKI: map[string]*x509.Certificate{}}
	for i, text := range pems {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
			return nil, refuse(CodeMalformed, "root %d is not one PEM certificate", i+1)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, refuse(CodeMalformed, "root %d cannot be parsed: %v", i+1, err)
		}
		roots.bySPKI[string(cert.RawSubjectPublicKeyInfo)] = cert
	}
	if len(roots.bySPKI) == 0 {
		return nil, refuse(CodeMalformed, "the list of roots is empty")
	}
	return roots, nil
}

// AndroidStatus is the vendor's list of attestation keys that no longer count.
type AndroidStatus struct {
	bySerial map[string]string // serial in lower-case hex without leading zeros -> status
}

// ParseAndroidStatus reads the vendor's status.json. Every entry counts against its certificate, whatever its
// status: REVOKED and SUSPENDED are the known ones, and a word we do not know is no reason to accept.
//
// The vendor documents serials in lower-case hex. The list also holds older entries of digits only that are
// decimal, so an entry of digits only is read both ways.
func ParseAndroidStatus(data []byte) (*AndroidStatus, error) {
	if len(data) > MaxStatusFile {
		return nil, refuse(CodeMalformed, "the status list has %d bytes, more than %d", len(data), MaxStatusFile)
	}
	var file struct {
		Entries map[string]struct {
			Status string `json:"status"`
		} `json:"entries"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, refuse(CodeMalformed, "the status list cannot be parsed: %v", err)
	}
	if file.Entries == nil {
		return nil, refuse(CodeMalformed, "the status list has no entries member")
	}
	status := &AndroidStatus{bySerial: make(map[string]string, len(file.Entries))}
	for serial, entry := range file.Entries {
		if err := status.put(serial, entry.Status); err != nil {
			return nil, err
		}
	}
	return status, nil
}

// maxSerialDigits is more than any serial has: RFC 5280 allows 20 octets, 40 hex or 49 decimal digits.
const maxSerialDigits = 64

func (s *AndroidStatus) put(serial, status string) error {
	if serial == "" || len(serial) > maxSerialDigits {
		return refuse(CodeMalformed, "the status list has an entry whose serial number has %d digits", len(serial))
	}
	n, ok := new(big.Int).SetString(serial, 16)
	if !ok || n.Sign() < 0 {
		return refuse(CodeMalformed, "the status list has an entry that is no serial number: %q", serial)
	}
	s.bySerial[n.Text(16)] = status
	if n, ok := new(big.Int).SetString(serial, 10); ok {
		s.bySerial[n.Text(16)] = status
	}
	return nil
}

// of is the status of a certificate and whether it is listed.
func (s *AndroidStatus) of(cert *x509.Certificate) (string, bool) {
	status, listed := s.bySerial[cert.SerialNumber.Text(16)]
	return status, listed
}
