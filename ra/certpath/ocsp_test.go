package certpath

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
)

type ocspCase struct {
	Name   string   `json:"name"`
	Root   string   `json:"root"`
	Others []string `json:"other_certs"`
	Cert   string   `json:"cert"`
	OCSPs  []string `json:"ocsps"`
	Length int      `json:"path_len"`
	Moment string   `json:"moment"`
	Error  *struct {
		Class string `json:"class"`
	} `json:"error"`
}

// load gives leaf and options. The data are base64 responses.
func (c *ocspCase) load(t testing.TB) (*Certificate, Options) {
	dir := corpora(t, "ocsp")
	o := Options{
		Anchors: []*Certificate{loadCert(t, filepath.Join(dir, c.Root))}, At: mustTime(t, c.Moment),
		RequireRevocation: true,
	}
	for _, f := range c.Others {
		o.Intermediates = append(o.Intermediates, loadCert(t, filepath.Join(dir, f)))
	}
	for _, f := range c.OCSPs {
		r, err := ParseOCSP(decodeORS(t, readFile(t, filepath.Join(dir, f))))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		o.OCSP = append(o.OCSP, r)
	}
	return loadCert(t, filepath.Join(dir, c.Cert)), o
}

func decodeORS(t testing.TB, b []byte) []byte {
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(b)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// HCA-5.1.1: OCSP answers are believed only when they are of the right responder, about the right
// certificate and fresh.
func TestOCSPCorpus(t *testing.T) {
	var cases []ocspCase
	readJSON(t, corpora(t, "ocsp", "openssl-ocsp.json"), &cases)
	table := newTally("OCSP")
	for _, c := range cases {
		group, _, _ := strings.Cut(c.Name, "_")
		leaf, o := c.load(t)
		res, err := Validate(context.Background(), leaf, o)
		outcome := table.add(group, c.Error == nil, err)
		if outcome == unsupported {
			table.note("%s: certificates signed with SHA-1 are refused", c.Name)
		} else if outcome != right {
			t.Errorf("%s: %v", c.Name, err)
		}
		if err == nil && len(res.Path) != c.Length {
			t.Errorf("%s: path of %d, want %d", c.Name, len(res.Path), c.Length)
		}
	}
	table.check(t)
	if len(cases) != 29 {
		t.Errorf("%d cases, want 29", len(cases))
	}
}

// The suite is of 2012, when everything was signed with SHA-1, so a refusal above says little about OCSP.
// Here SHA-1 is let through, in the test alone, and everything else is as it is.
func TestOCSPCorpusWithSHA1(t *testing.T) {
	var cases []ocspCase
	readJSON(t, corpora(t, "ocsp", "openssl-ocsp.json"), &cases)
	table := newTally("OCSP with SHA-1")
	for _, c := range cases {
		group, _, _ := strings.Cut(c.Name, "_")
		leaf, o := c.load(t)
		path := append(append([]*Certificate{leaf}, o.Intermediates...), o.Anchors...)
		o.RequireRevocation = len(o.OCSP) == len(path)-1
		v := newValidation(context.Background(), &o)
		v.verifySignature = verifyAlsoSHA1
		var err error
		for i := range len(path) - 1 {
			if bad := v.checkSignedBy(path[i], path[i+1]); bad != nil {
				t.Fatalf("%s: %v", c.Name, bad)
			}
		}
		res, bad := v.judge(path)
		if bad != nil {
			err = bad
		}
		if outcome := table.add(group, c.Error == nil, err); outcome != right {
			t.Errorf("%s: %v", c.Name, err)
		}
		if err == nil && len(res.Revocation) != len(o.OCSP) {
			t.Errorf("%s: %d answers, want %d", c.Name, len(res.Revocation), len(o.OCSP))
		}
	}
	table.check(t)
}

func verifyAlsoSHA1(pub crypto.PublicKey, algorithm, signed, signature []byte) *Error {
	alg, _ := readSequence(algorithm)
	var id OID
	key, isRSA := pub.(*rsa.PublicKey)
	if !readOID(&alg, &id) || id != oidSHA1RSA || !isRSA {
		return verifySignature(pub, algorithm, signed, signature)
	}
	digest := sha1.Sum(signed)
	if rsa.VerifyPKCS1v15(key, crypto.SHA1, digest[:], signature) != nil {
		return refuse(ReasonSignature, "the signature does not verify")
	}
	return nil
}
