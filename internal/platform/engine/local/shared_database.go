package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// CreateDatabase makes a database and its role in the running shared cluster s,
// apart from every other one there (safety 5), and returns when the role is let
// in. What is there already is left, and its limits are set.
func (e *Engine) CreateDatabase(ctx context.Context, epoch int64, s engine.Server, d engine.SharedDatabase) error {
	c, err := e.cluster(s)
	if err != nil {
		return err
	}
	return e.ActOnDatabase(ctx, epoch, s, d.DatabaseName, func() error {
		if err := e.makeDatabase(ctx, c, d); err != nil {
			return err
		}
		return e.letIn(ctx, c, d.DatabaseName, d.RoleName)
	})
}

// makeDatabase makes role and database. Nobody is let in on the way: pg_hba.conf
// names the pair last.
func (e *Engine) makeDatabase(ctx context.Context, c cluster, d engine.SharedDatabase) error {
	conn, err := pgx.ConnectConfig(ctx, e.adminConfig(c.port, "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var hasRole, hasDatabase bool
	err = conn.QueryRow(ctx, "select exists (select from pg_roles where rolname = $1), exists (select from pg_database where datname = $2)",
		d.RoleName, d.DatabaseName).Scan(&hasRole, &hasDatabase)
	if err != nil {
		return err
	}
	database, role := pgx.Identifier{d.DatabaseName}.Sanitize(), pgx.Identifier{d.RoleName}.Sanitize()
	var statements []string
	if !hasRole {
		statements = append(statements, "create role "+role+" login nosuperuser nocreaterole nocreatedb noreplication nobypassrls")
	}
	statements = append(statements, "alter role "+role+" connection limit "+strconv.Itoa(d.Connections)+" password "+quoteLiteral(d.Verifier))
	if !hasDatabase {
		// template0 takes no connections, so nobody can have put anything into it.
		statements = append(statements, "create database "+database+" owner "+AdminRole+" template template0")
	}
	statements = append(statements,
		"revoke all on database "+database+" from public",
		"grant connect, temporary, create on database "+database+" to "+role,
		"alter role "+role+" in database "+database+" set temp_file_limit = '"+kilobytes(d.TempBytes)+"'")
	if err := e.execAll(ctx, c, "postgres", statements...); err != nil {
		return fmt.Errorf("make a database of %s: %w", c.name, err)
	}
	return e.execAll(ctx, c, d.DatabaseName,
		"revoke all on schema public from public",
		"alter schema public owner to "+role)
}

// DropDatabase removes a database of the shared cluster s with its data and ends
// its sessions, and then its role, unless that is empty, and whoever was copying
// into it. It is nil for one that is not there.
func (e *Engine) DropDatabase(ctx context.Context, epoch int64, s engine.Server, databaseName, roleName string) error {
	c, err := e.cluster(s)
	if err != nil {
		return err
	}
	return e.ActOnDatabase(ctx, epoch, s, databaseName, func() error {
		if err := e.keepOut(ctx, c, databaseName); err != nil {
			return err
		}
		// A role that was copying goes last: a copy that a killed attempt left behind
		// is ended with the database.
		defer func() { _ = os.Remove(filepath.Join(c.member(databaseName).dir, copyPassword)) }()
		statements := []string{"drop database if exists " + pgx.Identifier{databaseName}.Sanitize() + " with (force)",
			"drop role if exists " + pgx.Identifier{copyRole(databaseName)}.Sanitize()}
		if roleName != "" {
			statements = append(statements, "drop role if exists "+pgx.Identifier{roleName}.Sanitize())
		}
		return e.execAll(ctx, c, "postgres", statements...)
	})
}
