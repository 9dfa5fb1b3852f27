package postgres

import (
	"context"
	"fmt"
	"strings"

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

// Verifier is a role's SCRAM verifier, as the server has it.
func Verifier(ctx context.Context, conn *pgx.Conn, role string) (string, error) {
	var verifier *string
	if err := conn.QueryRow(ctx, `select rolpassword from pg_authid where rolname = $1`, role).Scan(&verifier); err != nil {
		return "", fmt.Errorf("read the verifier of the app's role: %w", err)
	}
	if verifier == nil || !strings.HasPrefix(*verifier, "SCRAM-SHA-256$") {
		return "", fmt.Errorf("the app's role has no SCRAM verifier")
	}
	return *verifier, nil
}
