package outgoing

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"changeover/internal/platform"
)

func TestInside(t *testing.T) {
	for addr, refused := range map[string]bool{
		"0.0.0.0": true, "0.1.2.3": true, "10.0.0.1": true, "10.255.255.255": true, "11.0.0.0": false, "100.63.255.255": false,
		"100.64.0.1": true, "100.127.255.255": true, "100.128.0.0": false, "127.0.0.1": true, "127.255.255.254": true,
		"169.254.169.254": true, "172.15.255.255": false, "172.16.0.1": true, "172.31.255.255": true, "172.32.0.0": false,
		"192.0.0.1": true, "192.0.2.1": true, "192.88.99.1": true, "192.168.0.1": true, "198.18.0.1": true, "198.19.255.255": true, "198.20.0.0": false,
		"198.51.100.7": true, "203.0.113.7": true, "224.0.0.1": true, "239.1.1.1": true, "240.0.0.1": true, "255.255.255.255": true,
		"1.1.1.1": false, "93.184.215.14": false,
		"::": true, "::1": true, "::2": true, "::ffff:1.1.1.1": true, "::ffff:127.0.0.1": true, "::127.0.0.1": true,
		"64:ff9b::7f00:1": true, "64:ff9b:1::1": true, "100::1": true, "fc00::1": true, "fdff::1": true, "fe80::1": true, "fe80::1%eth0": true,
		"fec0::1": true, "ff02::1": true, "2001::1": true, "2001:1ff::1": true, "2001:200::1": false, "2001:db8::1": true, "2002:7f00:1::": true,
		"3fff::1": true, "2606:4700::1111": false, "2a00:1450:4001::1": false, "4000::1": true, "5f00::1": true,
	} {
		if got := inside(netip.MustParseAddr(addr)); (got != "") != refused {
			t.Errorf("%s: %q, refused should be %v", addr, got, refused)
		}
	}
}

