package main

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// hosts knows under which names the program may be asked, and from where.
// A request with another Host comes from a rebound DNS name; a socket or a
// POST with another Origin comes from another site.
type hosts struct {
	public  *url.URL
	allowed map[string]bool // host[:port], lower case
	proxies []netip.Prefix
}

// newHosts allows the public URL's host and, on the listening port, the
// loopback names and the address that is listened on.
func newHosts(cfg config, listening net.Addr) *hosts {
	h := &hosts{public: cfg.URL, allowed: map[string]bool{}, proxies: cfg.TrustedProxies}
	h.allow(cfg.URL.Host)
	_, port, _ := net.SplitHostPort(listening.String())
	for _, name := range []string{"127.0.0.1", "localhost", "::1"} {
		h.allow(net.JoinHostPort(name, port))
	}
	host, _, _ := net.SplitHostPort(cfg.Addr)
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		h.allow(net.JoinHostPort(host, port))
	}
	return h
}

func (h *hosts) allow(host string) {
	host = strings.ToLower(host)
	h.allowed[host] = true
	for _, standard := range []string{":80", ":443"} {
		if bare, ok := strings.CutSuffix(host, standard); ok {
			h.allowed[bare] = true
		}
	}
}

// hostAllowed says whether the Host header is one of ours.
func (h *hosts) hostAllowed(host string) bool { return h.allowed[strings.ToLower(host)] }

// originAllowed says whether origin is the page that host serves. A missing
// Origin is refused: browsers always send it with a socket and with a POST
// across sites.
func (h *hosts) originAllowed(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || !h.hostAllowed(host) {
		return false
	}
	if strings.EqualFold(host, h.public.Host) {
		return strings.EqualFold(u.Host, h.public.Host) && u.Scheme == h.public.Scheme
	}
	// Asked directly, past the proxy of the public URL.
	return u.Scheme == "http" && strings.EqualFold(u.Host, host)
}

// clientIP is who asks: the connection's address, or what the nearest trusted
// proxies say, read from the right up to the first address that is not one.
func (h *hosts) clientIP(remote string, forwarded []string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	ip = ip.Unmap()
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for i := len(hops) - 1; i >= 0 && h.trusted(ip); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		ip = next.Unmap()
	}
	return ip.String()
}

func (h *hosts) trusted(ip netip.Addr) bool {
	for _, p := range h.proxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
