package certpath

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// seeds adds files of the corpora that match, up to limit for a pattern; without corpora none.
func seeds(f *testing.F, limit int, patterns ...string) {
	dir := corporaFolder(f)
	for _, p := range patterns {
		files, _ := filepath.Glob(filepath.Join(dir, p))
		for i, file := range files {
			if i >= limit {
				break
			}
			b := readFile(f, file)
			if block, _ := pem.Decode(b); block != nil {
				b = block.Bytes
			} else if filepath.Ext(file) == ".ors" {
				b = decodeORS(f, b)
			}
			f.Add(b)
		}
	}
}

// slow fails when one input of up to 64 KiB costs far more than the 50 ms that it may: fuzzing workers share
// their core, so the bound that a test can hold is wider.
func slow(t *testing.T, size int, begun time.Time) {
	if took := time.Since(begun); size <= 64<<10 && took > 2*time.Second {
		t.Errorf("%d bytes took %v", size, took)
	}
}

func FuzzParseCertificate(f *testing.F) {
	root := issue(f, nil, "root", asCA)
	f.Add(root.cert.Raw)
	f.Add(issue(f, root, "holder", func(c *x509.Certificate) { withServices(c); c.DNSNames = []string{"*.a.test"} }).cert.Raw)
	seeds(f, 120, "pkits/certs/*.crt", "gpki/*.pem", "ocsp/*.pem")
	f.Fuzz(func(t *testing.T, der []byte) {
		defer slow(t, len(der), time.Now())
		c, err := ParseCertificate(der)
		if err != nil {
			if c != nil || reasonOf(err) == "" {
				t.Errorf("%v with %v", c, err)
			}
			return
		}
		if !bytes.Equal(c.Raw, der) || (c.PublicKey == nil) == (c.KeyUnsupported == "") {
			t.Error("inconsistent certificate")
		}
		_ = c.Subject.String() + c.SubjectType()
		_ = c.Subject.Equal(c.Issuer)
		c.constrainedNames()
		again, err := ParseCertificate(bytes.Clone(der))
		if err != nil || again.SerialNumber.Cmp(c.SerialNumber) != 0 {
			t.Error("parsing twice differs")
		}
	})
}

func FuzzParseCRL(f *testing.F) {
	root := issue(f, nil, "root", asCA)
	f.Add(root.crl(f, revoking(root, 1)).Raw)
	f.Add(root.crl(f, nil).Raw)
	f.Add([]byte("text\n" + pemBlock("X509 CRL", root.crl(f, nil).Raw) + pemBlock("X509 CRL", root.crl(f, nil).Raw)))
	seeds(f, 200, "pkits/crls/*.crl")
	f.Fuzz(func(t *testing.T, der []byte) {
		defer slow(t, len(der), time.Now())
		all, errAll := ParseCRLs(der)
		if (errAll == nil) != (len(all) > 0) {
			t.Fatalf("%d CRLs, %v", len(all), errAll)
		}
		c, err := ParseCRL(der)
		if err != nil {
			return
		}
		indexed, n := c.Indexed(), 0
		for serial := range c.Serials {
			n++
			if n > 200 {
				continue
			}
			_, a := c.Lookup(serial)
			_, b := indexed.Lookup(serial)
			if a != b || !a && !c.foreign {
				t.Errorf("serial %x: found %v, indexed %v", serial, a, b)
			}
		}
		if n != c.Count {
			t.Errorf("%d entries, counted %d", n, c.Count)
		}
	})
}

func FuzzParseOCSP(f *testing.F) {
	root := issue(f, nil, "root", asCA)
	leaf := issue(f, root, "holder", nil)
	f.Add(ocspFor(f, root, root, leaf, nil).Raw)
	f.Add([]byte{0x30, 3, 0x0a, 1, 3})
	seeds(f, 100, "ocsp/*.ors")
	o := Options{Anchors: certs(root), At: noon}
	f.Fuzz(func(t *testing.T, der []byte) {
		defer slow(t, len(der), time.Now())
		r, err := ParseOCSP(der)
		if err != nil {
			return
		}
		v := newValidation(context.Background(), &o)
		if a := v.askOCSP([]*OCSPResponse{r}, leaf.cert, root.cert, nil); a.status != 0 && a.evidence[0].ThisUpdate.IsZero() {
			t.Error("an answer without a date")
		}
	})
}

// FuzzValidate takes any number of DER elements after one another: the first certificate is the anchor, the
// last the leaf, and what is a CRL or OCSP response is taken as one.
func FuzzValidate(f *testing.F) {
	root := issue(f, nil, "root", asCA)
	ca := issue(f, root, "CA", asCA)
	leaf := issue(f, ca, "holder", withServices)
	f.Add(bytes.Join([][]byte{root.cert.Raw, ca.cert.Raw, leaf.cert.Raw, root.crl(f, nil).Raw, ocspFor(f, ca, ca, leaf, nil).Raw}, nil))
	for _, names := range [][]string{
		{"certs/TrustAnchorRootCertificate.crt", "certs/indirectCRLCA4Cert.crt", "certs/indirectCRLCA4cRLIssuerCert.crt", "certs/ValidcRLIssuerTest30EE.crt", "crls/TrustAnchorRootCRL.crl", "crls/indirectCRLCA4cRLIssuerCRL.crl"},
		{"certs/TrustAnchorRootCertificate.crt", "certs/GoodCACert.crt", "certs/ValidCertificatePathTest1EE.crt", "crls/TrustAnchorRootCRL.crl", "crls/GoodCACRL.crl"},
	} {
		var all []byte
		for _, n := range names {
			if b, err := os.ReadFile(filepath.Join(corporaFolder(f), "pkits", n)); err == nil {
				all = append(all, b...)
			}
		}
		f.Add(all)
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		if len(blob) > 64<<10 {
			return
		}
		begun := time.Now()
		var list []*Certificate
		o := Options{At: noon, RequireRevocation: true}
		for s := cryptobyte.String(blob); !s.Empty(); {
			var one cryptobyte.String
			if !s.ReadASN1Element(&one, casn1.SEQUENCE) {
				break
			}
			if c, err := ParseCertificate(one); err == nil {
				list = append(list, c)
			} else if crl, err := ParseCRL(one); err == nil {
				o.CRLs = append(o.CRLs, crl)
			} else if r, err := ParseOCSP(one); err == nil {
				o.OCSP = append(o.OCSP, r)
			}
		}
		if len(list) < 2 {
			return
		}
		o.Anchors, o.Intermediates = list[:1], list[1:]
		res, err := Validate(context.Background(), list[len(list)-1], o)
		if (res == nil) == (err == nil) {
			t.Errorf("%v with %v", res, err)
		}
		if err == nil && !bytes.Equal(res.Path[len(res.Path)-1].Raw, list[0].Raw) {
			t.Error("a path that does not end at the anchor")
		}
		slow(t, len(blob), begun)
	})
}

func corporaFolder(f *testing.F) string {
	if dir := os.Getenv("CERTWINDOW_CORPORA"); dir != "" {
		return dir
	}
	return filepath.Join(root(f), "..", "shared", "corpora")
}
