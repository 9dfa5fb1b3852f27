package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ChangePassword gives a role a new password by its SCRAM verifier, so that the
// password itself is never sent, and ends the sessions that the role has open.
func ChangePassword(ctx context.Context, conn *pgx.Conn, role, verifier string) error {
	quoted, err := conn.PgConn().EscapeString(verifier)
	if err != nil {
		return err
	}
	// A utility statement takes no parameters. The verifier stays out of the
	// server's log, where a statement that fails would be quoted.
	if _, err := conn.Exec(ctx, fmt.Sprintf("alter role %s password '%s'", pgx.Identifier{role}.Sanitize(), quoted)); err != nil {
		return fmt.Errorf("change the password of %s: %w", role, err)
	}
	_, err = conn.Exec(ctx, `select pg_terminate_backend(pid) from pg_stat_activity where usename = $1`, role)
	return err
}
