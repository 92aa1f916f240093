package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"certwindow/ra/cardmsg/cardtest"
)

// chainFiles are a card's certificate and everything that judges it, in a folder.
type chainFiles struct{ dir string }

func newChainFiles(t *testing.T) chainFiles {
	t.Helper()
	at := time.Date(2026, 11, 22, 4, 2, 0, 0, time.UTC)
	pki := cardtest.New(t, at)
	card := pki.Card(t, cardtest.CardOptions{})
	b := chainFiles{t.TempDir()}
	for name, content := range map[string][]byte{
		"root.pem": cardtest.PEM(pki.Root.Cert), "ca.pem": cardtest.PEM(pki.CA.Cert), "leaf.der": card.Cert.Raw,
		"root.crl": pki.CRL(t, pki.Root, at), "ca.crl": pki.CRL(t, pki.CA, at),
		"good.ocsp":    pki.OCSP(t, card.Cert, ocsp.Good, at),
		"revoked.ocsp": pki.OCSP(t, card.Cert, ocsp.Revoked, at),
		"unknown.ocsp": pki.OCSP(t, card.Cert, ocsp.Unknown, at),
		"text":         []byte("not a certificate"),
		"broken.pem":   []byte("-----BEGIN CERTIFICATE-----\nAAAA\n"),
		"large":        bytes.Repeat([]byte{0x30}, maxBundleFile+1),
		"empty":        nil,
	} {
		if err := os.WriteFile(b.path(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b chainFiles) path(name string) string { return filepath.Join(b.dir, name) }

// chainRun runs verify chain with --json and gives its verdict, nil for a wrong use.
func chainRun(t *testing.T, args ...string) (int, *chainVerdict) {
	t.Helper()
	var out, errs bytes.Buffer
	args = append(append([]string{"verify", "chain"}, args...), "--json")
	code := dispatch(context.Background(), args, streams{strings.NewReader(""), &out, &errs})
	if code == exitUsage {
		if out.Len() > 0 || errs.Len() == 0 {
			t.Errorf("wrong use printed %q and %q", out.String(), errs.String())
		}
		return code, nil
	}
	v := &chainVerdict{}
	decoder := json.NewDecoder(&out)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil || decoder.More() {
		t.Fatalf("not one JSON object: %v", err)
	}
	if v.Valid != (code == exitYes) || v.Valid != (v.Reason == "") || v.Valid != (len(v.Path) > 0) {
		t.Errorf("exit code %d with %+v", code, v)
	}
	return code, v
}

// HCA-5.1.1: the chain of a card is judged off line, with what is given.
func TestVerifyChain(t *testing.T) {
	b := newChainFiles(t)
	base := []string{"--anchors", b.path("root.pem"), "--intermediates", b.path("ca.pem"), "--leaf", b.path("leaf.der"), "--at", "2026-11-22T04:02:00Z"}
	with := func(more ...string) []string { return append(append([]string(nil), base...), more...) }
	cases := map[string]struct {
		args []string
		code int
		word string // of the reason
	}{
		"plain":                 {with(), exitYes, ""},
		"answers for all":       {with("--crl", b.path("root.crl"), "--ocsp", b.path("good.ocsp"), "--require-revocation"), exitYes, ""},
		"CRLs for all":          {with("--crl", b.path("root.crl"), "--crl", b.path("ca.crl"), "--require-revocation"), exitYes, ""},
		"no answer":             {with("--crl", b.path("root.crl"), "--require-revocation"), exitNo, "revocation-undetermined"},
		"revoked":               {with("--ocsp", b.path("revoked.ocsp")), exitNo, "revoked"},
		"unknown":               {with("--ocsp", b.path("unknown.ocsp")), exitNo, "revocation-unusable"},
		"no intermediate":       {with("--intermediates", b.path("empty")), exitNo, "no-path"},
		"no anchor":             {with("--anchors", b.path("empty")), exitNo, "no-path"},
		"no leaf":               {with("--leaf", b.path("empty")), exitNo, "empty"},
		"expired":               {with("--at", "2056-11-22T04:02:00Z"), exitNo, "expired"},
		"not yet":               {with("--at", "1996-11-22T04:02:00Z"), exitNo, "not-yet-valid"},
		"policy":                {with("--policy", "1.2.3.4", "--explicit-policy"), exitNo, "policy"},
		"name":                  {with("--name", "hospital.test"), exitNo, "name-mismatch"},
		"text for a leaf":       {with("--leaf", b.path("text")), exitNo, "malformed"},
		"cut PEM":               {with("--anchors", b.path("broken.pem")), exitNo, "malformed"},
		"too large":             {with("--intermediates", b.path("large")), exitNo, "malformed"},
		"an empty CRL":          {with("--crl", b.path("empty")), exitNo, "malformed"},
		"an empty response":     {with("--ocsp", b.path("empty")), exitNo, "malformed"},
		"a path that is none":   {with("--crl", b.path("missing")), exitUsage, ""},
		"a folder":              {with("--leaf", b.dir), exitUsage, ""},
		"no time":               {base[:6], exitUsage, ""},
		"a bad time":            {with("--at", "yesterday"), exitUsage, ""},
		"a bad OID":             {with("--eku", "1..2"), exitUsage, ""},
		"an unknown flag":       {with("--trust-me"), exitUsage, ""},
		"a stray argument":      {with("leaf.pem"), exitUsage, ""},
		"nothing":               {nil, exitUsage, ""},
		"the anchor for a leaf": {with("--leaf", b.path("root.pem")), exitYes, ""},
	}
	for name, c := range cases {
		code, v := chainRun(t, c.args...)
		if code != c.code || v != nil && !strings.Contains(v.Reason, c.word) {
			t.Errorf("%s: exit %d, %+v; want %d and %q", name, code, v, c.code, c.word)
		}
	}
}

// Without --json a person gets one line.
func TestVerifyChainForPeople(t *testing.T) {
	b := newChainFiles(t)
	var out, errs bytes.Buffer
	code := dispatch(context.Background(), []string{"verify", "chain", "--anchors", b.path("root.pem"), "--leaf", b.path("ca.pem"),
		"--at", "2026-11-22T04:02:00Z"}, streams{strings.NewReader(""), &out, &errs})
	if code != exitYes || out.String() != "valid\n" || errs.Len() > 0 {
		t.Errorf("exit %d, %q, %q", code, out.String(), errs.String())
	}
}

// DSA is refused by name.
func TestVerifyChainUnsupported(t *testing.T) {
	dir := filepath.Join(attestationCorpora(t, "pkits"), "certs")
	code, v := chainRun(t, "--anchors", filepath.Join(dir, "TrustAnchorRootCertificate.crt"),
		"--intermediates", filepath.Join(dir, "DSACACert.crt"), "--leaf", filepath.Join(dir, "ValidDSASignaturesTest4EE.crt"),
		"--at", "2020-01-01T00:00:00Z")
	if code != exitNo || !strings.Contains(v.Reason, "unsupported") {
		t.Errorf("exit %d, %+v", code, v)
	}
}
