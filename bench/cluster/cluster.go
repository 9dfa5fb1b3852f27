// Package cluster makes PostgreSQL servers for the benchmarks' peers and for
// the tests of bench: by initdb and pg_basebackup, as a person would do it by
// hand. It uses nothing of ours, on purpose: a peer must not profit from the
// program that it is compared with.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Programs are PostgreSQL's programs and the user that runs them.
type Programs struct {
	// BinDir is the directory of initdb, pg_ctl and the others.
	BinDir string
	// Credential is the unprivileged user, since PostgreSQL refuses root; nil
	// where the benchmark itself is not root.
	Credential *syscall.Credential
	// SegmentMB is the size of WAL segments of what Init makes; 1 when zero.
	SegmentMB int
}

// Find takes the newest PostgreSQL of this machine, or the one of major when it
// is not 0: CHANGEOVER_POSTGRES_BIN first, then Debian's places, then the PATH.
func Find(major int) (Programs, error) {
	dirs := filepath.SplitList(os.Getenv("CHANGEOVER_POSTGRES_BIN"))
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(debian, func(a, b string) int { return majorOf(b) - majorOf(a) })
	dirs = append(dirs, debian...)
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		if major != 0 && slices.Contains(debian, dir) && majorOf(dir) != major {
			continue
		}
		credential, err := unprivileged()
		return Programs{BinDir: dir, Credential: credential}, err
	}
	return Programs{}, errors.New("no PostgreSQL was found: install it, or name its bin directory in CHANGEOVER_POSTGRES_BIN")
}

// majorOf reads 15 from /usr/lib/postgresql/15/bin; 0 for any other path.
func majorOf(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("root cannot run PostgreSQL, and there is no user postgres to run it: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// Command is a command that runs as the unprivileged user in a directory which
// that user can enter.
func (p Programs) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = "/"
	// libpq looks into the home directory, and root's is closed to others.
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "PG") }), "LC_ALL=C", "HOME=/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.Credential}
	return cmd
}

// run runs one of PostgreSQL's programs; its output is in the error.
func (p Programs) run(ctx context.Context, name string, args ...string) error {
	out, err := p.Command(ctx, filepath.Join(p.BinDir, name), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// MakeDir makes a directory that belongs to the unprivileged user.
func (p Programs) MakeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return p.Own(dir)
}

// Cluster is one server. Its superuser is postgres over the Unix socket.
type Cluster struct {
	Programs
	Dir    string // the data directory
	Socket string // the directory of the Unix socket
	Port   int
}

// Init makes an empty cluster in dir/data with checksums and small WAL segments,
// listening with TLS on a free port of the loopback address; the settings are
// added to its configuration. It is not started.
func (p Programs) Init(ctx context.Context, dir string, settings map[string]string) (*Cluster, error) {
	c, err := p.place(dir)
	if err != nil {
		return nil, err
	}
	err = p.run(ctx, "initdb", "--pgdata", c.Dir, "--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256",
		"--encoding=UTF8", "--data-checksums", fmt.Sprintf("--wal-segsize=%d", max(p.SegmentMB, 1)))
	if err != nil {
		return nil, err
	}
	if err := c.writeCertificate(); err != nil {
		return nil, err
	}
	return c, c.configure(settings)
}

// BaseBackup copies the running c into dir/data as a follower that streams
// through the slot, which it makes. It is not started.
func (c *Cluster) BaseBackup(ctx context.Context, dir, slot string, settings map[string]string) (*Cluster, error) {
	f, err := c.place(dir)
	if err != nil {
		return nil, err
	}
	err = c.run(ctx, "pg_basebackup", "--pgdata", f.Dir, "--dbname", c.Conninfo(), "--checkpoint=fast",
		"--wal-method=stream", "--create-slot", "--slot", slot)
	if err != nil {
		return nil, err
	}
	if err := f.append("postgresql.auto.conf", fmt.Sprintf("primary_conninfo = '%s'\nprimary_slot_name = '%s'\n", c.Conninfo(), slot)); err != nil {
		return nil, err
	}
	if err := f.append("standby.signal", ""); err != nil {
		return nil, err
	}
	return f, f.configure(settings)
}

func (p Programs) place(dir string) (*Cluster, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Programs: p, Dir: filepath.Join(dir, "data"), Socket: dir, Port: port}
	if len(filepath.Join(dir, ".s.PGSQL.65535.lock")) > 100 {
		return nil, fmt.Errorf("the path %s is too long for a Unix socket", dir)
	}
	return c, p.MakeDir(dir)
}

// FreePort is a port of the loopback address that nobody uses now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Conninfo is how the superuser connects over the socket, without a database name.
func (c *Cluster) Conninfo() string {
	return fmt.Sprintf("host=%s port=%d user=postgres", c.Socket, c.Port)
}

// URL is how an app connects, over TCP and TLS.
func (c *Cluster) URL(role, password, database string) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=require", role, password, c.Port, database)
}

// Start starts the server in a session of its own and returns when it answers.
func (c *Cluster) Start(ctx context.Context) error {
	if err := c.run(ctx, "pg_ctl", "--pgdata", c.Dir, "--log", c.Dir+".log", "--wait", "--timeout=120", "start"); err != nil {
		log, _ := os.ReadFile(c.Dir + ".log")
		return fmt.Errorf("%w: %s", err, log[max(0, len(log)-2000):])
	}
	return nil
}

// Stop stops the server fast; a server that does not run is not an error.
func (c *Cluster) Stop(ctx context.Context) error {
	if _, err := c.PID(); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return c.run(ctx, "pg_ctl", "--pgdata", c.Dir, "--wait", "--timeout=60", "--mode=fast", "stop")
}

// Kill ends the server with SIGKILL, as a power cut would, and waits for its
// last process.
func (c *Cluster) Kill(ctx context.Context) error {
	pid, err := c.PID()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	// The other processes notice the postmaster's death and end by themselves. It
	// keeps its pid until it is reaped, and until then the next postmaster would
	// take it for a living owner of the directory.
	for len(ProcessesIn(c.Dir)) > 0 || syscall.Kill(pid, 0) == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// ProcessesIn are the processes whose working directory is dir or below it.
func ProcessesIn(dir string) []int {
	var found []int
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || target != dir && !strings.HasPrefix(target, dir+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// PID is the postmaster's, as its pid file says.
func (c *Cluster) PID() (int, error) {
	data, err := os.ReadFile(filepath.Join(c.Dir, "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(data), "\n")
	return strconv.Atoi(first)
}
