package switching

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"changeover/bench/cluster"
)

// handMadePool is the peer's PgBouncer, set up as its manual shows: it reaches
// the leader by host and port, and is told of another one by a new file and
// RELOAD.
type handMadePool struct {
	cmd     *exec.Cmd
	dir     string
	file    string // its settings
	port    int
	console string // conninfo of its console
	url     string // what the writers use
}

func findPgBouncer() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("PgBouncer is not installed; make setup-run installs it")
}

func startHandMadePool(ctx context.Context, programs cluster.Programs, dir string, leader *cluster.Cluster) (*handMadePool, error) {
	path, err := findPgBouncer()
	if err != nil {
		return nil, err
	}
	if err := programs.MakeDir(dir); err != nil {
		return nil, err
	}
	port, err := cluster.FreePort()
	if err != nil {
		return nil, err
	}
	p := &handMadePool{dir: dir, file: filepath.Join(dir, "pgbouncer.ini"), port: port,
		console: fmt.Sprintf("host=%s port=%d user=pgbouncer dbname=pgbouncer", dir, port)}
	p.url = (&url.URL{Scheme: "postgres", User: url.UserPassword(handMadeRole, handMadePassword), Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/app", RawQuery: "sslmode=disable"}).String()
	for name, text := range map[string]string{p.file: p.text(leader), filepath.Join(dir, "users"): fmt.Sprintf("%q %q\n", handMadeRole, handMadePassword)} {
		if err := errors.Join(os.WriteFile(name, []byte(text), 0o600), programs.Own(name)); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = programs.Command(context.WithoutCancel(ctx), path, p.file)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, fmt.Sprintf(".s.PGSQL.%d", port))
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			return p, nil
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			return p, fmt.Errorf("PgBouncer does not start: %s", text)
		}
	}
}

// text is the settings file with which it leads to a cluster.
func (p *handMadePool) text(to *cluster.Cluster) string {
	return strings.Join([]string{
		"[databases]",
		fmt.Sprintf("app = host=127.0.0.1 port=%d dbname=app", to.Port),
		"[pgbouncer]",
		"listen_addr = 127.0.0.1",
		fmt.Sprintf("listen_port = %d", p.port),
		"unix_socket_dir = " + p.dir,
		"auth_type = scram-sha-256",
		"auth_file = " + filepath.Join(p.dir, "users"),
		"admin_users = pgbouncer",
		"pool_mode = transaction",
		"default_pool_size = 100",
		"max_client_conn = 1000",
		"server_login_retry = 1",
		"server_tls_sslmode = prefer",
		"log_connections = 0",
		"log_disconnections = 0",
		"",
	}, "\n")
}

func (p *handMadePool) stop() error {
	if p.cmd == nil || p.cmd.Process == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	_ = p.cmd.Wait() // it ends by the signal
	return nil
}
