package policy

import (
	"net/netip"
	"slices"
)

// Zone is where on the network a request comes from (HCA-6.3.7).
type Zone string

// The zones of an institution's network.
const (
	ZoneClosed   Zone = "closed"   // the institution's own private network or leased line
	ZoneVPN      Zone = "vpn"      // a private network into it over public lines
	ZoneInternet Zone = "internet" // everything else
)

// Zones says which addresses are in which zone, and from which zones keys in the HSM are used.
type Zones struct {
	Closed []netip.Prefix
	VPN    []netip.Prefix
	HSM    []Zone // closed, or closed and vpn
}

// Of is the zone of an address as the connection has it; a text that is no address is in the internet. An IPv4 address
// written as IPv6 is the IPv4 one.
func (z Zones) Of(address string) Zone {
	from, err := netip.ParseAddr(address)
	if err != nil {
		return ZoneInternet
	}
	from = from.Unmap().WithZone("")
	within := func(p netip.Prefix) bool { return p.Contains(from) }
	switch {
	case slices.ContainsFunc(z.Closed, within):
		return ZoneClosed
	case slices.ContainsFunc(z.VPN, within):
		return ZoneVPN
	}
	return ZoneInternet
}

// HSMFrom decides whether a key in the HSM may be used from an address: only inside the institution's private network
// (HCA-6.3.7). The internet is never a part of it, whatever is configured.
func HSMFrom(z Zones, address string) Decision {
	if zone := z.Of(address); zone != ZoneInternet && slices.Contains(z.HSM, zone) {
		return Allow()
	}
	return Refuse("HCA-6.3.7", "outside-network", "Keys in the HSM are used from inside the institution's network only. Nothing was signed.")
}
