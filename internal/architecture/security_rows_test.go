package architecture

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every row of docs/security.md that says "met" names the test that shows it, or
// says that it was found by reading only. One that says "as 1.2.3" leads to such a row.
func TestSecurityRowsAreHeld(t *testing.T) {
	page, _ := text(t, "docs/security.md")
	row := regexp.MustCompile(`(?m)^\| ([0-9., –]+) \| [^|]+ \| (met|partly|open|n/a) \| (.*) \|$`)
	as := regexp.MustCompile(`as (\d+\.\d+\.\d+)`)
	held := map[string]bool{}
	rows := row.FindAllStringSubmatch(page, -1)
	if len(rows) < 100 || len(rows) != strings.Count(page, "\n| ")-2*strings.Count(page, "\n| no. |") {
		t.Errorf("%d rows were read; each has a number, a short word, what holds and how", len(rows))
	}
	for _, r := range rows {
		shown := strings.Contains(r[3], "`Test") || strings.Contains(r[3], "`Fuzz") || strings.Contains(r[3], "y reading only") || strings.Contains(r[3], "go vet")
		for _, number := range strings.Split(r[1], ", ") {
			held[number] = shown
		}
		if r[2] != "met" || shown {
			continue
		}
		if m := as.FindStringSubmatch(r[3]); m == nil || !held[m[1]] {
			t.Errorf("row %s claims to be met, and nothing shows it: name a test, or say that it was found by reading only", r[1])
		}
	}
}

// Secrets, hashes and signatures are made with what holds today: nothing broken is
// imported, and what is guessed must come from crypto/rand.
func TestCryptographyIsProven(t *testing.T) {
	allowed := []string{"crypto/aes", "crypto/cipher", "crypto/ecdsa", "crypto/elliptic", "crypto/hmac", "crypto/pbkdf2", "crypto/rand", "crypto/sha256", "crypto/subtle", "crypto/tls", "crypto/x509",
		"crypto/x509/pkix", "golang.org/x/crypto/argon2"}
	// Its numbers are nobody's secret.
	chance := map[string]string{"internal/platform/engine/local/server_status.go": "which free port is tried first"}
	found := 0
	for _, f := range goFiles(t) {
		if f.test || f.generated || strings.HasPrefix(f.place, "bench") || strings.HasPrefix(f.place, "scripts") || strings.HasSuffix(f.place, "test") {
			continue
		}
		for _, i := range f.syntax.Imports {
			name := strings.Trim(i.Path.Value, `"`)
			switch {
			case strings.HasPrefix(name, "crypto") || strings.HasPrefix(name, "golang.org/x/crypto"):
				if found++; !slices.Contains(allowed, name) {
					t.Errorf("%s imports %s", f.name, name)
				}
			case strings.HasPrefix(name, "math/rand") && chance[f.name] == "":
				t.Errorf("%s imports %s, whose numbers can be guessed", f.name, name)
			case name == "log" || name == "log/syslog":
				t.Errorf("%s imports %s: lines are made by log/slog, in one form, and go to standard error", f.name, name)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d imports were found; the test looks in the wrong place", found)
	}
}
