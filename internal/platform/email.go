package platform

import (
	"net/mail"
	"strings"
	"unicode"
)

// mostEmail is the longest address that SMTP carries (RFC 5321, 4.5.3.1.3), in bytes.
const mostEmail = 254

// CheckEmail is nil for an address by which somebody is known and can be written
// to: the plain form, without a name, quotes or anything that cannot be seen. Else
// Invalid at field.
func CheckEmail(field, email string) error {
	a, err := mail.ParseAddress(email)
	if err != nil || a.Address != email || strings.ContainsAny(email, "\"<>()[]\\,;: ") ||
		strings.ContainsFunc(email, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }) {
		return Invalid(field, "%q is no e-mail address. One has one @ and no spaces, such as chef@example.com.", cutText(email))
	}
	if len(email) > mostEmail {
		return Invalid(field, "The address is longer than %d characters, which no mail server takes. Use a shorter one.", mostEmail)
	}
	return nil
}
