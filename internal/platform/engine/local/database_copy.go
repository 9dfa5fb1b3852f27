package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// Files of a copy below the new database's directory.
const (
	copyPassword = "copy.password" // of the copying role, in pg_dump's own format
	copySchema   = "copy.schema"   // all but the rows
	copyContents = "copy.contents" // which of that is made in the new database
)

// copyRole is who copies into a database. It is a member of the app's role and
// nothing else: what the app has put into its database (a check's function, an
// index's expression) runs while rows are loaded, and must not run with rights
// that the app does not have.
func copyRole(database string) string { return "copy_" + database }

// EmptyDatabase makes a database of the running shared cluster s anew, empty,
// and its role where that is missing. Only CopyDatabase gets in. Whoever is in an
// earlier one of the name, such as a copy that was left behind, is ended.
func (e *Engine) EmptyDatabase(ctx context.Context, epoch int64, s engine.Server, d engine.SharedDatabase) error {
	c, err := e.cluster(s)
	if err != nil {
		return err
	}
	return e.ActOnDatabase(ctx, epoch, s, d.DatabaseName, func() error {
		if err := e.keepOut(ctx, c, d.DatabaseName); err != nil {
			return err
		}
		if err := e.execAll(ctx, c, "postgres", "drop database if exists "+pgx.Identifier{d.DatabaseName}.Sanitize()+" with (force)"); err != nil {
			return err
		}
		return e.makeDatabase(ctx, c, d)
	})
}

// CopyDatabase copies what the snapshot shows of a database: first tables and
// functions, then rows, then indexes and constraints. It returns when all of it
// is there, and stops when a newer attempt has acted on the new database.
func (e *Engine) CopyDatabase(ctx context.Context, epoch int64, copying engine.DatabaseCopy) error {
	c, err := e.cluster(copying.To)
	if err != nil {
		return err
	}
	from, err := e.cluster(copying.From)
	if err != nil {
		return err
	}
	d := &databaseCopy{Engine: e, epoch: epoch, c: copying, from: from, to: c, dir: c.member(copying.Database).dir}
	defer d.forget()
	if err := d.letCopyIn(ctx); err != nil {
		return fmt.Errorf("copy a database: %w", err)
	}
	for _, part := range []func(context.Context) error{d.dumpSchema, d.chooseContents, d.makeSchema, d.copyRows, d.finishSchema, d.forceRowSecurity} {
		// The lock is not held while it copies: a newer attempt ends what a frozen
		// one has left by making the database anew.
		if err := e.ActOnDatabase(ctx, epoch, copying.To, copying.Database, func() error { return nil }); err != nil {
			return err
		}
		if err := part(ctx); err != nil {
			return fmt.Errorf("copy a database: %w", err)
		}
	}
	return d.keepCopyOut(ctx)
}

// databaseCopy is one copy under way.
type databaseCopy struct {
	*Engine
	epoch    int64
	c        engine.DatabaseCopy
	from, to cluster
	dir      string
}

