package postgres

import (
	"strings"
	"testing"
)

func TestDatabaseURL(t *testing.T) {
	raw := DatabaseURL("u1", "p@ss/w:rd?", "127.0.0.1", 20001, "d1")
	if want := "postgres://u1:p%40ss%2Fw%3Ard%3F@127.0.0.1:20001/d1?sslmode=require"; raw != want {
		t.Errorf("URL = %s, want %s", raw, want)
	}
	config, err := ParseURL(raw)
	if err != nil {
		t.Fatal(err)
	}
	if config.Password != "p@ss/w:rd?" || config.User != "u1" || config.Port != 20001 || config.Database != "d1" || config.TLSConfig == nil {
		t.Errorf("parsed back: user %q port %d database %q, TLS %v", config.User, config.Port, config.Database, config.TLSConfig != nil)
	}
	if raw := DatabaseURL("u", "p", "::1", 5432, "d"); !strings.Contains(raw, "@[::1]:5432/") {
		t.Errorf("IPv6 host not in brackets: %s", raw)
	}
}

func TestParseURLKeepsSecrets(t *testing.T) {
	for _, raw := range []string{
		"postgres://u:s3cret@host:99999999/d", "postgres://u:s3cret@ho st/d", "postgres://u:s3cret%zz@host/d", "postgres://u:s3cret@host/d?sslmode=nonsense",
	} {
		_, err := ParseURL(raw)
		if err == nil {
			t.Errorf("ParseURL(%s) accepted it", raw)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}
