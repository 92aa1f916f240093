package certpath

import (
	"bytes"
	"encoding/pem"
)

// maxBlocks bounds the blocks of one PEM file.
const maxBlocks = 1000

var (
	byteOrderMark = []byte("\xef\xbb\xbf") // some editors put one before PEM
	pemBegin      = []byte("-----BEGIN")
)

// isDER tells whether a file of a certificate or CRL begins as DER does. None is shorter than 128 bytes, so
// that the length takes the long form; and text that begins with the digit 0 is not taken for DER.
func isDER(file []byte) bool {
	return len(file) > 1 && file[0] == 0x30 && file[1] > 0x80 && file[1] <= 0x84
}

// readPEM gives every block of a PEM file, between which any text may stand. The library's decoder skips
// blocks that it cannot read; here a file with such a block is refused, since what it leaves out may be the
// certificate that was meant or the CRL that revokes it.
func readPEM(file []byte) ([]*pem.Block, *Error) {
	var out []*pem.Block
	for rest := bytes.TrimPrefix(file, byteOrderMark); ; {
		block, next := pem.Decode(rest)
		if block == nil {
			if bytes.Contains(rest, pemBegin) {
				return nil, malformed("broken PEM block")
			}
			return out, nil
		}
		if bytes.Count(rest[:len(rest)-len(next)], pemBegin) != 1 {
			return nil, malformed("broken PEM block")
		}
		if out = append(out, block); len(out) > maxBlocks {
			return nil, malformed("more than %d PEM blocks", maxBlocks)
		}
		rest = next
	}
}

// ParseCertificates parses a PEM bundle of any number of certificates, or one DER certificate. Input of no
// bytes, or of white space, is no certificate; other input without a certificate is refused. PEM blocks of
// other types are refused as well, except that CRLs and parameters beside certificates are skipped.
func ParseCertificates(pemOrDER []byte) ([]*Certificate, error) {
	if len(pemOrDER) > MaxBundle {
		return nil, malformed("certificates: larger than %d bytes", MaxBundle)
	}
	if len(bytes.TrimSpace(bytes.TrimPrefix(pemOrDER, byteOrderMark))) == 0 {
		return nil, nil
	}
	if isDER(pemOrDER) {
		c, err := ParseCertificate(pemOrDER)
		if err != nil {
			return nil, err
		}
		return []*Certificate{c}, nil
	}
	blocks, err := readPEM(pemOrDER)
	if err != nil {
		return nil, malformed("certificates: %s", err.Detail)
	}
	var out []*Certificate
	for _, block := range blocks {
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE":
			c, err := ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		case "X509 CRL", "EC PARAMETERS":
		default:
			return nil, malformed("certificates: PEM block of type %q", block.Type)
		}
	}
	if len(out) == 0 {
		return nil, malformed("certificates: neither PEM nor DER")
	}
	return out, nil
}

// ParseCRLs parses one DER CRL, or a PEM file of one CRL or several. Certificates beside them are skipped; a
// file without a CRL is refused.
func ParseCRLs(pemOrDER []byte) ([]*CRL, error) {
	if len(pemOrDER) > MaxCRL {
		return nil, malformed("CRL: larger than %d bytes", MaxCRL)
	}
	if isDER(pemOrDER) {
		c, err := ParseCRL(pemOrDER)
		if err != nil {
			return nil, err
		}
		return []*CRL{c}, nil
	}
	blocks, bad := readPEM(pemOrDER)
	if bad != nil {
		return nil, malformed("CRL: %s", bad.Detail)
	}
	var out []*CRL
	for _, block := range blocks {
		switch block.Type {
		case "X509 CRL":
			c, err := ParseCRL(block.Bytes)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		case "CERTIFICATE", "X509 CERTIFICATE":
		default:
			return nil, malformed("CRL: PEM block of type %q", block.Type)
		}
	}
	if len(out) == 0 {
		return nil, malformed("CRL: neither DER nor PEM")
	}
	return out, nil
}
