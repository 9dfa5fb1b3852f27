package main

import (
	"errors"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

// FuzzSettings: whatever stands in the environment, the program starts with
// settings that hold, or says which one is wrong without quoting a password.
func FuzzSettings(f *testing.F) {
	f.Add("127.0.0.1:8090", "https://databases.example.com", "10.0.0.7,10.1.0.0/16", "127.0.0.1", "20000-29999", "b=/disk2,c=/disk3", "0.02", "postgres://u:hunter22@h/d")
	f.Add(":0", "http://h:80/", "::1", "", "1024-1033", "", "1", "")
	f.Add("nonsense", "javascript://x", "10.0.0.0/33", "a b", "1-2", "B=x", "NaN", "http://hunter22@h")
	f.Add("[::1]:65536", "https://u:hunter22@h", "fe80::1%eth0", "::", "60000-70000", "b=/x,b=/y", "Inf", "postgres://hunter22:hunter22@[::1/hunter22")
	f.Add("h:-1", "https://h/?q#f", ",,", "h,i", "99999999999999999999-1", "a=/x=y", "1e-400", "postgres://%zz:hunter22@h")
	f.Fuzz(func(t *testing.T, addr, address, proxies, host, ports, zones, scale, database string) {
		all := map[string]string{
			"CHANGEOVER_HOME": "/nonexistent", "CHANGEOVER_ADDR": addr, "CHANGEOVER_URL": address, "CHANGEOVER_TRUSTED_PROXIES": proxies,
			"CHANGEOVER_DATABASE_HOST": host, "CHANGEOVER_DATABASE_PORTS": ports, "CHANGEOVER_ZONES": zones, "CHANGEOVER_MEMORY_SCALE": scale, "DATABASE_URL": database,
		}
		c, err := readConfig(func(name string) string { return all[name] }, false)
		if err != nil {
			var setting *settingError
			if !errors.As(err, &setting) || all[setting.setting] == "" || !strings.HasSuffix(setting.sentence, ".") {
				t.Fatalf("%v names no setting that was given", err)
			}
			if setting.setting == "DATABASE_URL" && len(database) > 20 && strings.Contains(err.Error(), database[len(database)-8:]) {
				t.Errorf("the control database's URL is quoted: %v", err)
			}
			return
		}
		if c.FirstPort < 1024 || c.LastPort > 65535 || c.LastPort-c.FirstPort < 9 {
			t.Errorf("ports %d-%d", c.FirstPort, c.LastPort)
		}
		if scale != "" && !(c.MemoryScale > 0 && c.MemoryScale <= 1) {
			t.Errorf("memory scale %v", c.MemoryScale)
		}
		link, err := url.Parse(c.Link("/sign-in/token"))
		if err != nil || link.Host != c.URL.Host || link.Path != "/sign-in/token" || link.User != nil || (link.Scheme != "http" && link.Scheme != "https") {
			t.Errorf("links are %v (%v)", link, err)
		}
		seen := map[string]bool{}
		for _, z := range c.Zones {
			if seen[z.Name] || !zoneName.MatchString(z.Name) || !strings.HasPrefix(z.Dir, "/") {
				t.Errorf("zones %v", c.Zones)
			}
			seen[z.Name] = true
		}
		for _, p := range c.TrustedProxies {
			if !p.IsValid() || !p.Contains(p.Addr()) {
				t.Errorf("proxy %v", p)
			}
		}
	})
}

// asBrowser is the host to which a browser goes that was sent to location by a
// page of host: it drops tabs and line ends, and takes a backslash for a slash.
func asBrowser(location, host string) string {
	location = strings.Trim(location, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f ")
	location = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(location)
	if rest, ok := strings.CutPrefix(location, "//"); ok {
		name, _, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
		return name
	}
	if !strings.HasPrefix(location, "/") {
		return "not a path: " + location
	}
	return host
}

// FuzzNextPage: after signing in people stay on this site.
func FuzzNextPage(f *testing.F) {
	for _, s := range []string{"/databases?q=1#x", "//evil.example", `/\evil.example`, "/\t/evil.example", "/\r\n/evil.example", "https://evil.example", "", "/", "javascript:alert(1)", "/%2f/evil.example", "\x00/x", "/ /evil.example", "/\x0b/evil.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		path := localPath(next)
		if host := asBrowser(path, "here.example"); host != "here.example" {
			t.Errorf("%q leads to %s", next, host)
		}
		if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("%q leads to %q, which no header may hold", next, path)
		}
	})
}