// listening is a server that only accepts, and its port.
func listening(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func allow(t testing.TB, list string) Allow {
	t.Helper()
	a, err := ParseAllow(list)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// names answers like a resolver with these names only.
func names(known map[string][]string) func(context.Context, string) ([]netip.Addr, error) {
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		var addrs []netip.Addr
		for _, a := range known[host] {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		if addrs == nil {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return addrs, nil
	}
}

func TestDialRefuses(t *testing.T) {
	port := listening(t)
	known := names(map[string][]string{
		"inside.example": {"10.0.0.5"}, "self.example": {"127.0.0.1"}, "mapped.example": {"::ffff:127.0.0.1"}, "mixed.example": {"fe80::1", "127.0.0.1"},
		"host.example": {"93.184.215.14"},
	})
	for _, c := range []struct {
		address, allow string
		own            []PortRange
		kind           platform.Kind // 0: connects
		says           string
	}{
		{"self.example:PORT", "", nil, platform.KindForbidden, "leads to this machine itself"},
		{"127.0.0.1:PORT", "", nil, platform.KindForbidden, "add 127.0.0.1:PORT to CHANGEOVER_OUTGOING_ALLOW"},
		{"inside.example:25", "", nil, platform.KindForbidden, "leads to a private address"},
		{"mapped.example:PORT", "", nil, platform.KindForbidden, "this machine itself"},
		{"[::ffff:127.0.0.1]:PORT", "127.0.0.0/8", nil, platform.KindForbidden, "hides another one"},
		{"[::1]:PORT", "127.0.0.0/8", nil, platform.KindForbidden, "this machine itself"},
		{"127.1:PORT", "127.0.0.0/8", nil, platform.KindInvalid, "is not the name of a host"},
		{"2130706433:PORT", "127.0.0.0/8", nil, platform.KindInvalid, "is not the name of a host"},
		{"nobody.example:25", "", nil, platform.KindInvalid, "There is no host"},
		{"self.example", "", nil, platform.KindInvalid, "Give both"},
		{"self.example:0", "", nil, platform.KindInvalid, "is not a port"},
		{"self.example:PORT", "10.0.0.0/8", nil, platform.KindForbidden, "this machine itself"},
		{"self.example:PORT", "127.0.0.0/8", nil, 0, ""},
		{"self.example:PORT", "self.example:PORT", nil, 0, ""},
		{"SELF.example.:PORT", "self.example:PORT", nil, 0, ""},
		{"self.example:PORT", "other.example:PORT", nil, platform.KindForbidden, "this machine itself"},
		{"self.example:PORT", "self.example:25", nil, platform.KindForbidden, "this machine itself"},
		{"mixed.example:PORT", "127.0.0.0/8", nil, 0, ""},
		// A port of our own needs its own entry, on the machine's public address too.
		{"self.example:PORT", "127.0.0.0/8", []PortRange{{port, port}}, platform.KindForbidden, "a port of this program"},
		{"host.example:PORT", "", []PortRange{{1, 65535}}, platform.KindForbidden, "a port of this program"},
		{"self.example:PORT", "self.example:PORT", []PortRange{{port, port}}, 0, ""},
	} {
		fill := func(s string) string { return strings.ReplaceAll(s, "PORT", strconv.Itoa(port)) }
		d := New(Config{Allow: allow(t, fill(c.allow)), OwnPorts: c.own, Resolve: known,
			Local: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("93.184.215.14")} }})
		conn, err := d.DialContext(t.Context(), "tcp", fill(c.address))
		if err == nil {
			_ = conn.Close()
		}
		if c.kind == 0 && err != nil || c.kind != 0 && (err == nil || platform.KindOf(err) != c.kind || !strings.Contains(err.Error(), fill(c.says))) {
			t.Errorf("%s with %q: %v, want %v %q", fill(c.address), fill(c.allow), err, c.kind, fill(c.says))
		}
		if err != nil && strings.Contains(err.Error(), "10.0.0.5") {
			t.Errorf("the sentence tells what the resolver knows: %v", err)
		}
	}
	if _, err := New(Config{Allow: allow(t, "0.0.0.0/0")}).DialContext(t.Context(), "unix", "/run/x.sock"); platform.KindOf(err) != platform.KindForbidden {
		t.Errorf("a unix socket: %v", err)
	}
}

// A resolver that answers differently the second time (DNS rebinding) is asked
// once, and what it said then is dialled.
func TestTheCheckedAddressIsTheDialledOne(t *testing.T) {
	asked := 0
	d := New(Config{Resolve: func(context.Context, string) ([]netip.Addr, error) {
		asked++
		if asked == 1 {
			return []netip.Addr{netip.MustParseAddr("93.184.215.14")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	dialled := ""
	d.dial = func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = address
		return nil, errors.New("nobody there")
	}
	_, err := d.DialContext(t.Context(), "tcp", "rebinding.example:443")
	if asked != 1 || dialled != "93.184.215.14:443" || platform.KindOf(err) != platform.KindUnavailable {
		t.Errorf("asked %d times, dialled %q: %v", asked, dialled, err)
	}
	if _, err := d.DialContext(t.Context(), "tcp", "rebinding.example:443"); platform.KindOf(err) != platform.KindForbidden {
		t.Errorf("the second answer was not checked: %v", err)
	}
}

func TestRedirectsAreChecked(t *testing.T) {
	var target string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, target, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "arrived")
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := New(Config{
		Allow:   allow(t, u.Host),
		Resolve: names(map[string][]string{"inside.example": {"10.0.0.5"}}),
	}).Client(5 * time.Second)
	for to, says := range map[string]string{
		server.URL + "/end":                  "",
		"/end":                               "",
		"http://inside.example/":             "leads to a private address",
		"http://127.0.0.1:1/":                "this machine itself",
		"http://169.254.169.254/latest/":     "a link-local address",
		"http://0x7f.1/":                     "is not the name of a host",
		"http://someone:secret@example.com/": "stand in logs",
		"file:///etc/passwd":                 "",
		server.URL + "/":                     "on and on",
	} {
		target = to
		answer, err := client.Get(server.URL + "/")
		if err == nil {
			_ = answer.Body.Close()
		}
		switch {
		case strings.HasPrefix(to, "file:"):
			if err == nil {
				t.Errorf("%s was followed", to)
			}
		case says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)):
			t.Errorf("to %s: %v, want %q", to, err, says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	secure := &http.Request{URL: &url.URL{Scheme: "https", Host: "example.com"}}
	next := &http.Request{URL: &url.URL{Scheme: "http", Host: "example.com"}}
	if err := checkRedirect(next, []*http.Request{secure}); err == nil {
		t.Error("https led to http")
	}
}
