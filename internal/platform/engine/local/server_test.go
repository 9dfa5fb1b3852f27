package local_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
)

// One server through its whole life: each part begins where the last one ended.
func TestServerLife(t *testing.T) {
	p := platformtest.New(t)
	s := p.Leader(t, "essential-0")

	t.Run("roles", func(t *testing.T) { checkRoles(t, s) })
	t.Run("constants", func(t *testing.T) { checkConstants(t, p, s) })
	t.Run("certificate", func(t *testing.T) { checkCertificate(t, p, s) })
	t.Run("limit", func(t *testing.T) {
		for range s.Plan.Connections {
			s.Connect(t)
		}
		if conn, err := pgx.Connect(t.Context(), s.URL); err == nil {
			_ = conn.Close(t.Context())
			t.Errorf("connection %d was let in, the plan's limit is %d", s.Plan.Connections+1, s.Plan.Connections)
		}
		s.ConnectAdmin(t) // the admin always gets in
	})
	t.Run("start of a running server", func(t *testing.T) {
		before := status(t, p, s)
		s.Start(t)
		if after := status(t, p, s); after.PID != before.PID {
			t.Errorf("it was process %d and is %d", before.PID, after.PID)
		}
	})
	t.Run("create again", func(t *testing.T) {
		if err := p.Create(t.Context(), platformtest.Epoch, s.Server, s.Credentials); err != nil {
			t.Fatal(err)
		}
		if !status(t, p, s).Running {
			t.Error("a second Create touched a complete server")
		}
	})
	t.Run("restart", func(t *testing.T) {
		exec(t, s.Connect(t), "create table kept (id int); insert into kept values (1)")
		stop(t, p, s)
		if got := status(t, p, s); got.Running || got.Control.State != engine.ShutDown || len(s.Pids(t)) != 0 {
			t.Errorf("after Stop: %+v, processes %v", got, s.Pids(t))
		}
		s.Start(t)
		if got := platformtest.Query(t, s.Connect(t), "select count(*)::text from kept"); got != "1" {
			t.Errorf("kept has %s rows, want 1", got)
		}
	})
	t.Run("stale pid file", func(t *testing.T) { startOnStalePIDFile(t, p, s) })
	t.Run("backend outlives a killed postmaster", func(t *testing.T) { startAfterKill(t, p, s) })
	t.Run("port taken", func(t *testing.T) { startOnTakenPort(t, p, s) })
	t.Run("does not start", func(t *testing.T) { startBroken(t, p, s) })
	t.Run("destroy", func(t *testing.T) {
		s.Start(t)
		if err := p.Destroy(t.Context(), 7, s.Server); err != nil {
			t.Fatal(err)
		}
		if got := status(t, p, s); got.Exists || len(s.Pids(t)) != 0 {
			t.Errorf("after Destroy: %+v", got)
		}
		if err := p.Create(t.Context(), 6, s.Server, s.Credentials); !errors.Is(err, engine.ErrStaleEpoch) {
			t.Errorf("an overtaken attempt made it again: %v", err)
		}
		if err := p.Destroy(t.Context(), 7, s.Server); err != nil {
			t.Errorf("a second Destroy: %v", err)
		}
	})
}