// FuzzHosts: the address of who asks is an address, and only a trusted proxy
// can say another one; only this site's own pages may post.
func FuzzHosts(f *testing.F) {
	f.Add("192.0.2.1:443", "203.0.113.9, 10.0.0.1", "https://db.example.com", "db.example.com")
	f.Add("10.0.0.7:1", "203.0.113.9", "https://db.example.com.evil.example", "DB.example.com")
	f.Add("[::ffff:10.0.0.7]:1", "fe80::1%eth0, ::1", "null", "db.example.com:443")
	f.Add("@", ",,,", "http://db.example.com", "db.example.com")
	f.Add("10.0.0.7:1", "10.0.0.7,10.0.0.7\x00", "https://user@db.example.com", "")
	h := &hosts{public: &url.URL{Scheme: "https", Host: "db.example.com"}, allowed: map[string]bool{}, proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}}
	h.allow("db.example.com")
	h.allow("127.0.0.1:8090")
	f.Fuzz(func(t *testing.T, remote, forwarded, origin, host string) {
		ip := h.clientIP(remote, []string{forwarded})
		if ip != "" {
			if _, err := netip.ParseAddr(ip); err != nil {
				t.Errorf("%q from %q is %q", forwarded, remote, ip)
			}
		}
		alone := h.clientIP(remote, nil)
		if peer, err := netip.ParseAddr(alone); alone != "" && err == nil && !h.trusted(peer) && ip != alone {
			t.Errorf("%q, no trusted proxy, says that it is %q", alone, ip)
		}
		if !h.originAllowed(origin, host) {
			return
		}
		ours := []string{"https://db.example.com", "http://127.0.0.1:8090"}
		u, err := url.Parse(origin)
		if err != nil || !slices.Contains(ours, strings.ToLower(u.Scheme+"://"+u.Host)) {
			t.Errorf("Origin %q may post to %q", origin, host)
		}
	})
}

// FuzzInput: a body is read as its fields or refused with a sentence, for
// programs and for forms.
func FuzzInput(f *testing.F) {
	f.Add("application/json", []byte(`{"app": "sushi", "n": 3, "on": true, "x": null}`), "12")
	f.Add("application/json", []byte(`{"app": ["sushi"]}`), "-1")
	f.Add("application/json", []byte(`[[[[[[[[[[`), "9223372036854775808")
	f.Add("application/x-www-form-urlencoded", []byte("app=+sushi+&plan=standard-0&app=x"), "1e3")
	f.Add("application/x-www-form-urlencoded", []byte("app=%zz"), "")
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"app\"\r\n\r\nsushi\r\n--b--\r\n"), "0")
	f.Add("multipart/form-data", []byte("--"), "+7")
	f.Fuzz(func(t *testing.T, kind string, body []byte, id string) {
		for _, authorization := range []string{"", "Bearer token"} {
			r := httptest.NewRequest("POST", "/", strings.NewReader(string(body)))
			r.Header.Set("Content-Type", kind)
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			c := echo.New().NewContext(r, httptest.NewRecorder())
			input, err := readInput(c)
			if f := failureOf(err, "reference"); err != nil && (f.Status < 400 || f.Status >= 500 || f.Message == "" || len(f.Message) > 500) {
				t.Errorf("%q as %q is refused as %+v: %v", body, kind, f, err)
			}
			for _, name := range []string{"app", "plan", "confirm"} {
				if v := input[name]; authorization == "" && v != strings.TrimSpace(v) {
					t.Errorf("%s is %q", name, v)
				}
			}
			c.SetParamNames("id")
			c.SetParamValues(id)
			n, err := number(c, "id")
			if err != nil && (!isKind(err, platform.KindNotFound) || len(err.Error()) > 500) || err == nil && n <= 0 {
				t.Errorf("the id %q is %d, %v", id, n, err)
			}
		}
	})
}

// FuzzPassword: a password that may be chosen has the length that was promised,
// and a stored hash, however broken, makes nothing panic.
func FuzzPassword(f *testing.F) {
	f.Add("four unrelated words do", "someone@example.com", "$argon2id$v=19$m=65536,t=1,p=4$c2FsdHNhbHRzYWx0c2FsdA$aGFzaA")
	f.Add("", "", "")
	f.Add("aaaaaaaaaaaaaaaa", "a@example.com", "$argon2id$v=19$m=,t=0,p=0$$")
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "SOMEONE@example.com", "$$$$$")
	f.Fuzz(func(t *testing.T, password, email, stored string) {
		err := checkPassword("password", password, email)
		var e *platform.Error
		if err != nil && (!errors.As(err, &e) || e.Field != "password" || len(password) > 7 && strings.Contains(e.Message, password)) {
			t.Errorf("%q is refused with %v", password, err)
		}
		if n := len([]rune(password)); err == nil && (n < minPasswordLength || n > maxPasswordLength || strings.EqualFold(password, email)) {
			t.Errorf("%q may be chosen", password)
		}
		if cost, salt, key, err := parseHash(stored); err == nil && (cost.passes == 0 || cost.lanes == 0 || len(salt) == 0 && len(key) == 0) {
			t.Errorf("%q is a hash of %+v %x %x", stored, cost, salt, key)
		}
	})
}

// FuzzWords: a duration is a few words, whatever it is.
func FuzzWords(f *testing.F) {
	for _, n := range []int64{0, -1, 1, int64(time.Minute), 1<<63 - 1, -1 << 63} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		number, unit, ok := strings.Cut(wordsOf(time.Duration(n)), " ")
		if !ok || number == "" || !slices.Contains([]string{"s", "min", "h", "days"}, unit) {
			t.Errorf("%d ns is %q %q", n, number, unit)
		}
	})
}
