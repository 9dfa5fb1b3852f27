package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

const (
	startTimeout = 60 * time.Second
	startPoll    = 2 * time.Millisecond
	portPatience = 500 * time.Millisecond
	startLines   = 20 // of the log in a StartError
)

// Start starts s, in recovery where the mark or standby.signal says so, and
// returns when it answers. It is nil for a server that runs already, but
// Conflict where that one writes and the mark or the file says it must not. The
// error is an *engine.StartError when the server ends or does not answer within 60 s
// (it is left to go on then, a next Start waits again), and Unavailable when a
// stranger has the port.
func (e *Engine) Start(ctx context.Context, epoch int64, s engine.Server) error {
	c, err := e.cluster(s)
	if err != nil {
		return err
	}
	return e.act(ctx, epoch, c, func() error { return e.startServer(ctx, s, c) })
}

func (e *Engine) startServer(ctx context.Context, s engine.Server, c cluster) error {
	if err := c.mustBeComplete(); err != nil {
		return err
	}
	if e.postmaster(c) != 0 {
		control, err := readControlFile(c.data)
		if err != nil {
			return err
		}
		if control.State == engine.InProduction && (s.Fenced || exists(c.path(standbyFile))) {
			return platform.Conflict("%s is marked as fenced and still writes. Stop it first: its next start is in recovery.", c.title())
		}
	}
	return e.start(ctx, s.ID, c, func() error { return e.prepareStart(s, c) })
}

// prepareStart puts the files in order for a start, with nothing running.
func (e *Engine) prepareStart(s engine.Server, c cluster) error {
	if s.Fenced {
		if err := e.fence(c); err != nil {
			return err
		}
	}
	if err := e.writeSettings(c); err != nil {
		return err
	}
	if !exists(c.path(standbyFile)) {
		return nil
	}
	// A promotion asked of an earlier life is over: PostgreSQL forgets it at its
	// start. Only a server in recovery can be asked anew.
	return removeFile(c.requested())
}

// start starts a cluster, after prepare has put its files in order. What runs
// may be dying this moment: only once nothing does are files looked at, so that
// no server comes up on what was true of the one before it.
func (e *Engine) start(ctx context.Context, id int64, c cluster, prepare func() error, extra ...string) error {
	deadline := time.Now().Add(startTimeout)
	for {
		pid := e.postmaster(c)
		if pid == 0 {
			break
		}
		if lock, _ := readLockFile(c.path("postmaster.pid")); lock.status == "stopping" {
			if err := e.finishStop(ctx, c); err != nil {
				return err
			}
			continue
		}
		if err := e.awaitReady(ctx, id, c, pid, nil, 0, deadline); err != nil {
			return err
		}
		// It may have been killed this moment, or be frozen: only an answer counts.
		err := e.answers(ctx, c)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if time.Now().After(deadline) {
			return c.startError(id, 0)
		}
	}
	// Backends can outlive a postmaster that was killed, and go on writing.
	if err := e.endAll(ctx, c, 0); err != nil {
		return err
	}
	if err := e.removeStaleLocks(c); err != nil {
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	if err := c.portIsFree(); err != nil {
		return err
	}
	if err := trimLog(c.logPath()); err != nil {
		return err
	}
	return e.spawn(ctx, id, c, deadline, extra)
}

func (e *Engine) spawn(ctx context.Context, id int64, c cluster, deadline time.Time, extra []string) error {
	path, err := e.program(c.major, "postgres")
	if err != nil {
		return err
	}
	log, err := os.OpenFile(c.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return err
	}
	if err := c.recordStart(); err != nil {
		return err
	}
	// Not bound to ctx: the server must outlive the operation and this program.
	cmd := e.command(context.WithoutCancel(ctx), path, c.arguments(extra...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start of %s: %w", c.name, err)
	}
	ended := make(chan struct{})
	go func() {
		// Reaped, so that no zombie stays; how it ended is in its log.
		_ = cmd.Wait()
		close(ended)
	}()
	return e.awaitReady(ctx, id, c, cmd.Process.Pid, ended, info.Size(), deadline)
}

// awaitReady polls postmaster.pid, in which the postmaster says when it takes
// connections: no connection attempt is spent on it.
func (e *Engine) awaitReady(ctx context.Context, id int64, c cluster, pid int, ended <-chan struct{}, logFrom int64, deadline time.Time) error {
	ticker := time.NewTicker(startPoll)
	defer ticker.Stop()
	for {
		lock, ok := readLockFile(c.path("postmaster.pid"))
		if ok && lock.status == "ready" && (lock.pid == pid || ended == nil && e.postmaster(c) == pid) {
			return nil
		}
		gone := time.Now().After(deadline)
		select {
		case <-ended:
			gone = true
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			gone = gone || ended == nil && e.postmaster(c) != pid
		}
		if gone {
			return c.startError(id, logFrom)
		}
	}
}

func (c cluster) startError(id int64, logFrom int64) error {
	log := c.log(logFrom, startLines)
	if strings.Contains(log, "Address already in use") {
		return c.portTaken(errors.New(lastLines(log, 1)))
	}
	return &engine.StartError{ServerID: id, Log: log}
}

// answers is nil when the server takes a connection within a second.
func (e *Engine) answers(ctx context.Context, c cluster) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, e.adminConfig(c.port, "postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// finishStop ends a server that is stopping. Once its control file says "shut
// down" only walsenders are left, and a start need not wait for their followers.
func (e *Engine) finishStop(ctx context.Context, c cluster) error {
	control, err := readControlFile(c.data)
	if err != nil {
		return err
	}
	if control.State == engine.ShutDown || control.State == engine.ShutDownInRecovery {
		return e.endAll(ctx, c, 200*time.Millisecond)
	}
	return e.stop(ctx, c, stopPatience)
}

// portIsFree says in a sentence that a stranger has the port. It is the
// server's for its whole life: no other one is taken in its place.
func (c cluster) portIsFree() error {
	if c.host == "" {
		return nil
	}
	err := canBind(c.host, c.port)
	if errors.Is(err, syscall.EADDRINUSE) {
		return c.portTaken(err)
	}
	if err != nil {
		return platform.Unavailable(err, "%s cannot listen on %s port %d. Check CHANGEOVER_DATABASE_HOST.", c.title(), c.host, c.port)
	}
	return nil
}

// portIsSoonFree waits a moment for the port: the kernel closes what a killed
// process had open shortly after it is no more to be seen.
func (c cluster) portIsSoonFree(ctx context.Context) error {
	for deadline := time.Now().Add(portPatience); ; time.Sleep(startPoll) {
		err := c.portIsFree()
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
	}
}

func (c cluster) portTaken(err error) error {
	return platform.Unavailable(err, "Port %d on %s belongs to %s, but another program has taken it. End that program, then try again.", c.port, c.host, c.name)
}

func (c cluster) title() string { return strings.ToUpper(c.name[:1]) + c.name[1:] }

func canBind(host string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}
