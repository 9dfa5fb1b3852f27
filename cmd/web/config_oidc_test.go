package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadProvider(t *testing.T) {
	dir := t.TempDir()
	secret, open, empty := filepath.Join(dir, "secret"), filepath.Join(dir, "open"), filepath.Join(dir, "empty")
	for file, mode := range map[string]os.FileMode{secret: 0o600, open: 0o644, empty: 0o600} {
		text := "hunter2-of-the-client\n"
		if file == empty {
			text = " \n"
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	good := map[string]string{"CHANGEOVER_OIDC_ISSUER": "https://accounts.example.com/tenant/", "CHANGEOVER_OIDC_CLIENT_ID": "changeover",
		"CHANGEOVER_OIDC_SECRET_FILE": secret, "CHANGEOVER_OIDC_DOMAINS": "Example.com,, example.org "}
	read := func(name, value string) (*identityProvider, error) {
		return readProvider(func(k string) string {
			if k == name {
				return value
			}
			return good[k]
		})
	}
	p, err := read("", "")
	if err != nil || p.Issuer != "https://accounts.example.com/tenant/" || p.Host != "accounts.example.com" || p.Client != "changeover" ||
		p.Secret != "hunter2-of-the-client" || strings.Join(p.Domains, " ") != "example.com example.org" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := readProvider(func(string) string { return "" }); p != nil || err != nil {
		t.Errorf("without any: %+v, %v", p, err)
	}
	if p, err := read("CHANGEOVER_OIDC_ISSUER", "http://127.0.0.1:9000"); err != nil || p.Host != "127.0.0.1:9000" {
		t.Errorf("on this machine: %+v, %v", p, err)
	}
	for _, c := range [][2]string{
		{"CHANGEOVER_OIDC_ISSUER", ""}, {"CHANGEOVER_OIDC_ISSUER", "accounts.example.com"}, {"CHANGEOVER_OIDC_ISSUER", "http://accounts.example.com"},
		{"CHANGEOVER_OIDC_ISSUER", "https://accounts.example.com?x=1"}, {"CHANGEOVER_OIDC_ISSUER", "https://u:hunter2@accounts.example.com"},
		{"CHANGEOVER_OIDC_CLIENT_ID", ""}, {"CHANGEOVER_OIDC_SECRET_FILE", "secret"}, {"CHANGEOVER_OIDC_SECRET_FILE", filepath.Join(dir, "none")},
		{"CHANGEOVER_OIDC_SECRET_FILE", open}, {"CHANGEOVER_OIDC_SECRET_FILE", empty},
		{"CHANGEOVER_OIDC_DOMAINS", ""}, {"CHANGEOVER_OIDC_DOMAINS", "chef@example.com"}, {"CHANGEOVER_OIDC_DOMAINS", "*"}, {"CHANGEOVER_OIDC_DOMAINS", "10.0.0.1"},
	} {
		_, err := read(c[0], c[1])
		if err == nil || !strings.HasPrefix(err.Error(), c[0]+": ") || !strings.HasSuffix(err.Error(), ".") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s=%q: %v", c[0], c[1], err)
		}
	}
}
