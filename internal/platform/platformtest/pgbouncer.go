package platformtest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// NewerPgBouncer is a PgBouncer that scripts/pgbouncer has put beside the
// system's own; "" where there is none.
func NewerPgBouncer(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("it is not known where this file is")
	}
	root := filepath.Join(filepath.Dir(file), "..", "..", "..")
	for _, path := range []string{os.Getenv("CHANGEOVER_PGBOUNCER"), filepath.Join(root, "var", "pgbouncer", "pgbouncer"), "/opt/changeover-pgbouncer/pgbouncer"} {
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}
