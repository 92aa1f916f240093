package policy

import "testing"

// HCA-5.1.2: a signature is made under a scope that both the certificate and the asking system have.
func TestSignatureScope(t *testing.T) {
	both := []string{"EMR-SIGN", "E-PRESCRIPTION"}
	for _, c := range []struct {
		name string
		s    Signing
		code string
	}{
		{"nothing known", Signing{}, "scope-missing"},
		{"both have it", Signing{"EMR-SIGN", both, both, true}, ""},
		{"not registered here", Signing{"EMR-SIGN", both, both, false}, "client-not-approved"},
		{"not the certificate's", Signing{"EMR-SIGN", both[1:], both, true}, "scope-not-of-certificate"},
		{"not the system's", Signing{"EMR-SIGN", both, both[1:], true}, "scope-not-of-client"},
		{"system without any", Signing{"EMR-SIGN", both, nil, true}, "scope-not-of-client"},
	} {
		if d := SignatureScope(c.s); d.Allowed != (c.code == "") || d.Code != c.code || !d.Allowed && d.Clause != "HCA-5.1.2" {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}
