package certpath

import (
	"bytes"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
)

func pemBlock(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// HCA-5.1.1: what stands in a PEM file counts in full, or the file is refused. A block that is skipped in
// silence could be the leaf that was meant, or the CRL that revokes it.
func TestPEMFiles(t *testing.T) {
	root := issue(t, nil, "root", asCA)
	ca := issue(t, root, "CA", asCA)
	leaf := issue(t, ca, "leaf", nil)
	cert := func(e *entity) string { return pemBlock("CERTIFICATE", e.cert.Raw) }
	first, second := root.crl(t, nil), ca.crl(t, revoking(leaf, 1))
	lists := pemBlock("X509 CRL", first.Raw) + pemBlock("X509 CRL", second.Raw)
	broken := "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
	endless := "-----BEGIN CERTIFICATE-----\nMIIB\n"
	for name, c := range map[string]struct {
		text        string
		certs, crls int // -1 is refused
	}{
		"two certificates":  {cert(leaf) + cert(ca), 2, -1},
		"text around":       {"0 s:CN = leaf\n" + cert(leaf) + "\nthe end\n", 1, -1},
		"CRLF":              {strings.ReplaceAll(cert(leaf), "\n", "\r\n"), 1, -1},
		"byte order mark":   {"\xef\xbb\xbf" + lists, -1, 2},
		"two CRLs":          {lists, -1, 2},
		"both kinds":        {cert(ca) + lists, 1, 2},
		"DER certificate":   {string(leaf.cert.Raw), 1, -1},
		"DER CRL":           {string(first.Raw), -1, 1},
		"broken, then good": {broken + cert(leaf) + lists, -1, -1},
		"good, then broken": {cert(leaf) + lists + broken, -1, -1},
		"without end":       {endless + cert(leaf) + lists, -1, -1},
		"a private key":     {cert(leaf) + lists + pemBlock("PRIVATE KEY", []byte{5, 0}), -1, -1},
		"no PEM":            {"0 certificates", -1, -1},
		"too many":          {strings.Repeat(cert(leaf), maxBlocks+1), -1, -1},
	} {
		t.Run(name, func(t *testing.T) {
			gotCerts, err := ParseCertificates([]byte(c.text))
			if (err != nil) != (c.certs < 0) || len(gotCerts) != max(c.certs, 0) {
				t.Errorf("%d certificates, %v; %d are wanted", len(gotCerts), err, c.certs)
			}
			gotCRLs, err := ParseCRLs([]byte(c.text))
			if (err != nil) != (c.crls < 0) || len(gotCRLs) != max(c.crls, 0) {
				t.Errorf("%d CRLs, %v; %d are wanted", len(gotCRLs), err, c.crls)
			}
		})
	}
	if _, err := ParseCRL([]byte(lists)); err == nil {
		t.Error("of two CRLs in a file one was taken")
	}
	if one, err := ParseCRL([]byte(pemBlock("X509 CRL", first.Raw))); err != nil || !bytes.Equal(one.Raw, first.Raw) {
		t.Errorf("one CRL in PEM: %v", err)
	}
	all, err := ParseCRLs([]byte(lists))
	if err != nil {
		t.Fatal(err)
	}
	_, err = validate(leaf, Options{Anchors: certs(root), Intermediates: certs(ca), CRLs: slices.Clip(all)})
	if reasonOf(err) != ReasonRevoked {
		t.Errorf("revoked by the second CRL of a file: %v", err)
	}
}
