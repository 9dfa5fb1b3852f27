package local

import (
	"context"
	"fmt"
	"path/filepath"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// copyRole is who copies into a database. It is a member of the app's role and
// nothing else: what the app has put into its database (a check's function, an
// index's expression) runs while rows are loaded, and must not run with rights
// that the app does not have.
func copyRole(database string) string { return "copy_" + database }

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
