package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"changeover/internal/platform/outgoing"
)

// config is every setting of the program. All come from the environment, once,
// at start; docs/settings.md lists them.
type config struct {
	Home           string         // CHANGEOVER_HOME, absolute
	HomeNamed      bool           // it was set, and is not the default
	Addr           string         // CHANGEOVER_ADDR, host:port to listen on
	URL            *url.URL       // CHANGEOVER_URL, as people reach it
	TrustedProxies []netip.Prefix // CHANGEOVER_TRUSTED_PROXIES
	KeyFile        string         // CHANGEOVER_KEY_FILE; empty: Home/key
	DatabaseHost   string         // CHANGEOVER_DATABASE_HOST, what the users' databases listen on
	FirstPort      int            // CHANGEOVER_DATABASE_PORTS, both ends included
	LastPort       int
	Zones          []zoneDir // CHANGEOVER_ZONES beside zone a
	MemoryScale    float64   // CHANGEOVER_MEMORY_SCALE, a plan's memory times this is given to its server
	DatabaseURL    string    // DATABASE_URL; empty: the embedded control database
	// OwnerDatabaseURL is CHANGEOVER_OWNER_DATABASE_URL: as whom migrations run; empty: as DATABASE_URL.
	OwnerDatabaseURL string
	PostgresBin      []string // CHANGEOVER_POSTGRES_BIN, extra directories
	PgBouncer        string   // CHANGEOVER_PGBOUNCER, the program; "" for the one that is found
	Development      bool     // CHANGEOVER_DEVELOPMENT, serves /styleguide

	OutgoingAllow outgoing.Allow // CHANGEOVER_OUTGOING_ALLOW, beside the public internet
	KeepNotices   time.Duration  // CHANGEOVER_NOTICE_DAYS

	RequireFactor bool // CHANGEOVER_SECOND_FACTOR, nobody does anything without one

	Provider *identityProvider // CHANGEOVER_OIDC_ISSUER and what goes with it; nil: none
}

// zoneDir is a place for servers and the directory it keeps them in.
type zoneDir struct{ Name, Dir string }

// settingError is a setting that cannot be used. Its sentence names the
// setting, never the value of one that may hold a password.
type settingError struct{ setting, sentence string }

func (e *settingError) Error() string { return e.setting + ": " + e.sentence }

func badSetting(setting, format string, args ...any) error {
	return &settingError{setting, fmt.Sprintf(format, args...)}
}