func checkRoles(t *testing.T, s *platformtest.Server) {
	app := s.Connect(t)
	for _, sql := range []string{"create role other", "create database other", "alter role current_user superuser", "select pg_read_file('/etc/passwd')",
		"copy (select 1) to program 'true'", "alter system set work_mem = '1GB'", "create extension dblink", "select pg_promote(false)"} {
		if _, err := app.Exec(t.Context(), sql); err == nil {
			t.Errorf("the app may %q", sql)
		}
	}
	exec(t, app, "create schema mine; create table public.t (id int); create temp table u (id int); create extension hstore")
	got := platformtest.Query(t, app, "select format('%s %s', r.rolname, n.nspowner::regrole) from pg_database d join pg_roles r on r.oid = d.datdba, pg_namespace n where datname = current_database() and nspname = 'public'")
	if want := "changeover_admin " + s.RoleName; got != want {
		t.Errorf("database and schema belong to %s, want %s", got, want)
	}
	for _, change := range []func(*pgx.ConnConfig){
		func(c *pgx.ConnConfig) { c.Database = "postgres" },
		func(c *pgx.ConnConfig) { c.Database = "template1" },
		func(c *pgx.ConnConfig) { c.User = "changeover_admin" },
		func(c *pgx.ConnConfig) { c.User = "changeover_replication" },
		func(c *pgx.ConnConfig) { c.TLSConfig, c.Fallbacks = nil, nil },
		func(c *pgx.ConnConfig) { c.Password = "wrong" },
	} {
		config, err := pgx.ParseConfig(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		change(config)
		if conn, err := pgx.ConnectConfig(t.Context(), config); err == nil {
			_ = conn.Close(t.Context())
			t.Errorf("let in: database %s, user %s, TLS %v", config.Database, config.User, config.TLSConfig != nil)
		}
	}
}

func checkConstants(t *testing.T, p *platformtest.Platform, s *platformtest.Server) {
	admin := s.ConnectAdmin(t)
	for name, want := range map[string]string{"max_connections": "540", "superuser_reserved_connections": "520", "wal_level": "logical", "wal_log_hints": "on",
		"data_checksums": "on", "wal_segment_size": "1MB", "fsync": "on", "max_standby_streaming_delay": "-1", "shared_buffers": "16MB", "temp_file_limit": "1GB",
		"hot_standby": "on", "autovacuum": "on", "server_encoding": "UTF8", "log_min_error_statement": "panic", "listen_addresses": p.Host()} {
		if got := platformtest.Query(t, admin, "select current_setting($1)", name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func checkCertificate(t *testing.T, p *platformtest.Platform, s *platformtest.Server) {
	ca, err := p.CertificateAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("the CA's certificate cannot be read")
	}
	config, err := pgx.ParseConfig(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	config.Fallbacks, config.TLSConfig = nil, &tls.Config{RootCAs: pool, ServerName: p.Host()}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatalf("verified TLS to %s: %v", p.Host(), err)
	}
	_ = conn.Close(t.Context())
}

// A pid file that names a live process which is not a postgres of that
// directory, as after a restart of the machine, must not keep it from starting.
func startOnStalePIDFile(t *testing.T, p *platformtest.Platform, s *platformtest.Server) {
	stop(t, p, s)
	text := "1\n" + s.DataDir() + "\n1700000000\n" + portText(uint16(s.Port)) + "\n" + p.Home + "/sock\n127.0.0.1\n 1 1\nready   \n"
	for _, path := range []string{filepath.Join(s.DataDir(), "postmaster.pid"), filepath.Join(p.Home, "sock", ".s.PGSQL."+portText(uint16(s.Port))+".lock")} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if status(t, p, s).Running {
		t.Error("a stale pid file counts as running")
	}
	s.Start(t)
}

// A busy backend goes on for a while without its postmaster; a start ends it first.
func startAfterKill(t *testing.T, p *platformtest.Platform, s *platformtest.Server) {
	busy := s.Connect(t)
	go func() {
		_, _ = busy.Exec(t.Context(), "do $$ declare n bigint := 0; begin loop n := n + 1; end loop; end $$") // it ends with its process
	}()
	platformtest.Await(t, "the busy backend", func() (bool, error) {
		var active bool
		err := s.ConnectAdmin(t).QueryRow(t.Context(), "select exists (select from pg_stat_activity where state = 'active' and query like 'do %')").Scan(&active)
		return active, err
	})
	before := status(t, p, s).PID
	signal(t, before, syscall.SIGKILL)
	s.Start(t)
	after := status(t, p, s)
	if after.PID == before || !after.Running {
		t.Errorf("after the kill: %+v", after)
	}
	s.Connect(t)
}

func startOnTakenPort(t *testing.T, p *platformtest.Platform, s *platformtest.Server) {
	stop(t, p, s)
	stranger, err := net.Listen("tcp", net.JoinHostPort(p.Host(), portText(uint16(s.Port))))
	if err != nil {
		t.Fatal(err)
	}
	err = p.Start(t.Context(), platformtest.Epoch, s.Server)
	if platform.KindOf(err) != platform.KindUnavailable || !strings.Contains(err.Error(), "Port "+portText(uint16(s.Port))) {
		t.Errorf("start on a taken port: %v, want Unavailable with the port", err)
	}
	if port, err := p.FreePort(nil); err != nil || port == s.Port {
		t.Errorf("FreePort gave %d, %v", port, err)
	}
	if err := stranger.Close(); err != nil {
		t.Fatal(err)
	}
	s.Start(t)
}

func startBroken(t *testing.T, p *platformtest.Platform, s *platformtest.Server) {
	stop(t, p, s)
	path := filepath.Join(s.DataDir(), "postgresql.auto.conf")
	if err := os.WriteFile(path, []byte("shared_preload_libraries = 'no_such_library'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := p.Start(t.Context(), platformtest.Epoch, s.Server)
	var startErr *engine.StartError
	if !errors.As(err, &startErr) || !strings.Contains(startErr.Log, "no_such_library") {
		t.Errorf("got %v, want a StartError with the log's last lines", err)
	}
	if log := p.Log(s.Server, 2); strings.Count(log, "\n") != 1 || !strings.Contains(log, "no_such_library") && !strings.Contains(log, "shut down") {
		t.Errorf("the log's last two lines are %q", log)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What is half-made is made again, whatever a crash has left running in it.
func TestHalfMadeIsMadeAgain(t *testing.T) {
	p := platformtest.New(t)
	s := p.Leader(t, "standard-0")
	if err := os.Remove(filepath.Join(filepath.Dir(s.DataDir()), "complete")); err != nil {
		t.Fatal(err)
	}
	if status(t, p, s).Exists {
		t.Error("a half-made server counts as there")
	}
	if err := p.Start(t.Context(), platformtest.Epoch, s.Server); platform.KindOf(err) != platform.KindNotFound {
		t.Errorf("start of a half-made server: %v, want NotFound", err)
	}
	system := systemIdentifier(t, s)
	if err := p.Create(t.Context(), platformtest.Epoch, s.Server, s.Credentials); err != nil {
		t.Fatal(err)
	}
	if systemIdentifier(t, s) == system {
		t.Error("the half-made cluster was kept")
	}
	s.Start(t)
	s.Connect(t)
}

func status(t *testing.T, p *platformtest.Platform, s *platformtest.Server) engine.Status {
	t.Helper()
	got, err := p.Status(t.Context(), s.Server)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// systemIdentifier tells one cluster from another one in the same place.
func systemIdentifier(t *testing.T, s *platformtest.Server) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.DataDir(), "global", "pg_control"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:8])
}

func stop(t *testing.T, p *platformtest.Platform, s *platformtest.Server) {
	t.Helper()
	begin := time.Now()
	if err := p.Stop(t.Context(), platformtest.Epoch, s.Server); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the stop took %s", took)
	}
}
