package main

import (
	"net"
	"testing"
)

func testHosts(t *testing.T, env map[string]string) *hosts {
	t.Helper()
	cfg, err := readConfig(func(k string) string { return env[k] }, true)
	if err != nil {
		t.Fatal(err)
	}
	return newHosts(cfg, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8090})
}

func TestHosts(t *testing.T) {
	h := testHosts(t, map[string]string{"CHANGEOVER_URL": "https://db.example.com"})
	for host, want := range map[string]bool{
		"db.example.com": true, "DB.example.com": true, "127.0.0.1:8090": true, "localhost:8090": true, "[::1]:8090": true,
		"evil.example": false, "db.example.com.evil.example": false, "127.0.0.1:8091": false, "": false,
	} {
		if got := h.hostAllowed(host); got != want {
			t.Errorf("host %q: %v", host, got)
		}
	}
	for _, c := range []struct {
		origin, host string
		want         bool
	}{
		{"https://db.example.com", "db.example.com", true},
		{"http://db.example.com", "db.example.com", false},
		{"https://evil.example", "db.example.com", false},
		{"http://127.0.0.1:8090", "127.0.0.1:8090", true},
		{"http://127.0.0.1:9999", "127.0.0.1:8090", false},
		{"null", "127.0.0.1:8090", false},
		{"", "127.0.0.1:8090", false},
		{"http://evil.example", "evil.example", false},
	} {
		if got := h.originAllowed(c.origin, c.host); got != c.want {
			t.Errorf("origin %q at %q: %v", c.origin, c.host, got)
		}
	}
}

func TestClientIP(t *testing.T) {
	h := testHosts(t, map[string]string{"CHANGEOVER_TRUSTED_PROXIES": "10.0.0.0/8"})
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:5000", nil, "192.0.2.1"},
		{"192.0.2.1:5000", []string{"198.51.100.9"}, "192.0.2.1"}, // not a proxy of ours: what it says is not believed
		{"10.0.0.1:5000", []string{"198.51.100.9"}, "198.51.100.9"},
		{"10.0.0.1:5000", []string{"203.0.113.5, 198.51.100.9", "10.0.0.2"}, "198.51.100.9"},
		{"10.0.0.1:5000", []string{"garbage"}, "10.0.0.1"},
		{"[::ffff:10.0.0.1]:5000", []string{"2001:db8::1"}, "2001:db8::1"},
	} {
		if got := h.clientIP(c.remote, c.forwarded); got != c.want {
			t.Errorf("%s %v: got %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}
