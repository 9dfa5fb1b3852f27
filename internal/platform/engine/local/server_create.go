package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// Create makes an empty cluster with the app's role and database in it,
// stopped. One that is complete is left alone; a half-made one is made again.
func (e *Engine) Create(ctx context.Context, epoch int64, s engine.Server, credentials engine.Credentials) error {
	c, err := e.ownCluster(s)
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
		return e.build(ctx, c, fileHBA(credentials), func() error {
			return e.prepareDatabase(ctx, c, credentials)
		})
	})
}

// build fills c.data: initdb, our files, what fill does on the running server.
// Nothing is synced on the way; one sync at the end, then the marker that makes
// it count.
func (e *Engine) build(ctx context.Context, c cluster, hba string, fill func() error) error {
	if err := e.clear(ctx, c); err != nil {
		return err
	}
	if err := e.initdb(ctx, c); err != nil {
		return err
	}
	conf, err := os.OpenFile(c.path("postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(conf, "\ninclude '%s'\ninclude_if_exists '%s'\n", settingsFile, followFile)
	if closeErr := conf.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := e.writeFile(c.path("pg_hba.conf"), []byte(hba), 0o600); err != nil {
		return err
	}
	private := c
	private.host = "" // nobody but us while it is filled
	prepare := func() error { return e.writeSettings(c) }
	if err := e.start(ctx, 0, private, prepare, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "autovacuum=off"); err != nil {
		return err
	}
	if err := fill(); err != nil {
		return err
	}
	if err := e.stop(ctx, c, stopPatience); err != nil {
		return err
	}
	return e.complete(c)
}

// complete writes everything to the disk, then the marker.
func (e *Engine) complete(c cluster) error {
	if err := syncTree(c.data); err != nil {
		return err
	}
	return e.writeFile(filepath.Join(c.dir, completeFile), []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o644)
}

// clear ends and removes what an earlier attempt left, and makes the data
// directory anew, empty.
func (e *Engine) clear(ctx context.Context, c cluster) error {
	if err := e.endMakers(ctx, c); err != nil {
		return err
	}
	if err := e.endAll(ctx, c, 0); err != nil {
		return err
	}
	if err := removeFile(filepath.Join(c.dir, completeFile)); err != nil {
		return err
	}
	for _, path := range []string{c.data, c.requested(), c.started()} {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if err := os.Mkdir(c.data, 0o700); err != nil {
		return err
	}
	return e.owner.take(c.data)
}

func (e *Engine) initdb(ctx context.Context, c cluster) error {
	path, err := e.program(c.major, "initdb")
	if err != nil {
		return err
	}
	locale := "C.UTF-8"
	if runtime.GOOS == "darwin" {
		locale = "C"
	}
	args := []string{"-D", c.data, "-U", AdminRole, "--encoding=UTF8", "--auth-local=peer", "--auth-host=reject",
		"--data-checksums", "--wal-segsize=1", "--no-sync", "--no-clean", "--locale=" + locale, "--lc-messages=C"}
	if c.major >= 14 {
		args = append(args, "--no-instructions")
	}
	if c.major >= 17 {
		// The built-in provider sorts the same on every machine and libc.
		args = append(args, "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
	}
	cmd := e.command(ctx, path, args...)
	cmd.Dir = c.dir // by this one that outlived its program is found
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb of %s: %w: %s", c.name, err, lastLines(string(out), 5))
	}
	return nil
}

// prepareDatabase makes the roles and the database as safety 5 says.
func (e *Engine) prepareDatabase(ctx context.Context, c cluster, credentials engine.Credentials) error {
	database := pgx.Identifier{credentials.DatabaseName}.Sanitize()
	role := pgx.Identifier{credentials.RoleName}.Sanitize()
	password := "null"
	if credentials.Verifier != "" {
		password = quoteLiteral(credentials.Verifier)
	}
	err := e.execAll(ctx, c, "postgres",
		"create role "+ReplicationRole+" login replication",
		"create role "+role+" login nosuperuser nocreaterole nocreatedb noreplication nobypassrls password "+password,
		"revoke all on database postgres, template1 from public",
		"create database "+database+" owner "+AdminRole,
		"revoke all on database "+database+" from public",
		"grant connect, temporary, create on database "+database+" to "+role)
	if err != nil {
		return err
	}
	return e.execAll(ctx, c, credentials.DatabaseName,
		"revoke all on schema public from public",
		"alter schema public owner to "+role)
}

// execAll runs statements one by one over the private socket. Their text may
// hold a verifier: it stays out of the errors.
func (e *Engine) execAll(ctx context.Context, c cluster, database string, statements ...string) error {
	conn, err := pgx.ConnectConfig(ctx, e.adminConfig(c.port, database))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for i, statement := range statements {
		if _, err := conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("statement %d on %s: %w", i+1, c.name, err)
		}
	}
	return nil
}

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