var zoneName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`)

// readConfig reads the settings with getenv; root says whether the program
// runs as root, which decides where the state lives.
func readConfig(getenv func(string) string, root bool) (config, error) {
	var c config
	var err error
	if c.Home, err = readHome(getenv("CHANGEOVER_HOME"), root); err != nil {
		return config{}, err
	}
	c.HomeNamed = getenv("CHANGEOVER_HOME") != ""
	c.Addr = or(getenv("CHANGEOVER_ADDR"), "127.0.0.1:8090")
	if err := checkAddr("CHANGEOVER_ADDR", c.Addr); err != nil {
		return config{}, err
	}
	if c.URL, err = readURL(getenv("CHANGEOVER_URL"), c.Addr); err != nil {
		return config{}, err
	}
	if c.TrustedProxies, err = readProxies(getenv("CHANGEOVER_TRUSTED_PROXIES")); err != nil {
		return config{}, err
	}
	if c.KeyFile = getenv("CHANGEOVER_KEY_FILE"); c.KeyFile != "" && !filepath.IsAbs(c.KeyFile) {
		return config{}, badSetting("CHANGEOVER_KEY_FILE", "give the absolute path of a file that holds 32 bytes, such as /etc/changeover/key.")
	}
	c.DatabaseHost = or(getenv("CHANGEOVER_DATABASE_HOST"), "127.0.0.1")
	if strings.ContainsAny(c.DatabaseHost, ":/@ ,") && net.ParseIP(c.DatabaseHost) == nil {
		return config{}, badSetting("CHANGEOVER_DATABASE_HOST", "%q is neither an address nor a host name. Give one, such as 127.0.0.1.", c.DatabaseHost)
	}
	if c.FirstPort, c.LastPort, err = readPorts(or(getenv("CHANGEOVER_DATABASE_PORTS"), "20000-29999")); err != nil {
		return config{}, err
	}
	if c.Zones, err = readZones(getenv("CHANGEOVER_ZONES")); err != nil {
		return config{}, err
	}
	if c.MemoryScale, err = readScale(getenv("CHANGEOVER_MEMORY_SCALE")); err != nil {
		return config{}, err
	}
	if c.DatabaseURL = getenv("DATABASE_URL"); c.DatabaseURL != "" {
		// The parse error is left out: it repeats the URL, password included.
		u, err := url.Parse(c.DatabaseURL)
		if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
			return config{}, badSetting("DATABASE_URL", "this is not a PostgreSQL URL. Give one that begins with postgres://, or unset it to use the embedded control database.")
		}
	}
	if c.OwnerDatabaseURL = getenv("CHANGEOVER_OWNER_DATABASE_URL"); c.OwnerDatabaseURL != "" {
		u, err := url.Parse(c.OwnerDatabaseURL)
		if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || c.DatabaseURL == "" {
			return config{}, badSetting("CHANGEOVER_OWNER_DATABASE_URL", "this is not the PostgreSQL URL of an owner beside DATABASE_URL. Give one that begins with postgres:// together with DATABASE_URL, or unset it.")
		}
	}
	for _, dir := range filepath.SplitList(getenv("CHANGEOVER_POSTGRES_BIN")) {
		if dir == "" {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, "initdb")); err != nil || info.IsDir() {
			return config{}, badSetting("CHANGEOVER_POSTGRES_BIN", "%s has no initdb in it. Give the bin directory of a PostgreSQL installation.", dir)
		}
		if dir, err = filepath.Abs(dir); err != nil {
			return config{}, badSetting("CHANGEOVER_POSTGRES_BIN", "%s has no absolute path (%v). Give one.", dir, err)
		}
		c.PostgresBin = append(c.PostgresBin, dir)
	}
	if c.PgBouncer = getenv("CHANGEOVER_PGBOUNCER"); c.PgBouncer != "" {
		if info, err := os.Stat(c.PgBouncer); err != nil || info.IsDir() || info.Mode()&0o111 == 0 || !filepath.IsAbs(c.PgBouncer) {
			return config{}, badSetting("CHANGEOVER_PGBOUNCER", "%s is not the absolute path of a program. Give that of a PgBouncer, or unset it to use the one that is installed.", c.PgBouncer)
		}
	}
	if c.OutgoingAllow, err = outgoing.ParseAllow(getenv("CHANGEOVER_OUTGOING_ALLOW")); err != nil {
		return config{}, badSetting("CHANGEOVER_OUTGOING_ALLOW", "%v.", err)
	}
	if c.Provider, err = readProvider(getenv); err != nil {
		return config{}, err
	}
	if c.KeepNotices, err = readDays("CHANGEOVER_NOTICE_DAYS", or(getenv("CHANGEOVER_NOTICE_DAYS"), "365")); err != nil {
		return config{}, err
	}
	switch v := getenv("CHANGEOVER_SECOND_FACTOR"); v {
	case "", "optional":
	case "required":
		c.RequireFactor = true
	default:
		return config{}, badSetting("CHANGEOVER_SECOND_FACTOR", "%q is not understood. Set it to required, or unset it.", v)
	}
	switch v := getenv("CHANGEOVER_DEVELOPMENT"); v {
	case "", "0":
	case "1":
		c.Development = true
	default:
		return config{}, badSetting("CHANGEOVER_DEVELOPMENT", "%q is not understood. Set it to 1, or unset it.", v)
	}
	return c, nil
}

// readDays reads a number of days. A week is the least: the feed is what the
// watch of the followers remembers by.
func readDays(setting, value string) (time.Duration, error) {
	days, err := strconv.Atoi(value)
	if err != nil || days < 7 || days > 36500 {
		return 0, badSetting(setting, "%q is not a number of days that can be used. Give one between 7 and 36500, such as 365.", value)
	}
	return time.Duration(days) * 24 * time.Hour, nil
}

// HTTPS is whether people reach the program under https.
func (c config) HTTPS() bool { return c.URL.Scheme == "https" }

// Link is the public address of a path.
func (c config) Link(path string) string { return strings.TrimSuffix(c.URL.String(), "/") + path }

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func readHome(value string, root bool) (string, error) {
	if value == "" {
		if value = "var"; root {
			value = "/var/lib/changeover"
		}
	}
	home, err := filepath.Abs(value)
	if err != nil {
		return "", badSetting("CHANGEOVER_HOME", "%s has no absolute path (%v). Give one.", value, err)
	}
	if info, err := os.Stat(home); err == nil && !info.IsDir() {
		return "", badSetting("CHANGEOVER_HOME", "%s is a file. Give the path of a directory; it is made if it does not exist.", home)
	}
	return home, nil
}

func checkAddr(setting, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return badSetting(setting, "%q is not an address to listen on. Give host:port, such as 127.0.0.1:8090.", addr)
	}
	return nil
}

func readURL(value, addr string) (*url.URL, error) {
	if value == "" {
		host, port, _ := net.SplitHostPort(addr)
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		return &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}, nil
	}
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, badSetting("CHANGEOVER_URL", "%q is not a web address. Give what people type, such as https://databases.example.com.", value)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, badSetting("CHANGEOVER_URL", "%q has more than a host. Changeover is served from the root of its host; give only that, such as https://%s.", value, u.Host)
	}
	u.Path = ""
	return u, nil
}

func readProxies(value string) ([]netip.Prefix, error) {
	var proxies []netip.Prefix
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			addr, addrErr := netip.ParseAddr(part)
			if addrErr != nil {
				return nil, badSetting("CHANGEOVER_TRUSTED_PROXIES", "%q is neither an address nor a network. Give a list such as 10.0.0.7,10.1.0.0/16.", part)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		proxies = append(proxies, prefix)
	}
	return proxies, nil
}

func readPorts(value string) (first, last int, err error) {
	a, b, ok := strings.Cut(value, "-")
	if ok {
		first, err = strconv.Atoi(strings.TrimSpace(a))
		if err == nil {
			last, err = strconv.Atoi(strings.TrimSpace(b))
		}
	}
	if !ok || err != nil || first < 1024 || last > 65535 || last < first+9 {
		return 0, 0, badSetting("CHANGEOVER_DATABASE_PORTS", "%q is not a usable range. Give first-last between 1024 and 65535 with at least 10 ports, such as 20000-29999.", value)
	}
	return first, last, nil
}

func readZones(value string) ([]zoneDir, error) {
	var zones []zoneDir
	seen := map[string]bool{}
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, dir, ok := strings.Cut(part, "=")
		if !ok || !zoneName.MatchString(name) || !filepath.IsAbs(dir) {
			return nil, badSetting("CHANGEOVER_ZONES", "%q is not name=directory. Give a list such as b=/disk2/changeover,c=/disk3/changeover.", part)
		}
		if seen[name] {
			return nil, badSetting("CHANGEOVER_ZONES", "zone %s is there twice. Give each zone its own name.", name)
		}
		seen[name] = true
		zones = append(zones, zoneDir{name, dir})
	}
	return zones, nil
}

func readScale(value string) (float64, error) {
	if value == "" {
		return 0, nil // the engine's own default
	}
	scale, err := strconv.ParseFloat(value, 64)
	if err != nil || !(scale > 0) || scale > 1 {
		return 0, badSetting("CHANGEOVER_MEMORY_SCALE", "%q is not usable. Give a number above 0 and at most 1: the part of a plan's memory that its server really gets, such as 0.02.", value)
	}
	return scale, nil
}
