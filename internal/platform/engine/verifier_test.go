package engine

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