// letCopyIn makes the copying role with a password of this attempt alone.
func (d *databaseCopy) letCopyIn(ctx context.Context) error {
	password := platform.RandomToken(32)
	verifier, err := engine.Verifier(password)
	if err != nil {
		return err
	}
	role, app := pgx.Identifier{copyRole(d.c.Database)}.Sanitize(), pgx.Identifier{d.c.RoleName}.Sanitize()
	return d.ActOnDatabase(ctx, d.epoch, d.c.To, d.c.Database, func() error {
		conn, err := pgx.ConnectConfig(ctx, d.adminConfig(d.to.port, "postgres"))
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		var there bool
		if err := conn.QueryRow(ctx, "select exists (select from pg_roles where rolname = $1)", copyRole(d.c.Database)).Scan(&there); err != nil {
			return err
		}
		if !there {
			if _, err := conn.Exec(ctx, "create role "+role+" login nosuperuser nocreaterole nocreatedb noreplication nobypassrls in role "+app); err != nil {
				return err
			}
		}
		if _, err := conn.Exec(ctx, "alter role "+role+" password "+quoteLiteral(verifier), pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		line := fmt.Sprintf("*:*:*:*:%s\n", password)
		if err := d.writeFile(filepath.Join(d.dir, copyPassword), []byte(line), 0o600); err != nil {
			return err
		}
		return d.letIn(ctx, d.to, d.c.Database, copyRole(d.c.Database))
	})
}

// keepCopyOut drops the copying role, which owns nothing.
func (d *databaseCopy) keepCopyOut(ctx context.Context) error {
	return d.ActOnDatabase(ctx, d.epoch, d.c.To, d.c.Database, func() error { return d.dropCopyRole(ctx, d.to, d.c.Database) })
}

// dropCopyRole keeps the copying role of a database out and drops it.
func (e *Engine) dropCopyRole(ctx context.Context, c cluster, database string) error {
	if err := e.keepOut(ctx, c, database); err != nil {
		return err
	}
	return e.execAll(ctx, c, "postgres", "drop role if exists "+pgx.Identifier{copyRole(database)}.Sanitize())
}

// forget removes the files; what they hold is of no use after the copy.
func (d *databaseCopy) forget() {
	for _, name := range []string{copyPassword, copySchema, copyContents} {
		_ = os.Remove(filepath.Join(d.dir, name))
	}
}

// dump is pg_dump of the snapshot. It runs as the administrator, whom row
// security does not hold back; reading runs nothing that the app has written.
func (d *databaseCopy) dump(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path, err := d.program(d.from.major, "pg_dump")
	if err != nil {
		return nil, err
	}
	cmd := d.command(ctx, path, append([]string{"--format=custom", "--compress=0", "--no-password", "--snapshot=" + d.c.Snapshot,
		"--host=" + d.sockets, "--port=" + strconv.Itoa(d.from.port), "--username=" + AdminRole, "--dbname=" + d.c.FromDatabase}, args...)...)
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}

// restore is pg_restore into the new database as the copying role, so that what
// it makes belongs to the app.
func (d *databaseCopy) restore(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path, err := d.program(d.to.major, "pg_restore")
	if err != nil {
		return nil, err
	}
	to := append([]string{"--exit-on-error", "--no-password", "--role=" + d.c.RoleName,
		"--host=" + d.Host(), "--port=" + strconv.Itoa(d.to.port), "--username=" + copyRole(d.c.Database), "--dbname=" + d.c.Database}, args...)
	cmd := d.command(ctx, path, to...)
	cmd.Env = append(cmd.Env, "PGSSLMODE=require", "PGPASSFILE="+filepath.Join(d.dir, copyPassword))
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}

// said is a program's failure with the end of what it said.
func said(what string, err error, stderr *bytes.Buffer) error {
	if err == nil {
		return nil
	}
	text := strings.TrimSpace(stderr.String())
	if text == "" {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %s", what, err, text[max(0, len(text)-1000):])
}

func runSaid(what string, cmd *exec.Cmd) error {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return said(what, cmd.Run(), &stderr)
}

// dumpSchema writes all but the rows to a file, which the database's user may
// read and cannot make by itself.
func (d *databaseCopy) dumpSchema(ctx context.Context) error {
	cmd, err := d.dump(ctx, "--section=pre-data", "--section=post-data")
	if err != nil {
		return err
	}
	path := filepath.Join(d.dir, copySchema)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := d.owner.take(path); err != nil {
		return err
	}
	cmd.Stdout = file
	return runSaid("pg_dump", cmd)
}

// notCopied is what Changeover itself keeps in a full or closed database, and
// what an app cannot have made: its event triggers, and what was taken from
// everybody in pg_catalog.
var notCopied = regexp.MustCompile(`^\d+; \d+ \d+ (EVENT TRIGGER|ACL pg_catalog|COMMENT - EVENT TRIGGER) `)

// chooseContents lists what is made in the new database.
func (d *databaseCopy) chooseContents(ctx context.Context) error {
	path, err := d.program(d.to.major, "pg_restore")
	if err != nil {
		return err
	}
	guards, err := d.guards(ctx)
	if err != nil {
		return err
	}
	cmd := d.command(ctx, path, "--list", filepath.Join(d.dir, copySchema))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := said("pg_restore --list", cmd.Run(), &stderr); err != nil {
		return err
	}
	var contents strings.Builder
	for line := range strings.Lines(stdout.String()) {
		entry := strings.SplitN(strings.TrimSpace(line), " ", 4) // "12; 2620 16390 TRIGGER public t name owner"
		if notCopied.MatchString(line) || len(entry) == 4 && guards[entry[2]] && strings.HasPrefix(entry[3], "TRIGGER ") {
			continue
		}
		contents.WriteString(line)
	}
	return d.writeFile(filepath.Join(d.dir, copyContents), []byte(contents.String()), 0o600)
}

// guards are the triggers, by OID, that refuse growth of a full database.
func (d *databaseCopy) guards(ctx context.Context) (map[string]bool, error) {
	conn, err := pgx.ConnectConfig(ctx, d.adminConfig(d.from.port, d.c.FromDatabase))
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `select t.oid::text from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
		where n.nspname ~ '^pg_changeover'`)
	if err != nil {
		return nil, err
	}
	oids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	guards := map[string]bool{}
	for _, oid := range oids {
		guards[oid] = true
	}
	return guards, err
}

// makeSchema makes tables and functions. Row security that binds a table's owner
// too would keep rows from the foreign keys' checks: it is forced when all is there.
func (d *databaseCopy) makeSchema(ctx context.Context) error {
	if err := d.restoreSection(ctx, "pre-data"); err != nil {
		return err
	}
	return d.alterForced(ctx, " no force row level security")
}

func (d *databaseCopy) forceRowSecurity(ctx context.Context) error {
	return d.alterForced(ctx, " force row level security")
}

// alterForced changes the tables whose row security is forced in the old database.
func (d *databaseCopy) alterForced(ctx context.Context, change string) error {
	conn, err := pgx.ConnectConfig(ctx, d.adminConfig(d.from.port, d.c.FromDatabase))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `select 'alter table ' || format('%I.%I', n.nspname, c.relname) || $1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relforcerowsecurity and n.nspname !~ '^pg_'`, change)
	if err != nil {
		return err
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(statements) == 0 {
		return err
	}
	return d.execAll(ctx, d.to, d.c.Database, statements...)
}

func (d *databaseCopy) finishSchema(ctx context.Context) error {
	// Two indexes at a time: a shared machine has other work, too.
	return d.restoreSection(ctx, "post-data", "--jobs=2")
}

func (d *databaseCopy) restoreSection(ctx context.Context, section string, args ...string) error {
	cmd, err := d.restore(ctx, append(args, "--section="+section, "--use-list="+filepath.Join(d.dir, copyContents), filepath.Join(d.dir, copySchema))...)
	if err != nil {
		return err
	}
	return runSaid("pg_restore of "+section, cmd)
}

// copyRows sends the rows from one program to the other; nothing of them is
// written to a file.
func (d *databaseCopy) copyRows(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dump, err := d.dump(ctx, "--section=data")
	if err != nil {
		return err
	}
	restore, err := d.restore(ctx)
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	var dumpSays, restoreSays bytes.Buffer
	dump.Stdout, dump.Stderr, restore.Stdin, restore.Stderr = write, &dumpSays, read, &restoreSays
	err = restore.Start()
	if err == nil {
		if err = dump.Start(); err != nil {
			cancel()
			_ = restore.Wait()
		}
	}
	// Each program holds its own end: when one ends, the other one sees it.
	_, _ = read.Close(), write.Close()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- said("pg_dump", dump.Wait(), &dumpSays) }()
	restored := said("pg_restore of the rows", restore.Wait(), &restoreSays)
	if restored != nil {
		cancel()
	}
	dumped := <-ended
	if restored != nil {
		return restored // the dump's own failure then is only that nobody reads
	}
	return errors.Join(dumped)
}
