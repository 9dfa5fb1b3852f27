package postgres

import (
	"strings"
	"testing"
)

// FuzzDatabaseURL: what an app is given is what it connects with, whatever
// characters the password has; and an address that cannot be read is never
// quoted, since it holds a password.
func FuzzDatabaseURL(f *testing.F) {
	f.Add("role", "password", "127.0.0.1", 20000, "database", "postgres://u:p@h:5432/d?sslmode=require")
	f.Add("r", "p@ss:w/o?r#d%&=+ '\"\\", "db.example.com", 5432, "d b", "postgres://u:pa ss@h/d")
	f.Add("ünï", "пароль", "::1", 29999, "%2f", "postgres://u:secret@[::1/d")
	f.Add("", "", "", 0, "", "host=h password=secret port=x")
	f.Fuzz(func(t *testing.T, role, password, host string, port int, database, raw string) {
		if c, err := ParseURL(raw); err != nil && err.Error() != errURL.Error() {
			t.Errorf("the error quotes what was given: %v", err)
		} else if err == nil && c == nil {
			t.Error("neither a config nor an error")
		}
		// What the program makes such addresses of: names without NUL, a host that
		// is an address or a name.
		if role == "" || password == "" || database == "" || strings.ContainsRune(role+password+database, 0) || port < 1 || port > 65535 ||
			host == "" || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || strings.ContainsAny(host, "/,") {
			return
		}
		c, err := ParseURL(DatabaseURL(role, password, host, port, database))
		if err != nil {
			t.Fatalf("%q %q %q %d %q cannot be read back: %v", role, password, host, port, database, err)
		}
		if c.User != role || c.Password != password || c.Host != host || int(c.Port) != port || c.Database != database || c.TLSConfig == nil {
			t.Errorf("%q %q %q %d %q is read back as %q %q %q %d %q", role, password, host, port, database, c.User, c.Password, c.Host, c.Port, c.Database)
		}
	})
}
