package outgoing

import "net/netip"

// block is a range of addresses that lead somewhere other than the public
// internet, and what a person calls it.
type block struct{ prefix, what string }

// blocks are IANA's special-purpose ranges, the narrower ones first where it
// helps the sentence.
func blocks() []block {
	const private, reserved, transition = "a private address", "a reserved address", "an address that hides another one"
	return []block{
		{"0.0.0.0/8", "no address of a host"},
		{"10.0.0.0/8", private},
		{"100.64.0.0/10", "an address of a provider's own network"},
		{"127.0.0.0/8", "this machine itself"},
		{"169.254.0.0/16", "a link-local address"},
		{"172.16.0.0/12", private},
		{"192.0.0.0/24", reserved},
		{"192.0.2.0/24", reserved},
		{"192.88.99.0/24", reserved},
		{"192.168.0.0/16", private},
		{"198.18.0.0/15", reserved},
		{"198.51.100.0/24", reserved},
		{"203.0.113.0/24", reserved},
		{"224.0.0.0/4", "a multicast address"},
		{"240.0.0.0/4", reserved},
		{"::/128", "no address of a host"},
		{"::1/128", "this machine itself"},
		{"::ffff:0:0/96", transition},
		{"64:ff9b::/96", transition},
		{"fc00::/7", private},
		{"fe80::/10", "a link-local address"},
		{"fec0::/10", private},
		{"ff00::/8", "a multicast address"},
		// Of what is global unicast, 2000::/3, these lead elsewhere.
		{"2001::/23", reserved},
		{"2001:db8::/32", reserved},
		{"2002::/16", transition},
		{"3fff::/20", reserved},
	}
}

// inside says what an address is that does not lead to the public internet;
// empty for one that does. Of IPv6 only global unicast does.
func inside(addr netip.Addr) string {
	if addr.Zone() != "" {
		return "a link-local address"
	}
	for _, b := range blocks() {
		if netip.MustParsePrefix(b.prefix).Contains(addr) {
			return b.what
		}
	}
	if addr.Is6() && !netip.MustParsePrefix("2000::/3").Contains(addr) {
		return "a reserved address"
	}
	return ""
}
