package db

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"sort"
	"strconv"
	"strings"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrateLock is the advisory lock that lets one process migrate at a time.
const (
	migrateLock     = 0x6368616e67656f76 // "changeov"
	migrateLockText = "7163082334141771638"
)

// Migration is one file of migrations/: forward only, run once, in its own transaction.
type Migration struct {
	Version int
	Name    string
	SQL     string
}

// Migrations are the embedded migrations in their order.
func Migrations() ([]Migration, error) {
	sub, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	return readMigrations(sub)
}

func readMigrations(files fs.FS) ([]Migration, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	var list []Migration
	for _, e := range entries {
		number, name, ok := strings.Cut(strings.TrimSuffix(e.Name(), ".sql"), "_")
		version, err := strconv.Atoi(number)
		if !ok || err != nil {
			return nil, fmt.Errorf("migration %s: its name must be like 0001_initial.sql", e.Name())
		}
		text, err := fs.ReadFile(files, e.Name())
		if err != nil {
			return nil, err
		}
		list = append(list, Migration{version, name, string(text)})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Version < list[j].Version })
	for i, m := range list {
		if m.Version != i+1 {
			return nil, fmt.Errorf("migration %04d_%s: number %d is missing or there twice", m.Version, m.Name, i+1)
		}
	}
	return list, nil
}

// Migrate brings the control database to this program's schema and River to
// its own. It can run again and beside another process. A schema from a newer
// program is refused with a Conflict and left as it is.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	list, err := Migrations()
	if err != nil {
		return err
	}
	return migrate(ctx, pool, list)
}

func migrate(ctx context.Context, pool *pgxpool.Pool, list []Migration) error {
	// Its own connection: the session lock must not go back into the pool, and
	// the wait for another process has no limit.
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return translate(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // closing gives the lock back
	if _, err := conn.Exec(ctx, "set statement_timeout = 0"); err != nil {
		return translate(err)
	}
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", int64(migrateLock)); err != nil {
		return translate(err)
	}
	if err := migrateOurs(ctx, conn, list); err != nil {
		return err
	}
	return migrateRiver(ctx, pool)
}

func migrateOurs(ctx context.Context, conn *pgx.Conn, list []Migration) error {
	_, err := conn.Exec(ctx, `create table if not exists schema_migrations (
		version    integer primary key,
		name       text not null,
		applied_at timestamptz not null default now())`)
	if err != nil {
		return translate(err)
	}
	at, err := value[int](ctx, conn, nil, `select coalesce(max(version), 0) from schema_migrations`)
	if err != nil {
		return err
	}
	if at > len(list) {
		return platform.Conflict("The control database has schema %d and this program knows only up to %d: a newer version of Changeover has used it. Start that version, or restore a backup from before its first start.", at, len(list))
	}
	for _, m := range list[at:] {
		err := InTx(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, m.SQL); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `insert into schema_migrations (version, name) values ($1, $2)`, m.Version, m.Name)
			return err
		})
		if err != nil {
			return fmt.Errorf("migration %04d_%s: %w", m.Version, m.Name, err)
		}
	}
	return nil
}

func migrateRiver(ctx context.Context, pool *pgxpool.Pool) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	if err := refuseNewerRiver(ctx, pool, migrator.AllVersions()); err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrations of the job queue: %w", translate(err))
	}
	return nil
}

// refuseNewerRiver is Conflict when River's tables are newer than this
// program's River: its own migrator goes on without a word.
func refuseNewerRiver(ctx context.Context, q Querier, known []rivermigrate.Migration) error {
	exists, err := value[bool](ctx, q, nil, `select to_regclass('river_migration') is not null`)
	if err != nil || !exists {
		return err
	}
	newest := known[len(known)-1].Version
	at, err := value[int](ctx, q, nil, `select coalesce(max(version), 0) from river_migration`)
	if err != nil {
		return err
	}
	if at > newest {
		return platform.Conflict("The job queue in the control database has schema %d and this program knows only up to %d: a newer version of Changeover has used it. Start that version.", at, newest)
	}
	return nil
}
