package local

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"changeover/internal/platform/engine"
	"changeover/internal/platform/pool"
)

// pooler is the PgBouncer that was found on this machine.
type pooler struct {
	path    string
	version string // "1.18.0"
	// prepared: it keeps track of prepared statements in transaction pooling.
	prepared bool
}

var poolerVersion = regexp.MustCompile(`PgBouncer (\d+)\.(\d+)\S*`)

// findPooler looks in extra first, then in the usual places; nil without one.
func findPooler(extra []string) *pooler {
	candidates := []string{}
	for _, dir := range extra {
		candidates = append(candidates, filepath.Join(dir, "pgbouncer"))
	}
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		candidates = append(candidates, path)
	}
	candidates = append(candidates, "/usr/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer", "/usr/local/bin/pgbouncer")
	for _, path := range candidates {
		out, err := exec.Command(path, "--version").Output()
		m := poolerVersion.FindStringSubmatch(string(out))
		if err != nil || m == nil {
			continue
		}
		major, _ := strconv.Atoi(m[1]) // digits by the pattern
		minor, _ := strconv.Atoi(m[2])
		return &pooler{path: path, version: strings.TrimPrefix(m[0], "PgBouncer "), prepared: major > 1 || major == 1 && minor >= 21}
	}
	return nil
}

// Pooler is the version of the PgBouncer that pools run on, and whether it keeps
// track of prepared statements; "" where there is none.
func (e *Engine) Pooler() (version string, prepared bool) {
	if e.pooler == nil {
		return "", false
	}
	return e.pooler.version, e.pooler.prepared
}

func (e *Engine) poolSettings(p engine.Pool) pool.Settings {
	return pool.Settings{Host: e.config.DatabaseHost, Port: p.Port, Sockets: e.sockets, Dir: e.poolCluster(p.ID).dir,
		ServerHost: e.loopback(), ServerPort: p.ServerPort, DatabaseName: p.DatabaseName, RoleName: p.RoleName,
		Size: p.Size, Clients: p.Clients, Prepared: e.pooler != nil && e.pooler.prepared}
}

// loopback is how a program on this machine reaches the servers.
func (e *Engine) loopback() string {
	switch e.config.DatabaseHost {
	case "0.0.0.0", "::", "*":
		return "127.0.0.1"
	}
	return e.config.DatabaseHost
}

var routePort = regexp.MustCompile(`(?m)^\w+ = host=\S+ port=(\d+) `)

func routeOf(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	m := routePort.FindSubmatch(text)
	if m == nil {
		return 0
	}
	port, _ := strconv.Atoi(string(m[1])) // digits by the pattern
	return port
}

// writePool writes a pool's files and says whether any of them changed.
func (e *Engine) writePool(c cluster, p engine.Pool) (changed bool, err error) {
	settings := e.poolSettings(p)
	authority, err := e.CertificateAuthority()
	if err != nil {
		return false, err
	}
	for _, file := range []struct{ name, text string }{
		{pool.AuthorityFile, string(authority)}, {pool.AccessFile, settings.Access()},
		{pool.UsersFile, settings.Users(p.Verifier)}, {pool.SettingsFile, settings.Text()},
	} {
		path := filepath.Join(c.dir, file.name)
		if old, err := os.ReadFile(path); err == nil && string(old) == file.text {
			continue
		}
		changed = true
		if err := e.writeUnsynced(path, file.text); err != nil {
			return false, err
		}
	}
	return changed, e.writeCertificate(c)
}

// writeUnsynced replaces path whole, for readers and for a process that is
// killed, but not durably.
func (e *Engine) writeUnsynced(path, text string) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(temp, 0o600), e.owner.take(temp)); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
