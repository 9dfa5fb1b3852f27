package db

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Grant gives the role of the running program what it needs of the control
// database, and takes back what it does not: it reads and writes rows, owns
// nothing, and to the audit it only adds. owner is the role that migrates. What
// a migration has added since the last time is given, too; it can run again and
// beside another process. A role that owns the audit keeps its rights: see
// OwnsAudit.
func Grant(ctx context.Context, owner Beginner, role string) error {
	to := pgx.Identifier{role}.Sanitize()
	return InTx(ctx, owner, func(tx pgx.Tx) error {
		for _, sql := range []string{
			`select pg_advisory_xact_lock(` + migrateLockText + `)`,
			`grant usage on schema public to ` + to,
			`grant select, insert, update, delete on all tables in schema public to ` + to,
			`grant usage, select on all sequences in schema public to ` + to,
			`revoke all on audit, schema_migrations, river_migration from ` + to,
			`grant select, insert on audit to ` + to,
			`grant select on schema_migrations, river_migration to ` + to,
		} {
			if _, err := exec(ctx, tx, sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// OwnsAudit is the role of q, and whether it could change or remove rows of the
// audit: because it owns that table, or is a superuser.
func OwnsAudit(ctx context.Context, q Querier) (role string, owns bool, err error) {
	type row struct {
		Role string
		Owns bool
	}
	r, err := one[row](ctx, q, nil, `select current_user::text as role, pg_has_role(current_user, relowner, 'usage') as owns
		from pg_class where oid = 'audit'::regclass`)
	return r.Role, r.Owns, err
}
