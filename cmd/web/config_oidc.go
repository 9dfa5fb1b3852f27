package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"

	"changeover/internal/platform/outgoing"
)

// identityProvider is where people can sign in besides here: CHANGEOVER_OIDC_ISSUER and what goes with it.
type identityProvider struct {
	Issuer  string   // as it was typed: it is compared letter by letter
	Host    string   // of the issuer, for people
	Client  string   // what this program is called there
	Secret  string   // from a file; may be empty
	Domains []string // addresses of these alone are let in
}

// readProvider is nil where none is set.
func readProvider(getenv func(string) string) (*identityProvider, error) {
	const issuer, client, file, domains = "CHANGEOVER_OIDC_ISSUER", "CHANGEOVER_OIDC_CLIENT_ID", "CHANGEOVER_OIDC_SECRET_FILE", "CHANGEOVER_OIDC_DOMAINS"
	p := &identityProvider{Issuer: strings.TrimSpace(getenv(issuer)), Client: strings.TrimSpace(getenv(client))}
	if p.Issuer == "" {
		for _, other := range []string{client, file, domains} {
			if getenv(other) != "" {
				return nil, badSetting(issuer, "%s is set and this one is not. Set it to the issuer's address, such as https://accounts.example.com, or unset the other.", other)
			}
		}
		return nil, nil
	}
	u, err := outgoing.ParseURL("", p.Issuer, "https", "http")
	if err != nil || u.RawQuery != "" {
		return nil, badSetting(issuer, "this is not an issuer's address. Give it exactly as the identity provider states it, such as https://accounts.example.com.")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, badSetting(issuer, "it begins with http://, which is taken for this machine's own addresses only. Give one that begins with https://.")
	}
	p.Host = u.Host
	if p.Client == "" {
		return nil, badSetting(client, "the identity provider gave this program a client id. Set it.")
	}
	if path := getenv(file); path != "" {
		if p.Secret, err = readSecret(path); err != nil {
			return nil, badSetting(file, "%v", err)
		}
	}
	for part := range strings.SplitSeq(getenv(domains), ",") {
		if part = strings.ToLower(strings.TrimSpace(part)); part == "" {
			continue
		}
		host, err := outgoing.ParseHost("", part)
		if err != nil || net.ParseIP(host) != nil || strings.Contains(part, "@") {
			return nil, badSetting(domains, "%q is not the domain of mail addresses. Give a list such as example.com,example.org.", part)
		}
		p.Domains = append(p.Domains, host)
	}
	if len(p.Domains) == 0 {
		return nil, badSetting(domains, "whoever has an account at %s would be let in. Give the domains of the addresses that may, such as example.com.", p.Host)
	}
	return p, nil
}

// readSecret reads a file of one line that nobody else can read.
func readSecret(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", badSentence("give the absolute path of a file that holds the client's secret, such as /etc/changeover/oidc-secret.")
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", badSentence("the file cannot be read. Check the path and its owner.")
	}
	if info.Mode().Perm()&0o027 != 0 {
		return "", badSentence("the file can be read or changed by others. Run: chmod 600 on it.")
	}
	data, err := os.ReadFile(path)
	if err != nil || len(data) > 4096 || strings.TrimSpace(string(data)) == "" {
		return "", badSentence("the file does not hold a secret of one line. Put the client's secret into it.")
	}
	return strings.TrimSpace(string(data)), nil
}

// badSentence is what is wrong, without the name of the setting.
type badSentence string

func (b badSentence) Error() string { return string(b) }
