package certpath

import (
	"context"
	"encoding/asn1"
	"strings"
	"testing"
	"time"
)

type limboCase struct {
	ID            string   `json:"id"`
	Trusted       []string `json:"trusted_certs"`
	Intermediates []string `json:"untrusted_intermediates"`
	Leaf          string   `json:"peer_certificate"`
	CRLs          []string `json:"crls"`
	At            *string  `json:"validation_time"`
	EKU           []string `json:"extended_key_usage"`
	KeyUsage      []string `json:"key_usage"`
	Want          string   `json:"expected_result"`
	Depth         *int     `json:"max_chain_depth"`
	Peer          *struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	} `json:"expected_peer_name"`
}

var limboEKUs = map[string]asn1.ObjectIdentifier{
	"serverAuth": {1, 3, 6, 1, 5, 5, 7, 3, 1},
	"clientAuth": {1, 3, 6, 1, 5, 5, 7, 3, 2},
}

func (c *limboCase) run(t *testing.T) error {
	parse := func(pems []string) ([]*Certificate, error) {
		return ParseCertificates([]byte(strings.Join(pems, "\n")))
	}
	anchors, err := parse(c.Trusted)
	if err != nil {
		return err
	}
	intermediates, err := parse(c.Intermediates)
	if err != nil {
		return err
	}
	leaf, err := parse([]string{c.Leaf})
	if err != nil {
		return err
	}
	o := Options{Anchors: anchors, Intermediates: intermediates, At: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}
	for _, text := range c.CRLs {
		crl, err := ParseCRL([]byte(text))
		if err != nil {
			return err
		}
		o.CRLs = append(o.CRLs, crl)
	}
	if c.At != nil {
		o.At = mustTime(t, *c.At)
	}
	if c.Peer != nil && (c.Peer.Kind == "DNS" || c.Peer.Kind == "IP") {
		o.Name = c.Peer.Value
	}
	if len(c.EKU) > 0 {
		o.EKU = limboEKUs[c.EKU[0]]
		if o.EKU == nil {
			t.Fatalf("%s: usage %s", c.ID, c.EKU[0])
		}
	}
	if len(c.KeyUsage) > 0 {
		if c.KeyUsage[0] != "digitalSignature" {
			t.Fatalf("%s: usage %s", c.ID, c.KeyUsage[0])
		}
		o.KeyUsage = KeyUsageDigitalSignature
	}
	if c.Depth != nil {
		o.MaxDepth = *c.Depth
		if *c.Depth == 0 {
			o.MaxDepth = -1
		}
	}
	_, err = Validate(context.Background(), leaf[0], o)
	return err
}

// limboByDesign are cases whose expectation differs from what this project decided, with the reason.
var limboByDesign = map[string]string{
	"rfc5280::root-non-critical-basic-constraints": "an anchor's basicConstraints may be non-critical: the first generation of the government's root has such",
	"rfc5280::ski::root-missing-ski":               "an anchor's key identifiers may be absent",
	"rfc5280::aki::cross-signed-root-missing-aki":  "an anchor's key identifiers may be absent, whoever signed it",
	"rfc5280::nc::permitted-dn-match":              "a DNS name is asked for, and the certificate has none",
	"webpki::nc::permitted-dns-match-noncritical":  "RFC 5280 section 4.2.1.10 demands a critical nameConstraints; the same chain must fail as rfc5280::nc::permitted-dns-match-noncritical",
	"webpki::eku::ee-without-eku":                  "the same chain must pass as rfc5280::eku::ee-without-eku",
}

func TestLimbo(t *testing.T) {
	var file struct {
		Cases []limboCase `json:"testcases"`
	}
	readJSON(t, corpora(t, "x509-limbo", "limbo.json"), &file)
	table := newTally("x509-limbo")
	for _, c := range file.Cases {
		group, _, _ := strings.Cut(c.ID, "::")
		err := c.run(t)
		outcome := table.add(group, c.Want == "SUCCESS", err)
		if outcome == right {
			continue
		}
		why := limboByDesign[c.ID]
		switch {
		case outcome == unsupported:
			table.note("%s: %v", c.ID, err)
		case why != "" && outcome == accepted:
			table.note("%s, accepted: %s", c.ID, why)
		case why != "":
			table.note("%s, refused: %s", c.ID, why)
		case group == "webpki" && outcome == accepted:
			table.note("%s, accepted: a rule of web browsers alone", c.ID)
		default:
			t.Errorf("%s: %v, want %s: %v", c.ID, err == nil, c.Want, err)
		}
	}
	table.check(t)
	if len(file.Cases) != 135 {
		t.Errorf("%d cases, want 135", len(file.Cases))
	}
}
