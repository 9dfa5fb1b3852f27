package outgoing

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"changeover/internal/platform"
)

func wantSentence(t *testing.T, typed string, err error) {
	t.Helper()
	if platform.KindOf(err) != platform.KindInvalid || len(err.Error()) > 2000 || !strings.HasSuffix(err.Error(), ".") {
		t.Errorf("%q: not a sentence: %v", typed, err)
	}
}

// FuzzAddresses: what is let through is a host or a web address in its one
// spelling: reading it again changes nothing, and it hides no second host, no
// password and no line break.
func FuzzAddresses(f *testing.F) {
	for _, s := range []string{
		"https://hooks.example.com:8443/a?b=c#d", "https://[2001:db8::1]:443/", "https://u:hunter22@h/", "https://127.1/", "https://a\nb/", "https://h\\@evil.example/",
		"https://h:0/", "https://%31%32%37.1/", "HTTPS://H", "https:h", "//h", "mail.example.com.", "0x7f000001", "[::1]", "fe80::1%eth0", "::ffff:127.0.0.1", "", "\x00", "\xff",
		"10.0.0.0/8,mail.internal:587", "65536", "+1", "a..b", strings.Repeat("a.", 200), "https://h/?;=&%zz", "https://h/%", "https://xn--bcher-kva.example",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		host, err := ParseHost("host", typed)
		if err != nil {
			wantSentence(t, typed, err)
		} else {
			if again, err := ParseHost("host", host); err != nil || again != host {
				t.Errorf("%q is %q, which is %q (%v)", typed, host, again, err)
			}
			if _, err := netip.ParseAddr(host); err != nil && strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
				t.Errorf("%q is the host %q", typed, host)
			}
		}
		if port, err := ParsePort("port", typed); err != nil {
			wantSentence(t, typed, err)
		} else if n, err := strconv.Atoi(strings.TrimSpace(typed)); err != nil || n != port || port < 1 || port > 65535 {
			t.Errorf("%q is the port %d", typed, port)
		}
		u, err := ParseURL("url", typed, "https")
		if err != nil {
			wantSentence(t, typed, err)
		} else {
			text := u.String()
			again, err := ParseURL("url", text, "https")
			if err != nil || again.String() != text {
				t.Errorf("%q is %q, which is %v (%v)", typed, text, again, err)
			}
			parsed, err := url.Parse(text)
			if err != nil || parsed.Host != u.Host || parsed.User != nil || parsed.Scheme != "https" || strings.ContainsAny(text, "\r\n\\ ") {
				t.Errorf("%q is %q: %v %v", typed, text, parsed, err)
			}
		}
		if allow, err := ParseAllow(typed); err == nil {
			if again, err := ParseAllow(allow.String()); err != nil || again.String() != allow.String() {
				t.Errorf("%q is %q, which is %q (%v)", typed, allow.String(), again.String(), err)
			}
		}
	})
}
