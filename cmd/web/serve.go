package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/engine/local"
	"changeover/internal/supervise"

	"github.com/jackc/pgx/v5/pgxpool"
)

// drainFor is how long requests that are under way may take at the end.
const drainFor = 5 * time.Second

// serve is the worker: it puts everything together, serves until ctx ends, and
// then stops in the reverse order. The users' databases keep running.
func serve(ctx context.Context, cfg config, log *slog.Logger, stdout io.Writer) error {
	lock, err := takeHome(ctx, cfg)
	if err != nil {
		return &hopelessError{err}
	}
	defer func() { _ = lock.Close() }()
	// The port before the databases: it is the cheapest thing to fail at.
	listener, err := net.Listen("tcp", cfg.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return hopeless("another program listens on %s. Stop it, or set CHANGEOVER_ADDR to another address, such as 127.0.0.1:8091.", cfg.Addr)
	}
	if err != nil {
		return hopeless("the address %s cannot be listened on: %w. Set CHANGEOVER_ADDR to one of this machine", cfg.Addr, err)
	}
	defer func() { _ = listener.Close() }()
	cfg = listeningOn(cfg, listener.Addr())
	if err := lock.SetAddress(cfg.URL.String()); err != nil {
		return err
	}
	program, err := startProgram(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer program.stop()

	a, err := newApp(cfg, log, program.pool, program.sealer, program.catalogue, program.engine, program.jobs, listener.Addr())
	if err != nil {
		return err
	}
	if err := announce(ctx, cfg, program.pool, stdout); err != nil {
		return err
	}
	return a.run(ctx, listener, program)
}

// listeningOn puts the real port into the settings, where port 0 was asked for.
func listeningOn(cfg config, addr net.Addr) config {
	_, asked, _ := net.SplitHostPort(cfg.Addr)
	_, got, _ := net.SplitHostPort(addr.String())
	if asked == "0" {
		host, _, _ := net.SplitHostPort(cfg.Addr)
		cfg.Addr = net.JoinHostPort(host, got)
		if u := *cfg.URL; u.Port() == "0" {
			u.Host = net.JoinHostPort(u.Hostname(), got)
			cfg.URL = &u
		}
	}
	return cfg
}

// orphanFor is how long a worker whose supervisor was killed may take to end.
const orphanFor = 20 * time.Second

// takeHome takes the state directory. Another program that runs on it is an
// error at once; a worker that only finishes after its supervisor was killed is
// waited for.
func takeHome(ctx context.Context, cfg config) (*local.HomeLock, error) {
	deadline := time.Now().Add(orphanFor)
	for {
		lock, err := local.LockHome(cfg.Home, cfg.URL.String())
		ours := supervisorPID(cfg.Home) == os.Getppid()
		if err == nil || !isKind(err, platform.KindConflict) || !ours || time.Now().After(deadline) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// run serves until ctx ends.
func (a *app) run(ctx context.Context, listener net.Listener, p *program) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	server := a.server()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	go a.listen(background)
	go p.keepControl(background)
	go a.keepClean(background, p)
	if err := a.jobs.Start(background); err != nil {
		return err
	}
	a.ready.Store(true)
	a.log.Info("ready", "url", a.cfg.URL.String(), "version", a.version)

	var result error
	select {
	case <-ctx.Done():
		a.log.Info("stopping; the databases keep running")
	case result = <-failed:
	}
	a.ready.Store(false)
	a.hub.close()
	drained, cancel := context.WithTimeout(background, drainFor)
	defer cancel()
	if err := server.Shutdown(drained); err != nil {
		_ = server.Close()
	}
	stopped, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	if err := a.jobs.Stop(stopped); err != nil {
		a.log.Warn("operations were interrupted; they go on at the next start", "error", err)
	}
	if result != nil && !errors.Is(result, http.ErrServerClosed) {
		return result
	}
	return nil
}

// keepClean forgets what nobody needs any more, every hour.
func (a *app) keepClean(ctx context.Context, p *program) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		_, sessions := db.DeleteExpiredSessions(ctx, a.pool, db.SessionIdleLimit, db.SessionAbsoluteLimit)
		_, links := db.DeleteOldSignInLinks(ctx, a.pool)
		_, places := db.DeleteOldSignInPlaces(ctx, a.pool)
		_, pending := db.DeleteOldPendingSignIns(ctx, a.pool)
		_, challenges := db.DeleteOldPasskeyChallenges(ctx, a.pool)
		_, states := db.DeleteOldStates(ctx, a.pool)
		_, mails := db.DeleteOldMails(ctx, a.pool)
		_, deliveries := db.DeleteOldDeliveries(ctx, a.pool)
		_, invitations := db.DeleteOldInvitations(ctx, a.pool)
		if err := errors.Join(sessions, links, places, pending, challenges, states, invitations, mails, deliveries, p.engine.TrimLogs()); err != nil && ctx.Err() == nil {
			a.log.Warn("cleaning up failed; it is tried again in an hour", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// announce prints a sign-in link as long as nobody has ever signed in.
func announce(ctx context.Context, cfg config, pool *pgxpool.Pool, stdout io.Writer) error {
	users, err := db.ListUsers(ctx, pool)
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.PasswordHash != nil {
			return nil
		}
	}
	if len(users) == 0 {
		user, err := db.CreateUser(ctx, pool, firstAdmin, true)
		if isKind(err, platform.KindConflict) {
			user, err = db.UserByEmail(ctx, pool, firstAdmin)
		}
		if err != nil {
			return err
		}
		users = []db.User{user}
	}
	token, err := db.CreateSignInLink(ctx, pool, users[0].ID, linkLife)
	if err != nil {
		return err
	}
	state := cfg.Home
	if cfg.DatabaseURL != "" {
		state += " (control database: DATABASE_URL)"
	}
	_, err = io.WriteString(stdout, signInBlock(cfg, signInLink(cfg, token), state))
	return err
}

// shortVersion is the version for the foot of the rail.
func shortVersion() string {
	fields := strings.Fields(version())
	if len(fields) > 1 && !strings.HasPrefix(fields[1], "(devel)") {
		return strings.TrimSuffix(fields[1], ",")
	}
	return "in development"
}

// supervisorPID is the pid of the supervisor that runs on home; 0 when none does.
func supervisorPID(home string) int {
	pid, err := supervise.PID(home)
	if err != nil || pid == os.Getpid() || syscall.Kill(pid, 0) != nil {
		return 0
	}
	return pid
}
