package outgoing

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"changeover/internal/platform"
)

// mostHost and mostLabel are the lengths that the name system allows.
const (
	mostHost  = 253
	mostLabel = 63
	mostURL   = 2000
)

// ParseHost reads a host as a person types it and returns it built anew: a name
// in lower case without the dot at its end, or an address in its one spelling.
// Other spellings of addresses (127.1, 0x7f000001, 2130706433, 0177.0.0.1) are
// refused: resolvers read them, and no two alike. Errors are Invalid at field.
func ParseHost(field, typed string) (string, error) {
	host := strings.ToLower(strings.TrimSpace(typed))
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return "", badHost(field, typed)
		}
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return "", platform.Invalid(field, "%q names a network card. Give the address without what follows the percent sign.", shorten(typed))
		}
		return addr.String(), nil
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > mostHost {
		return "", badHost(field, typed)
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return "", badHost(field, typed)
		}
	}
	// A name whose last part is a number is an address in some spelling.
	if last := labels[len(labels)-1]; isNumber(last) {
		return "", badHost(field, typed)
	}
	return host, nil
}

func isLabel(label string) bool {
	if label == "" || len(label) > mostLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, r := range label {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

// isNumber is whether a resolver could read the label as a number: digits, or
// hexadecimal after 0x.
func isNumber(label string) bool {
	if _, err := strconv.ParseUint(label, 10, 64); err == nil {
		return true
	}
	return strings.HasPrefix(label, "0x") || strings.Trim(label, "0123456789") == ""
}

func badHost(field, typed string) error {
	return platform.Invalid(field, "%q is not the name of a host. Give one such as mail.example.com, or an address.", shorten(typed))
}

// ParsePort reads a port between 1 and 65535; Invalid at field.
func ParsePort(field, typed string) (int, error) {
	port, err := strconv.ParseUint(strings.TrimSpace(typed), 10, 16)
	if err != nil || port == 0 {
		return 0, platform.Invalid(field, "%q is not a port. Give a number between 1 and 65535.", shorten(typed))
	}
	return int(port), nil
}

// ParseURL reads a web address and returns it built anew from scheme, host,
// port, path and query: nothing else of what was typed goes on. A user name or
// password in it is refused, since addresses stand in logs. Errors are Invalid
// at field; none repeats what url.Parse quotes.
func ParseURL(field, typed string, schemes ...string) (*url.URL, error) {
	text := strings.TrimSpace(typed)
	u, err := url.Parse(text)
	if err != nil || len(text) > mostURL || u.Opaque != "" || u.Host == "" {
		return nil, platform.Invalid(field, "This is not a web address. Give one such as %s://hooks.example.com/changeover.", schemes[0])
	}
	known := false
	for _, s := range schemes {
		known = known || u.Scheme == s
	}
	if !known {
		return nil, platform.Invalid(field, "The address begins with %q. Give one that begins with %s://.", shorten(u.Scheme+"://"), strings.Join(schemes, ":// or "))
	}
	if u.User != nil {
		return nil, platform.Invalid(field, "The address has a user name or a password in it, which would stand in logs. Leave them out.")
	}
	host, err := ParseHost(field, u.Hostname())
	if err != nil {
		return nil, err
	}
	built := &url.URL{Scheme: u.Scheme, Host: host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.Query().Encode()}
	if strings.Contains(host, ":") {
		built.Host = "[" + host + "]"
	}
	if text := u.Port(); text != "" {
		port, err := ParsePort(field, text)
		if err != nil {
			return nil, err
		}
		built.Host += ":" + strconv.Itoa(port)
	} else if strings.HasSuffix(u.Host, ":") {
		return nil, platform.Invalid(field, "The address ends in a colon without a port. Leave the colon out.")
	}
	return built, nil
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
