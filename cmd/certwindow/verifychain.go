package main

import (
	"context"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"certwindow/ra/certpath"
)

// chainVerdict is what verify chain prints.
type chainVerdict struct {
	Valid  bool     `json:"valid"`
	Reason string   `json:"reason"` // empty when valid
	Path   []string `json:"path"`   // SHA-256 of each certificate, leaf first, anchor last
}

// cmdVerifyChain judges a certificate path with what it is given, and nothing else: neither the network nor
// the system's clock (HCA-5.1.1).
func cmdVerifyChain(ctx context.Context, args []string, s streams) int {
	f := newVerifyFlags("verify chain", s)
	var o certpath.Options
	anchors := f.String("anchors", "", "trust anchors, `PEM`")
	intermediates := f.String("intermediates", "", "untrusted certificates, `PEM`; may be an empty file")
	leaf := f.String("leaf", "", "the certificate to judge, `PEM`; further ones count as intermediates")
	crls := f.list("crl", "a CRL, `FILE`; may be repeated")
	ocsp := f.list("ocsp", "an OCSP response, `FILE`; may be repeated")
	at := f.moment("at", "the moment of judging, `RFC3339`")
	f.Func("policy", "an acceptable certificate policy, `OID`; may be repeated, none is any", func(v string) error {
		id, err := parseOID(v)
		o.Policies = append(o.Policies, id)
		return err
	})
	f.BoolVar(&o.ExplicitPolicy, "explicit-policy", false, "initial-explicit-policy of RFC 5280")
	f.BoolVar(&o.InhibitMapping, "inhibit-mapping", false, "initial-policy-mapping-inhibit of RFC 5280")
	f.BoolVar(&o.InhibitAny, "inhibit-any", false, "initial-any-policy-inhibit of RFC 5280")
	f.BoolVar(&o.RequireRevocation, "require-revocation", false, "every certificate below the anchor needs an answer")
	f.Func("eku", "extended key usage that the path must allow, `OID`", func(v string) (err error) {
		o.EKU, err = parseOID(v)
		return err
	})
	name := f.text("name", "what the certificate must be for, `DNS` name or IP address")
	if code, done := f.parse(args, s, "anchors", "leaf", "at"); done {
		return code
	}
	files := pathFiles{
		anchors: f.read(*anchors, maxBundleFile),
		crls:    f.readAll(*crls, maxStatusFile), ocsp: f.readAll(*ocsp, maxStatusFile),
	}
	leaves := f.read(*leaf, maxBundleFile)
	if *intermediates != "" {
		files.intermediates = f.read(*intermediates, maxBundleFile)
	}
	if code, done := f.usable(s); done {
		return code
	}
	parsed, err := files.options(*at)
	o.At, o.Name = parsed.At, *name
	o.Anchors, o.Intermediates, o.CRLs, o.OCSP = parsed.Anchors, parsed.Intermediates, parsed.CRLs, parsed.OCSP
	verdict := chainVerdict{Path: []string{}}
	if err == nil {
		err = judgeChain(ctx, leaves, o, &verdict)
	}
	verdict.Valid, verdict.Reason = err == nil, reasonOf(err)
	return conclude(s, f.asJSON, verdict, err)
}

// judgeChain validates the first of leaves and fills in the path.
func judgeChain(ctx context.Context, leaves []byte, o certpath.Options, verdict *chainVerdict) error {
	certs, err := certpath.ParseCertificates(leaves)
	if err != nil {
		return fmt.Errorf("leaf: %w", err)
	}
	if len(certs) == 0 {
		return &certpath.Error{Reason: certpath.ReasonMalformed, Detail: "the leaf file is empty"}
	}
	o.Intermediates = append(o.Intermediates, certs[1:]...)
	result, err := certpath.Validate(ctx, certs[0], o)
	if err != nil {
		return err
	}
	for _, c := range result.Path {
		sum := c.Fingerprint()
		verdict.Path = append(verdict.Path, hex.EncodeToString(sum[:]))
	}
	return nil
}

// parseOID reads a dotted object identifier.
func parseOID(s string) (asn1.ObjectIdentifier, error) {
	var id asn1.ObjectIdentifier
	for _, part := range strings.Split(s, ".") {
		arc, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q is not an object identifier", s)
		}
		id = append(id, int(arc))
	}
	if len(id) < 2 || id[0] > 2 || id[0] < 2 && id[1] > 39 {
		return nil, fmt.Errorf("%q is not an object identifier", s)
	}
	return id, nil
}
