package dbtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// superuser is who owns the throw-away cluster.
const superuser = "changeover_test"

// startThrowAway makes a cluster in a directory of its own that only its owner
// can enter, starts it on a unix socket there, and returns its URL. Nothing of
// it is durable, and it ends with this process, however this process ends.
func startThrowAway(ctx context.Context) (string, error) {
	bin, err := findPrograms()
	if err != nil {
		return "", err
	}
	owner, err := clusterOwner()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(fastPlace(), "codb") // short: socket paths end at 107 bytes
	if err != nil {
		return "", err
	}
	url, err := startIn(ctx, bin, dir, owner)
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return url, nil
}

// fastPlace is memory where there is plenty: each test's database is some 300
// files, and making them takes a disk ten times as long. "" is the usual place.
func fastPlace() string {
	const memory, plenty = "/dev/shm", 2 << 30
	var fs syscall.Statfs_t
	if os.Getenv("TMPDIR") != "" || syscall.Statfs(memory, &fs) != nil || uint64(fs.Bavail)*uint64(fs.Bsize) < plenty {
		return ""
	}
	probe, err := os.MkdirTemp(memory, "codb")
	if err != nil || os.Remove(probe) != nil {
		return ""
	}
	return memory
}

func startIn(ctx context.Context, bin, dir string, owner *syscall.Credential) (string, error) {
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			return "", err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", superuser, "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: owner}
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", err
	}
	defer func() { _ = log.Close() }()
	args := []string{"-D", data, "-k", dir}
	for _, setting := range []string{"listen_addresses=", "fsync=off", "full_page_writes=off", "synchronous_commit=off",
		"wal_level=minimal", "max_wal_senders=0", "max_connections=500", "shared_buffers=64MB", "timezone=UTC"} {
		args = append(args, "-c", setting)
	}
	// Not CommandContext: the server outlives ctx. Its own session keeps the
	// terminal's Ctrl-C away, so that the guard can end it in order.
	postgres := exec.Command(filepath.Join(bin, "postgres"), args...)
	postgres.Dir, postgres.Stdout, postgres.Stderr = dir, log, log
	postgres.SysProcAttr = &syscall.SysProcAttr{Credential: owner, Setsid: true}
	if err := postgres.Start(); err != nil {
		return "", err
	}
	if err := guard(postgres.Process.Pid, dir); err != nil {
		return "", errors.Join(err, postgres.Process.Kill())
	}
	ended := make(chan error, 1)
	go func() { ended <- postgres.Wait() }()
	address := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/postgres",
		RawQuery: url.Values{"host": {dir}, "sslmode": {"disable"}}.Encode()}
	return address.String(), waitUntilItAnswers(ctx, address.String(), ended, log.Name())
}

// guard starts a shell that ends the server and removes its directory as soon
// as this process is gone: its end of the pipe is closed then, also by a panic,
// a time limit or kill -9.
func guard(pid int, dir string) error {
	const script = `cat >/dev/null; kill -QUIT "$1" 2>/dev/null; n=0
while kill -0 "$1" 2>/dev/null && [ $n -lt 100 ]; do n=$((n+1)); sleep 0.05; done; rm -rf "$2"`
	read, write, err := os.Pipe() // both ends close-on-exec; the guard's becomes its stdin
	if err != nil {
		return err
	}
	sh := exec.Command("sh", "-c", script, "sh", strconv.Itoa(pid), dir)
	sh.Stdin, sh.SysProcAttr = read, &syscall.SysProcAttr{Setsid: true}
	err = errors.Join(sh.Start(), read.Close())
	if err == nil {
		go func() { _ = sh.Wait(); _ = write.Close() }() // keeps write from being collected and closed
	}
	return err
}

func waitUntilItAnswers(ctx context.Context, url string, ended <-chan error, log string) error {
	for {
		conn, err := pgx.Connect(ctx, url)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(log)
			return fmt.Errorf("the server did not start: %s", text)
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// clusterOwner is who PostgreSQL runs as: nil for ourselves; as root, which
// PostgreSQL refuses, an unprivileged user.
func clusterOwner() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root and there is no user postgres or nobody")
}

// findPrograms is the bin directory of the newest PostgreSQL there is.
func findPrograms() (string, error) {
	candidates := filepath.SplitList(os.Getenv("CHANGEOVER_POSTGRES_BIN"))
	if initdb, err := exec.LookPath("initdb"); err == nil {
		candidates = append(candidates, filepath.Dir(initdb))
	}
	for major := 30; major >= 13; major-- {
		for _, pattern := range []string{"/usr/lib/postgresql/%d/bin", "/usr/pgsql-%d/bin",
			"/opt/homebrew/opt/postgresql@%d/bin", "/usr/local/opt/postgresql@%d/bin"} {
			candidates = append(candidates, fmt.Sprintf(pattern, major))
		}
	}
	for _, dir := range candidates {
		_, initdbErr := os.Stat(filepath.Join(dir, "initdb"))
		_, postgresErr := os.Stat(filepath.Join(dir, "postgres"))
		if initdbErr == nil && postgresErr == nil {
			return dir, nil
		}
	}
	return "", errors.New("no initdb was found; install PostgreSQL or set CHANGEOVER_POSTGRES_BIN or DATABASE_URL_TEST")
}
