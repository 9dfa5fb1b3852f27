// Package mail owns how one message leaves over SMTP: the settings of the mail
// server as a person types them, and the sending. It knows no tables and no
// jobs; it imports platform and platform/outgoing only.
package mail

import (
	"net/mail"
	"strings"
	"unicode/utf8"

	"changeover/internal/platform"
	"changeover/internal/platform/outgoing"
)

// TLSMode is how the connection to the mail server is encrypted. There is no
// mode without: passwords and sign-in links travel on it.
type TLSMode string

// The two modes: TLS from the first byte (usually port 465), or after STARTTLS,
// which is then required (usually port 587).
const (
	TLSImplicit TLSMode = "implicit"
	TLSStartTLS TLSMode = "starttls"
)

// mostText is the length of a user name or password in characters.
const mostText = 500

// Settings are those of the mail server. User may be empty: the server then
// asks nobody to sign in.
type Settings struct {
	Host     string
	Port     int
	TLS      TLSMode
	User     string
	Password string
	From     string // one address, with or without a name before it
}

// Typed are settings as they come from a form.
type Typed struct{ Host, Port, TLS, User, Password, From string }

// ParseSettings reads what was typed and builds it anew; errors are Invalid at
// the field.
func ParseSettings(t Typed) (Settings, error) {
	var s Settings
	var err error
	if s.Host, err = outgoing.ParseHost("host", t.Host); err != nil {
		return Settings{}, err
	}
	if s.Port, err = outgoing.ParsePort("port", t.Port); err != nil {
		return Settings{}, err
	}
	switch s.TLS = TLSMode(t.TLS); s.TLS {
	case TLSImplicit, TLSStartTLS:
	default:
		return Settings{}, platform.Invalid("tls", "Choose how the connection is encrypted: TLS from the start, or STARTTLS.")
	}
	if s.From, err = parseFrom(t.From); err != nil {
		return Settings{}, err
	}
	s.User, s.Password = strings.TrimSpace(t.User), t.Password
	for field, text := range map[string]string{"user": s.User, "smtp_password": s.Password} {
		if utf8.RuneCountInString(text) > mostText || strings.ContainsAny(text, "\r\n\x00") {
			return Settings{}, platform.Invalid(field, "This has a line break in it or more than %d characters. Type it again.", mostText)
		}
	}
	if s.User == "" && s.Password != "" {
		return Settings{}, platform.Invalid("user", "There is a password and no user name. Give both, or neither.")
	}
	return s, nil
}

func parseFrom(typed string) (string, error) {
	if strings.ContainsAny(typed, "\r\n") || len(typed) > mostText {
		return "", badFrom()
	}
	a, err := mail.ParseAddress(strings.TrimSpace(typed))
	if err != nil {
		return "", badFrom()
	}
	return a.String(), nil
}

func badFrom() error {
	return platform.Invalid("from", "This is not an e-mail address. Give one such as changeover@example.com, or Changeover <changeover@example.com>.")
}
