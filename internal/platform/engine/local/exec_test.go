package local_test

import (
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
)

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }
