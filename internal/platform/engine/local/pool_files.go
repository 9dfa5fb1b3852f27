package local

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
// With only set no other one will do.
func findPooler(only string, extra []string) *pooler {
	if only != "" {
		return poolerAt(only)
	}
	candidates := []string{}
	for _, dir := range extra {
		candidates = append(candidates, filepath.Join(dir, "pgbouncer"))
	}
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		candidates = append(candidates, path)
	}
	candidates = append(candidates, "/usr/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer", "/usr/local/bin/pgbouncer")
	for _, path := range candidates {
		if p := poolerAt(path); p != nil {
			return p
		}
	}
	return nil
}

// poolerAt is the PgBouncer of that path; nil where there is none.
func poolerAt(path string) *pooler {
	out, err := exec.Command(path, "--version").Output()
	m := poolerVersion.FindStringSubmatch(string(out))
	if err != nil || m == nil {
		return nil
	}
	major, _ := strconv.Atoi(m[1]) // digits by the pattern
	minor, _ := strconv.Atoi(m[2])
	return &pooler{path: path, version: strings.TrimPrefix(m[0], "PgBouncer "), prepared: major > 1 || major == 1 && minor >= 21}
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
func (e *Engine) writeRoute(p engine.Pool) error {
	if e.routeOf(p.ID) == p.ServerPort {
		return nil
	}
	dir := e.poolRoute(p.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := e.owner.take(dir); err != nil {
		return err
	}
	link := filepath.Join(dir, pool.RouteSocket)
	if err := removeFile(link + ".new"); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join("..", serverSocket+strconv.Itoa(p.ServerPort)), link+".new"); err != nil {
		return err
	}
	return os.Rename(link+".new", link)
}

// applied is what the running PgBouncer of a pool goes by. The files may say
// something newer: whoever wrote them may have died before it could be told.
type applied struct {
	Files string `json:"files"` // sums of what it reads at its start or by RELOAD
	Sizes string `json:"sizes"`
	Route int    `json:"route"` // the server's port
	// Older: it does not know max_prepared_statements, whatever would be started in
	// its place now, and would refuse the whole file for it.
	Older bool `json:"older"`
}

// appliedFile holds it, and is not there while a PgBouncer is started.
const appliedFile = "applied.json"

// readApplied is the zero value where nothing is known: then it is told all.
func readApplied(c cluster) (a applied) {
	text, err := os.ReadFile(filepath.Join(c.dir, appliedFile))
	if err != nil || json.Unmarshal(text, &a) != nil {
		return applied{}
	}
	return a
}

// noteApplied is not synced: no PgBouncer outlives the machine.
func (e *Engine) noteApplied(c cluster, a applied) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	path := filepath.Join(c.dir, appliedFile)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// writePool writes a pool's files and returns what a PgBouncer that has read them
// goes by.
func (e *Engine) writePool(c cluster, p engine.Pool) (applied, error) {
	settings := e.poolSettings(p)
	running, err := e.poolProcesses(c)
	if err != nil {
		return applied{}, err
	}
	older := !settings.Prepared || len(running) > 0 && readApplied(c).Older
	settings.Prepared = !older
	if err := e.writeCertificate(c); err != nil {
		return applied{}, err
	}
	certificate, err := os.ReadFile(c.path(pool.CertificateFile))
	if err != nil {
		return applied{}, err
	}
	read := sha256.New()
	read.Write(certificate)
	for _, file := range []struct{ name, text string }{
		{pool.AccessFile, settings.Access()}, {pool.UsersFile, settings.Users(p.Verifier)}, {pool.SettingsFile, settings.Text()},
	} {
		if err := e.writeIfDifferent(filepath.Join(c.dir, file.name), file.text); err != nil {
			return applied{}, err
		}
		fmt.Fprintf(read, "%q", file.text)
	}
	sizes := settings.SizesText()
	if err := e.writeIfDifferent(filepath.Join(c.dir, pool.SizesFile), sizes); err != nil {
		return applied{}, err
	}
	return applied{Files: hex.EncodeToString(read.Sum(nil)), Sizes: sizes, Route: p.ServerPort, Older: older}, nil
}
