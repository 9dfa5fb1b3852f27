package outgoing

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Allow is what the installation allows besides the public internet: networks,
// and single hosts with their ports.
type Allow struct {
	networks []netip.Prefix
	hosts    []hostPort
}

type hostPort struct {
	host string
	port int
}

// ParseAllow reads a list separated by commas, such as
// "10.1.0.0/16,mail.internal:587,127.0.0.1:1025". Its error is a sentence.
func ParseAllow(list string) (Allow, error) {
	var a Allow
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			a.networks = append(a.networks, prefix.Masked())
			continue
		}
		host, port, err := net.SplitHostPort(entry)
		if err == nil {
			host, err = ParseHost("", host)
		}
		n := 0
		if err == nil {
			n, err = ParsePort("", port)
		}
		if err != nil {
			return Allow{}, fmt.Errorf("%q is neither a network nor a host with a port. Give a list such as 10.1.0.0/16,mail.internal:587", shorten(entry))
		}
		a.hosts = append(a.hosts, hostPort{host, n})
	}
	return a, nil
}

// holds is whether exactly this host and port, as typed, are listed.
func (a Allow) holds(host string, port int) bool {
	for _, h := range a.hosts {
		if h.port == port && h.host == host {
			return true
		}
	}
	return false
}

// contains is whether a listed network holds the address. An IPv4 address in
// the form of IPv6 is held by an IPv6 network only.
func (a Allow) contains(addr netip.Addr) bool {
	for _, n := range a.networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// String is the list in the form that ParseAllow reads.
func (a Allow) String() string {
	var entries []string
	for _, n := range a.networks {
		entries = append(entries, n.String())
	}
	for _, h := range a.hosts {
		entries = append(entries, net.JoinHostPort(h.host, strconv.Itoa(h.port)))
	}
	return strings.Join(entries, ",")
}
