package local

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

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
