package local

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// reloadWithin is how long a server may take to read its files anew.
const reloadWithin = 10 * time.Second

// CreateShared makes an empty shared cluster, stopped. One that is complete is
// left alone; a half-made one is made again.
func (e *Engine) CreateShared(ctx context.Context, epoch int64, s engine.Server) error {
	c, err := e.cluster(s)
	if err != nil {
		return err
	}
	if err := e.makeDir(c); err != nil {
		return err
	}
	return e.act(ctx, epoch, c, func() error {
		if c.isComplete() {
			return nil
		}
		return e.build(ctx, c, fileSharedHBA(), func() error {
			return e.execAll(ctx, c, "postgres",
				"create role "+ReplicationRole+" login replication",
				"revoke all on database postgres, template1 from public")
		})
	})
}

// member is one database of the cluster, as far as epochs go: attempts on one
// database do not overtake those on its neighbours.
func (c cluster) member(database string) cluster {
	m := c
	m.name = "database " + database + " of " + c.name
	m.dir = filepath.Join(c.dir, "databases", database)
	return m
}

// ActOnDatabase runs effect, which speaks SQL to one database of a shared
// cluster, if no newer attempt has acted on that database; none can begin to
// before it ends.
func (e *Engine) ActOnDatabase(ctx context.Context, epoch int64, s engine.Server, database string, effect func() error) error {
	c, err := e.cluster(s)
	if err != nil {
		return err
	}
	if err := c.mustBeComplete(); err != nil {
		return err
	}
	m := c.member(database)
	if err := e.makeDir(m); err != nil {
		return err
	}
	return e.act(ctx, epoch, m, effect)
}

// letIn adds the pair of database and role to pg_hba.conf and returns when the
// server goes by it.
func (e *Engine) letIn(ctx context.Context, c cluster, database, role string) error {
	return e.changeHBA(ctx, c, func(lines []string) []string {
		pair := strings.SplitAfter(hbaPair(database, role), "\n")
		if slices.Contains(lines, pair[0]) {
			return lines
		}
		return append(lines, pair...)
	})
}

// LetPoolsIn lets the connection pools of a server in over the private socket. A
// server that was made before there were pools does not do so yet.
func (e *Engine) LetPoolsIn(ctx context.Context, s engine.Server, database, role string) error {
	c, err := e.ownCluster(s)
	if err != nil {
		return err
	}
	line := hbaPool(database, role)
	if text, err := os.ReadFile(c.path("pg_hba.conf")); err == nil && strings.Contains(string(text), "\n"+line) {
		return nil
	}
	return e.changeHBA(ctx, c, func(lines []string) []string { return append(lines, line) })
}

// keepOut removes every pair of the database.
func (e *Engine) keepOut(ctx context.Context, c cluster, database string) error {
	return e.changeHBA(ctx, c, func(lines []string) []string {
		return slices.DeleteFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, "hostssl "+quoteHBA(database)+" ")
		})
	})
}

// changeHBA rewrites pg_hba.conf and has the server read it. It is read anew
// also where the file was right: an earlier attempt may have died in between.
func (e *Engine) changeHBA(ctx context.Context, c cluster, change func([]string) []string) error {
	return e.exclusively(ctx, c, func() error {
		path := c.path("pg_hba.conf")
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := e.writeIfDifferent(path, strings.Join(change(strings.SplitAfter(string(text), "\n")), "")); err != nil {
			return err
		}
		return e.reload(ctx, c)
	})
}

// reload returns when new connections are judged by the files as they are now.
func (e *Engine) reload(ctx context.Context, c cluster) error {
	ctx, cancel := context.WithTimeout(ctx, reloadWithin)
	defer cancel()
	pid := e.postmaster(c)
	if pid == 0 {
		return platform.Unavailable(nil, "%s does not run. It is started by itself; try again in a few seconds.", c.title())
	}
	// The postmaster hands the time of its last reading to every new process.
	loaded := func() (at time.Time, now time.Time, err error) {
		conn, err := pgx.ConnectConfig(ctx, e.adminConfig(c.port, "postgres"))
		if err != nil {
			return at, now, err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		err = conn.QueryRow(ctx, "select pg_conf_load_time(), clock_timestamp()").Scan(&at, &now)
		return at, now, err
	}
	_, asked, err := loaded()
	if err != nil {
		return err
	}
	if err := e.signalPostmaster(c, pid, syscall.SIGHUP); err != nil {
		return err
	}
	for {
		at, _, err := loaded()
		if err != nil || !at.Before(asked) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// mustHoldNoDatabase keeps a shared cluster from being removed under its databases.
func (c cluster) mustHoldNoDatabase(s engine.Server) error {
	if !s.Shared || !c.isComplete() {
		return nil
	}
	text, err := os.ReadFile(c.path("pg_hba.conf"))
	if err != nil {
		return err
	}
	if strings.Contains(string(text), "\nhostssl ") {
		return platform.Conflict("Server %d is a shared cluster that still holds databases. Destroy those first.", s.ID)
	}
	return nil
}
