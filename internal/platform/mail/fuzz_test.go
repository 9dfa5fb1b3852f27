package mail

import (
	"net/mail"
	"strings"
	"testing"

	"changeover/internal/platform"
)

// FuzzSettings: no settings can put a line of their own into a message or the
// conversation with the server, and no refusal repeats the password.
func FuzzSettings(f *testing.F) {
	f.Add("mail.example.com", "587", "starttls", "user", "hunter22hunter22", "Changeover <changeover@example.com>")
	f.Add("[::1]", "465", "implicit", "", "", "a@b\r\nBcc: c@d")
	f.Add("127.1", "0", "none", "u\r\nQUIT", "p\x00", "=?utf-8?q?a=0d=0aBcc:x?= <a@b>")
	f.Add("", "", "", "", "hunter22hunter22", "\"a\nb\" <a@b>")
	f.Add("h", "25", "starttls", "u", "p", "<a@b>, <c@d>")
	f.Fuzz(func(t *testing.T, host, port, tls, user, password, from string) {
		s, err := ParseSettings(Typed{Host: host, Port: port, TLS: tls, User: user, Password: password, From: from})
		if err != nil {
			if platform.KindOf(err) != platform.KindInvalid || !strings.HasSuffix(err.Error(), ".") {
				t.Errorf("not a sentence: %v", err)
			}
			if len(password) > 8 && password != host && password != port && strings.Contains(err.Error(), password) && !strings.Contains(host+port, password) {
				t.Errorf("the password is repeated: %v", err)
			}
			return
		}
		if strings.ContainsAny(s.Host+s.User+s.Password+s.From+string(s.TLS), "\r\n\x00") {
			t.Errorf("a line break or NUL is let through: %+v", s)
		}
		if s.Port < 1 || s.Port > 65535 || s.TLS != TLSImplicit && s.TLS != TLSStartTLS || s.User == "" && s.Password != "" {
			t.Errorf("%+v", s)
		}
		if _, err := mail.ParseAddress(s.From); err != nil {
			t.Errorf("%q comes out of %q and is no address: %v", s.From, from, err)
		}
	})
}
