package outgoing

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"changeover/internal/platform"
)

func TestParseHost(t *testing.T) {
	for typed, want := range map[string]string{
		"mail.example.com": "mail.example.com", " Mail.Example.COM. ": "mail.example.com", "localhost": "localhost", "smtp_relay.internal": "smtp_relay.internal",
		"10.0.0.1": "10.0.0.1", "[::1]": "::1", "2001:DB8::0:1": "2001:db8::1", "xn--bcher-kva.example": "xn--bcher-kva.example",
		"": "", "a b": "", "127.1": "", "0x7f000001": "", "0x7f.0.0.1": "", "2130706433": "", "0177.0.0.1": "", "1.2.3.4.": "", "1.2.3.256": "", "[::1": "", "::1]": "",
		"fe80::1%eth0": "", "bücher.example": "", "-a.example": "", "a-.example": "", "a..b": "", ".": "", "user@host": "", "host:25": "", "host/path": "", "a\nb": "", "a\x00b": "",
		strings.Repeat("a", 64) + ".example": "", strings.Repeat("a.", 130) + "b": "",
	} {
		got, err := ParseHost("host", typed)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", typed, got, err, want)
		}
		if err != nil && (platform.KindOf(err) != platform.KindInvalid || !strings.HasSuffix(err.Error(), ".")) {
			t.Errorf("%q: not a sentence: %v", typed, err)
		}
	}
}

func TestParseURL(t *testing.T) {
	for typed, want := range map[string]string{
		"https://hooks.example.com":                "https://hooks.example.com",
		" HTTPS://Hooks.Example.com:8443/a?b=c#d ": "https://hooks.example.com:8443/a?b=c",
		"https://[2001:db8::1]:443/":               "https://[2001:db8::1]:443/",
		"https://hooks.example.com/a%2Fb":          "https://hooks.example.com/a%2Fb",
		"http://hooks.example.com":                 "", "https://u:p@hooks.example.com": "", "https://": "", "hooks.example.com": "", "https:hooks": "", "https://h:/": "", "https://h:0/": "",
		"https://127.1/": "", "javascript:alert(1)": "", "https://a\nb/": "", "https://%31%32%37.1/": "", "https://h/" + strings.Repeat("x", mostURL): "",
	} {
		got, err := ParseURL("url", typed, "https")
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v, want %q", typed, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}

func TestParseAllow(t *testing.T) {
	for list, want := range map[string]string{
		"": "", " ,": "", "10.1.2.3/16, mail.internal:587": "10.1.0.0/16,mail.internal:587", "[::1]:25": "[::1]:25", "::/0": "::/0",
	} {
		if got, err := ParseAllow(list); err != nil || got.String() != want {
			t.Errorf("%q: %q, %v", list, got, err)
		}
	}
	for _, list := range []string{"10.0.0.1", "mail.internal", "10.0.0.0/33", "127.1:25", "host:0", "host:smtp", "*:25"} {
		if got, err := ParseAllow(list); err == nil {
			t.Errorf("%q was read as %v", list, got)
		}
	}
}

// Whatever is typed, what comes out is a host that reads the same again, and
// never another spelling of an address.
func FuzzParseHost(f *testing.F) {
	for _, seed := range []string{"mail.example.com", "127.1", "0x7f.1", "[::ffff:127.0.0.1]", "fe80::1%25eth0", "１２７.0.0.1", "a.b.", "0177.0.0.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		host, err := ParseHost("host", typed)
		if err != nil {
			if platform.KindOf(err) != platform.KindInvalid {
				t.Errorf("%q: %v", typed, err)
			}
			return
		}
		again, err := ParseHost("host", host)
		if err != nil || again != host {
			t.Errorf("%q gives %q, which gives %q, %v", typed, host, again, err)
		}
		if strings.ContainsAny(host, " /@\\?#%\r\n\x00[]") {
			t.Errorf("%q gives %q", typed, host)
		}
		if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
			t.Errorf("%q gives %q", typed, host)
		}
		// inet_aton, which libc's resolvers still use, reads no address in a name.
		if _, err := netip.ParseAddr(host); err != nil && net.ParseIP(host) == nil && host[strings.LastIndexByte(host, '.')+1] >= '0' && strings.Trim(host[strings.LastIndexByte(host, '.')+1:], "0123456789") == "" {
			t.Errorf("%q gives %q, which a resolver may read as an address", typed, host)
		}
	})
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"https://hooks.example.com/a?b=c", "https://u:p@h/", "https://[::1]:1/", "https://h:65536/", "https://a%20b/", "//h/", "https:///x", "https://h\\@e/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		u, err := ParseURL("url", typed, "https", "http")
		if err != nil {
			return
		}
		if u.User != nil || u.Fragment != "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http" {
			t.Errorf("%q gives %v", typed, u)
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Hostname() != u.Hostname() || again.Port() != u.Port() || again.User != nil {
			t.Errorf("%q gives %v, which reads as %v, %v", typed, u, again, err)
		}
		if host, err := ParseHost("url", u.Hostname()); err != nil || host != u.Hostname() {
			t.Errorf("%q gives the host %q", typed, u.Hostname())
		}
	})
}

func FuzzParseAllow(f *testing.F) {
	f.Add("10.0.0.0/8,mail.internal:587,[::1]:25")
	f.Fuzz(func(t *testing.T, list string) {
		a, err := ParseAllow(list)
		if err != nil {
			return
		}
		if again, err := ParseAllow(a.String()); err != nil || again.String() != a.String() {
			t.Errorf("%q gives %q, which gives %q, %v", list, a, again, err)
		}
	})
}
