package certpath

import "testing"

// TestRelativeNames: distribution points named relative to the CRL issuer are the same only where the relative
// names are. Otherwise a CRL of another partition would answer for a certificate that it does not cover.
func TestRelativeNames(t *testing.T) {
	attribute := func(value string) []Attribute { return []Attribute{{oidAttrCN, 12, []byte(value)}} }
	issuer := Name{RDNs: [][]Attribute{attribute("CA")}}
	name := func(value string) generalName { return pointName{relative: attribute(value)}.resolve(issuer)[0] }
	if equalGeneralName(name("partition 1"), name("partition 2")) {
		t.Error("two partitions are one")
	}
	if !equalGeneralName(name("partition 1"), name("Partition  1")) {
		t.Error("one partition is two")
	}
}
