package platform

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"testing"
	"unicode/utf8"
)

// mostMessage is more than any sentence needs, whatever was typed: characters.
// It repeats at most 40 of those, each of which may be escaped with ten.
const mostMessage = 600

// wantRefusal holds an error to what every refused field gives: Invalid, at
// that field, a sentence of ordinary length in valid UTF-8.
func wantRefusal(t *testing.T, err error, field string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *Error", err)
	}
	if e.Kind != KindInvalid || e.Field != field {
		t.Errorf("kind %v at %q, want Invalid at %q", e.Kind, e.Field, field)
	}
	if n := utf8.RuneCountInString(e.Message); n > mostMessage || !utf8.ValidString(e.Message) || !strings.HasSuffix(e.Message, ".") {
		t.Errorf("the sentence has %d characters: %.500q", n, e.Message)
	}
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

// everyByte is whether s has nothing but characters of the given sets.
func everyByte(s string, sets ...string) bool {
	all := strings.Join(sets, "")
	for i := range len(s) {
		if !strings.Contains(all, s[i:i+1]) {
			return false
		}
	}
	return true
}

func begins(s string, sets ...string) bool { return s != "" && everyByte(s[:1], sets...) }

// FuzzNames: what the rules let through can stand in a URL, in an environment
// and in SQL without a quote; what they refuse they refuse with a sentence.
func FuzzNames(f *testing.F) {
	for _, s := range []string{
		"sushi", "s", "", "a-", "-a", "a-b", "Sushi", "sushi bar", "LOG_LEVEL", "9LIVES", "DATABASE", "DATABASE_URL", "_URL", "web", "worker_2",
		"ünïcode", "a\x00b", "\xff\xfe", "a\n", "sushi\n", strings.Repeat("a", 31), strings.Repeat("A", 200), "HEROKU_POSTGRESQL_AMBER", "../../etc/passwd", "'; drop table apps --",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for what, rule := range map[string]struct {
			check func(field, name string) error
			may   bool
		}{
			"app": {CheckAppName, len(name) >= 2 && len(name) <= 30 && begins(name, lower) && everyByte(name, lower, digits, "-") && !strings.HasSuffix(name, "-")},
			"var": {CheckConfigVarName, len(name) >= 1 && len(name) <= 128 && begins(name, lower, upper, "_") && everyByte(name, lower, upper, digits, "_")},
			"attachment": {CheckAttachmentName, len(name) >= 1 && len(name) <= 63 && begins(name, upper) && everyByte(name, upper, digits, "_") &&
				!strings.HasSuffix(name, "_URL")},
			"process": {CheckProcessType, len(name) >= 1 && len(name) <= 30 && begins(name, lower) && everyByte(name, lower, digits, "_-")},
		} {
			err := rule.check("the-field", name)
			if (err == nil) != rule.may {
				t.Errorf("%s %q: %v, and by the rule it may be used: %v", what, name, err, rule.may)
			}
			if err != nil {
				wantRefusal(t, err, "the-field")
			}
		}
	})
}

// FuzzLSN: what can be read is written as it was meant, and every position can be read back.
func FuzzLSN(f *testing.F) {
	for _, s := range []string{"16/B374D848", "0/0", "FFFFFFFF/FFFFFFFF", "3a/f2006c28", "", "/", "1/", "/1", "1/2/3", "-1/0", "100000000/0", "0x1/0", " 1/0", "1_0/0"} {
		f.Add(s, uint64(len(s))<<30)
	}
	f.Fuzz(func(t *testing.T, s string, n uint64) {
		if l, err := ParseLSN(s); err == nil {
			hi, lo, _ := strings.Cut(strings.ToUpper(s), "/")
			trimmed := func(s string) string {
				if s = strings.TrimLeft(s, "0"); s == "" {
					return "0"
				}
				return s
			}
			if want := trimmed(hi) + "/" + trimmed(lo); l.String() != want {
				t.Errorf("%q is read as %s", s, l)
			}
		}
		if again, err := ParseLSN(LSN(n).String()); err != nil || again != LSN(n) {
			t.Errorf("%s is read back as %s: %v", LSN(n), again, err)
		}
		if LSN(n).Minus(0) < 0 && n < 1<<63 {
			t.Errorf("%s is %d ahead of the beginning", LSN(n), LSN(n).Minus(0))
		}
	})
}

