package local

import (
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
	return pool.Settings{Host: e.config.DatabaseHost, Port: p.Port, Sockets: e.sockets, Dir: e.poolCluster(p.ID).dir, Route: e.poolRoute(p.ID),
		DatabaseName: p.DatabaseName, RoleName: p.RoleName, Size: p.Size, Clients: p.Clients, Prepared: e.pooler != nil && e.pooler.prepared}
}

// poolRoute is the directory of the link to a pool's server, beside the servers'
// own sockets, where names are short enough for a socket's address.
func (e *Engine) poolRoute(id int64) string {
	return filepath.Join(e.sockets, "p"+strconv.FormatInt(id, 10))
}

// routeOf is the port of the server that a pool leads to; 0 where it leads nowhere.
func (e *Engine) routeOf(id int64) int {
	target, err := os.Readlink(filepath.Join(e.poolRoute(id), pool.RouteSocket))
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(target), serverSocket))
	if err != nil {
		return 0
	}
	return port
}

// serverSocket is the name of a server's socket without its port.
const serverSocket = ".s.PGSQL."

// writeRoute makes a pool lead to a server, in one rename. It is what an outage
// waits for, so nothing is synced: whoever starts the pool after a crash of the
// machine writes it first.
func (e *Engine) writeRoute(p engine.Pool) (changed bool, err error) {
	if e.routeOf(p.ID) == p.ServerPort {
		return false, nil
	}
	dir := e.poolRoute(p.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	if err := e.owner.take(dir); err != nil {
		return false, err
	}
	link := filepath.Join(dir, pool.RouteSocket)
	if err := removeFile(link + ".new"); err != nil {
		return false, err
	}
	if err := os.Symlink(filepath.Join("..", serverSocket+strconv.Itoa(p.ServerPort)), link+".new"); err != nil {
		return false, err
	}
	return true, os.Rename(link+".new", link)
}

// writePool writes a pool's files. resized is true where only what follows from
// the plan is different, which a running PgBouncer can be told; changed where it
// has to read its files again.
func (e *Engine) writePool(c cluster, p engine.Pool) (changed, resized bool, err error) {
	settings := e.poolSettings(p)
	for _, file := range []struct {
		name, text string
		different  *bool
	}{
		{pool.AccessFile, settings.Access(), &changed}, {pool.UsersFile, settings.Users(p.Verifier), &changed},
		{pool.SettingsFile, settings.Text(), &changed}, {pool.SizesFile, settings.SizesText(), &resized},
	} {
		path := filepath.Join(c.dir, file.name)
		if old, err := os.ReadFile(path); err == nil && string(old) == file.text {
			continue
		}
		*file.different = true
		if err := e.writeFile(path, []byte(file.text), 0o600); err != nil {
			return changed, resized, err
		}
	}
	before, _ := os.ReadFile(c.path(pool.CertificateFile)) // none is another one, too
	if err := e.writeCertificate(c); err != nil {
		return changed, resized, err
	}
	after, err := os.ReadFile(c.path(pool.CertificateFile))
	return changed || string(before) != string(after), resized, err
}
