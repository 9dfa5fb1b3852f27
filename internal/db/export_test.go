package db

import (
	"context"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
)

// MigrateFrom is Migrate with other files, for tests.
func MigrateFrom(ctx context.Context, pool *pgxpool.Pool, files fs.FS) error {
	list, err := readMigrations(files)
	if err != nil {
		return err
	}
	return migrate(ctx, pool, list)
}

// HasSentence is whether a constraint's violation is told to people.
func HasSentence(constraint string) bool {
	_, ok := sentenceFor(constraint)
	return ok
}

// MigrateTo is Migrate to an older schema, for tests of upgrades.
func MigrateTo(ctx context.Context, pool *pgxpool.Pool, list []Migration) error {
	return migrate(ctx, pool, list)
}