// FuzzPlanName: only a plan of the catalogue is found by a name.
func FuzzPlanName(f *testing.F) {
	c, err := ShippedCatalogue()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"standard-0", "standard-1", "essential-1", "premium-9", "Standard-0", " standard-0", "", "-1", "standard-00", strings.Repeat("x", 5000) + "-1", "\xff-1", "shared"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, err := c.Plan(name)
		if err != nil {
			wantRefusal(t, err, "plan")
			return
		}
		if p.Name != name || p.Connections <= 0 || p.MonthlyCents <= 0 || fmt.Sprintf("%s-%d", p.Tier.Name, p.Level) != name {
			t.Errorf("%q is %+v", name, p)
		}
	})
}

// FuzzCatalogue: a catalogue that can be read offers what it lists, and
// nothing that it is asked makes it panic.
func FuzzCatalogue(f *testing.F) {
	f.Add(shippedPlans)
	for _, s := range []string{`{}`, `[]`, ``, `{"tiers":[{"name":"standard","follow":true}],"ladder":[{"level":0,"standard_dollars":50,"storage_gb":64}]}`,
		`{"tiers":[{"name":""},{"name":""}],"ladder":[{},{}]}`, `{"tiers":null,"essential":[{"level":-1,"dollars":-5}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCatalogue(data)
		if err != nil {
			if json.Valid(data) && err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for _, p := range c.Plans {
			if found, err := c.Plan(p.Name); err != nil || found.Name != p.Name {
				t.Errorf("%q is listed and not found: %v", p.Name, err)
			}
			c.FollowerChoices(p, 1<<30)
			_ = p.Price()
		}
	})
}

// FuzzRole: a role is one of the three words, exactly.
func FuzzRole(f *testing.F) {
	for _, s := range []string{"view", "operate", "manage", "none", "", "Manage", "manage ", "manage\x00", "admin"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		r, err := ParseRole(word)
		if err != nil {
			wantRefusal(t, err, "role")
		} else if r.String() != word || r < RoleView || r > RoleManage {
			t.Errorf("%q is %s", word, r)
		}
	})
}

// FuzzEmail: an address by which somebody is known is one address and nothing else,
// in a mail's head as well.
func FuzzEmail(f *testing.F) {
	for _, s := range []string{
		"chef@example.com", "chef@localhost", "c+tag@sub.example.com", "", "@", "chef", "chef@", "@example.com", "a@b@c", "Chef <chef@example.com>", `"a b"@example.com`,
		"a@example.com, b@example.com", "chef@example.com\r\nBcc: b@example.com", "chef@[127.0.0.1]", "chef(comment)@example.com", "ch\u202eef@example.com", "\xff@example.com",
		strings.Repeat("a", 250) + "@b.c", "köchin@example.com", "a;b@example.com", "a..b@example.com",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, email string) {
		if err := CheckEmail("the-field", email); err != nil {
			wantRefusal(t, err, "the-field")
			return
		}
		local, domain, _ := strings.Cut(email, "@")
		if local == "" || domain == "" || strings.Contains(domain, "@") || len(email) > 254 || !utf8.ValidString(email) || strings.ContainsAny(email, "\r\n\t\x00 ,;<>\"") {
			t.Errorf("%q may be somebody's address", email)
		}
		list, err := mail.ParseAddressList(email)
		if err != nil || len(list) != 1 || list[0].Address != email || list[0].Name != "" {
			t.Errorf("%q is read as %v (%v)", email, list, err)
		}
	})
}

// FuzzMailChoice: which notices are mailed is one of the words of the form.
func FuzzMailChoice(f *testing.F) {
	for _, s := range []string{"", "all", "none", "act", "All", "all ", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		choice, err := ParseMailChoice("the-field", word)
		if err != nil {
			wantRefusal(t, err, "the-field")
		} else if string(choice) != word {
			t.Errorf("%q is %q", word, choice)
		}
	})
}
