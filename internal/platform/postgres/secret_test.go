package postgres

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestVerifierOfAKnownPassword(t *testing.T) {
	// Salt and keys of RFC 7677's example (user "user", password "pencil").
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	got, err := verifier("pencil", salt)
	if err != nil {
		t.Fatal(err)
	}
	want := "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if got != want {
		t.Errorf("verifier = %s\nwant       %s", got, want)
	}
}

func TestVerifierRefuses(t *testing.T) {
	for _, password := range []string{"", "pässword", "a\nb"} {
		if v, err := Verifier(password); err == nil || (password != "" && strings.Contains(err.Error(), password)) {
			t.Errorf("Verifier(%q) = %q, %v; want an error without the password", password, v, err)
		}
	}
}

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
