package main

import (
	"context"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"certwindow/ra/certpath"
)

// chainVerdict is the JSON answer of verify chain.
type chainVerdict struct {
	Valid  bool     `json:"valid"`
	Reason string   `json:"reason"` // empty when valid
	Path   []string `json:"path"`   // SHA-256 of each certificate, leaf first, anchor last
}

// chainArgs are the parsed flags of verify chain; file arguments are still paths.
type chainArgs struct {
	anchors, intermediates, leaf string
	crls, ocsp                   []string
	json                         bool
	options                      certpath.Options
}

// cmdVerifyChain judges a certificate path with what it is given, and nothing else: neither the network nor
// the system's clock.
func cmdVerifyChain(ctx context.Context, args []string, s streams) int {
	a, err := parseChainArgs(args, s.err)
	if errors.Is(err, flag.ErrHelp) {
		return exitYes
	}
	if err != nil {
		fmt.Fprintln(s.err, "certwindow verify chain:", err)
		return exitUsage
	}
	leaf, err := a.load()
	var unreadable *os.PathError
	if errors.As(err, &unreadable) {
		fmt.Fprintln(s.err, "certwindow verify chain:", err)
		return exitUsage
	}
	var result *certpath.Result
	if err == nil {
		result, err = certpath.Validate(ctx, leaf, a.options)
	}
	return reportChain(s.out, a.json, result, err)
}

func reportChain(out io.Writer, asJSON bool, result *certpath.Result, err error) int {
	v := chainVerdict{Valid: err == nil, Path: []string{}}
	if err != nil {
		v.Reason = err.Error()
	} else {
		for _, c := range result.Path {
			sum := c.Fingerprint()
			v.Path = append(v.Path, hex.EncodeToString(sum[:]))
		}
	}
	switch {
	case asJSON:
		line, _ := json.Marshal(v) // strings and a bool always marshal
		fmt.Fprintf(out, "%s\n", line)
	case v.Valid:
		fmt.Fprintf(out, "valid: %s, %d certificates up to %s\n", result.Path[0].Subject,
			len(result.Path), result.Path[len(result.Path)-1].Subject)
	default:
		fmt.Fprintf(out, "not valid: %s\n", v.Reason)
	}
	if v.Valid {
		return exitYes
	}
	return exitNo
}

func parseChainArgs(args []string, stderr io.Writer) (*chainArgs, error) {
	a := &chainArgs{}
	o := &a.options
	f := flag.NewFlagSet("certwindow verify chain", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&a.anchors, "anchors", "", "trust anchors, PEM or DER (required)")
	f.StringVar(&a.intermediates, "intermediates", "", "untrusted certificates, PEM or DER; may be an empty file")
	f.StringVar(&a.leaf, "leaf", "", "the certificate to judge, PEM or DER; further ones count as intermediates (required)")
	f.Func("crl", "a CRL, PEM or DER (repeatable)", appendTo(&a.crls))
	f.Func("ocsp", "an OCSP response, DER (repeatable)", appendTo(&a.ocsp))
	f.Func("at", "time of validation, RFC 3339 (required)", func(v string) (err error) {
		o.At, err = time.Parse(time.RFC3339, v)
		return err
	})
	f.Func("policy", "an acceptable certificate policy OID (repeatable; none is any)", func(v string) error {
		id, err := parseOID(v)
		o.Policies = append(o.Policies, id)
		return err
	})
	f.BoolVar(&o.ExplicitPolicy, "explicit-policy", false, "initial-explicit-policy of RFC 5280")
	f.BoolVar(&o.InhibitMapping, "inhibit-mapping", false, "initial-policy-mapping-inhibit of RFC 5280")
	f.BoolVar(&o.InhibitAny, "inhibit-any", false, "initial-any-policy-inhibit of RFC 5280")
	f.BoolVar(&o.RequireRevocation, "require-revocation", false, "every certificate below the anchor needs a revocation answer")
	f.Func("eku", "extended key usage OID that the path must allow", func(v string) (err error) {
		o.EKU, err = parseOID(v)
		return err
	})
	f.StringVar(&o.Name, "name", "", "DNS name or IP address the certificate must be for")
	f.BoolVar(&a.json, "json", false, "print one JSON object")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case a.anchors == "" || a.leaf == "":
		return nil, errors.New("--anchors and --leaf are required")
	case o.At.IsZero():
		return nil, errors.New("--at is required")
	}
	return a, nil
}

func appendTo(list *[]string) func(string) error {
	return func(v string) error {
		*list = append(*list, v)
		return nil
	}
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

// load reads the files into the options. A path that cannot be read gives an *os.PathError.
func (a *chainArgs) load() (*certpath.Certificate, error) {
	anchors, err := readCertificates(a.anchors)
	if err != nil {
		return nil, err
	}
	leaves, err := readCertificates(a.leaf)
	if err != nil {
		return nil, err
	}
	a.options.Anchors = anchors
	if a.intermediates != "" {
		if a.options.Intermediates, err = readCertificates(a.intermediates); err != nil {
			return nil, err
		}
	}
	for _, path := range a.crls {
		crl, err := readRevocation(path, certpath.ParseCRL)
		if err != nil {
			return nil, err
		}
		a.options.CRLs = append(a.options.CRLs, crl)
	}
	for _, path := range a.ocsp {
		response, err := readRevocation(path, certpath.ParseOCSP)
		if err != nil {
			return nil, err
		}
		a.options.OCSP = append(a.options.OCSP, response)
	}
	if len(leaves) == 0 {
		return nil, &certpath.Error{Reason: certpath.ReasonMalformed, Detail: "the leaf file is empty"}
	}
	a.options.Intermediates = append(a.options.Intermediates, leaves[1:]...)
	return leaves[0], nil
}

func readCertificates(path string) ([]*certpath.Certificate, error) {
	b, err := readAtMost(path, certpath.MaxBundle)
	if err != nil {
		return nil, err
	}
	certs, err := certpath.ParseCertificates(b)
	return certs, inFile(path, err)
}

func readRevocation[T any](path string, parse func([]byte) (T, error)) (T, error) {
	var none T
	b, err := readAtMost(path, certpath.MaxCRL)
	if err != nil {
		return none, err
	}
	v, err := parse(b)
	return v, inFile(path, err)
}

func inFile(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w in %s", err, path)
}

// readAtMost reads a file of up to limit bytes; of a longer one it reads one byte more, which parsers refuse.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}
