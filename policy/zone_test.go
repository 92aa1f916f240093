package policy

import (
	"net/netip"
	"testing"
)

// HCA-6.3.7: keys in the HSM are used from the closed network, from the VPN where that is said, and never from
// outside.
func TestHSMFrom(t *testing.T) {
	z := Zones{Closed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00:1::/32")},
		VPN: []netip.Prefix{netip.MustParsePrefix("10.8.0.0/16"), netip.MustParsePrefix("172.20.0.0/16"), netip.MustParsePrefix("fd00:2::/32")}}
	for _, c := range []struct {
		address string
		zone    Zone
	}{
		{"10.1.2.3", ZoneClosed}, {"10.8.1.1", ZoneClosed}, {"::ffff:10.1.2.3", ZoneClosed}, {"fd00:1::5", ZoneClosed}, {"fd00:1::5%eth0", ZoneClosed},
		{"172.20.3.4", ZoneVPN}, {"::ffff:172.20.3.4", ZoneVPN}, {"fd00:2::1", ZoneVPN},
		{"203.0.113.9", ZoneInternet}, {"2001:db8::1", ZoneInternet}, {"", ZoneInternet}, {"10.1.2.3, 1.1.1.1", ZoneInternet}, {"unix", ZoneInternet},
	} {
		if got := z.Of(c.address); got != c.zone {
			t.Errorf("%q is in %s, want %s", c.address, got, c.zone)
		}
		for _, allowed := range [][]Zone{nil, {ZoneClosed}, {ZoneClosed, ZoneVPN}, {ZoneInternet}} {
			z.HSM = allowed
			want := c.zone == ZoneClosed && len(allowed) > 0 && allowed[0] == ZoneClosed || c.zone == ZoneVPN && len(allowed) == 2
			if d := HSMFrom(z, c.address); d.Allowed != want || !d.Allowed && d.Clause != "HCA-6.3.7" {
				t.Errorf("%q with %v allowed: %+v", c.address, allowed, d)
			}
		}
	}
}
