package certpath

import (
	"context"
	"encoding/asn1"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

type pkitsCase struct {
	ID     string   `json:"id"`
	Group  string   `json:"group"`
	Name   string   `json:"name"`
	Certs  []string `json:"certs"`
	CRLs   []string `json:"crls"`
	Want   bool     `json:"should_validate"`
	Set    *string  `json:"initial_policy_set"`
	Policy *string  `json:"user_constrained_policy_set"`

	Explicit  bool `json:"SetInitialExplicitPolicy"`
	NoMapping bool `json:"SetInitialPolicyMappingInhibit"`
	NoAny     bool `json:"SetInitialInhibitAnyPolicy"`
}

// pkitsPolicies turns the names of NIST's test policies into identifiers below 2.16.840.1.101.3.2.1.48.
func pkitsPolicies(t *testing.T, names string) []asn1.ObjectIdentifier {
	var out []asn1.ObjectIdentifier
	for _, name := range strings.Split(names, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
		case name == "anyPolicy":
			out = append(out, asn1.ObjectIdentifier{2, 5, 29, 32, 0})
		default:
			var n int
			if _, err := fmt.Sscanf(name, "NIST-test-policy-%d", &n); err != nil {
				t.Fatalf("policy %q", name)
			}
			out = append(out, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 2, 1, 48, n})
		}
	}
	return out
}

func (c *pkitsCase) run(t *testing.T) (*Result, error) {
	dir := corpora(t, "pkits")
	var certs []*Certificate
	for _, name := range c.Certs {
		cert, err := ParseCertificate(readFile(t, filepath.Join(dir, "certs", name+".crt")))
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	o := Options{
		Anchors: certs[:1], Intermediates: certs[1 : len(certs)-1], At: mustTime(t, "2011-04-15T12:00:00Z"),
		RequireRevocation: true, ExplicitPolicy: c.Explicit, InhibitMapping: c.NoMapping, InhibitAny: c.NoAny,
	}
	if c.Set != nil {
		o.Policies = pkitsPolicies(t, *c.Set)
	}
	for _, name := range c.CRLs {
		crl, err := ParseCRL(readFile(t, filepath.Join(dir, "crls", name+".crl")))
		if err != nil {
			return nil, err
		}
		o.CRLs = append(o.CRLs, crl)
	}
	return Validate(context.Background(), certs[len(certs)-1], o)
}

// HCA-5.1.1: the chain of an application's signer is judged as RFC 5280 section 6 says.
func TestPKITS(t *testing.T) {
	var cases []pkitsCase
	readJSON(t, corpora(t, "pkits", "manifest.json"), &cases)
	table := newTally("PKITS")
	for _, c := range cases {
		_, err := c.run(t)
		outcome := table.add(c.Group, c.Want, err)
		if outcome == accepted || outcome == refusedWrongly {
			t.Errorf("%s %s: valid=%v, want %v: %v", c.ID, c.Name, err == nil, c.Want, err)
		}
		if outcome == unsupported {
			table.note("%s %s: %v", c.ID, c.Name, err)
		}
	}
	table.check(t)
	if len(cases) != 247 {
		t.Errorf("%d subtests, want 247", len(cases))
	}
}

// The policies of the result are those that NIST computed.
func TestPKITSPolicies(t *testing.T) {
	var cases []pkitsCase
	readJSON(t, corpora(t, "pkits", "manifest.json"), &cases)
	for _, c := range cases {
		if !c.Want || c.Policy == nil {
			continue
		}
		res, err := c.run(t)
		if err != nil {
			continue // TestPKITS judges that
		}
		want := map[string]bool{}
		for _, id := range pkitsPolicies(t, *c.Policy) {
			want[id.String()] = true
		}
		if len(res.Policies) != len(want) {
			t.Errorf("%s %s: policies %v, want %v", c.ID, c.Name, res.Policies, *c.Policy)
			continue
		}
		for _, p := range res.Policies {
			if !want[p] {
				t.Errorf("%s %s: policies %v, want %v", c.ID, c.Name, res.Policies, *c.Policy)
			}
		}
	}
}
