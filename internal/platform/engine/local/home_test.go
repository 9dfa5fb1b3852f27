package local_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/engine/local"
	"changeover/internal/platform/platformtest"
)

func TestLogIsTrimmed(t *testing.T) {
	p := platformtest.New(t)
	dir := filepath.Join(p.Home, "servers", "1")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "server.log")
	if err := os.WriteFile(log, []byte(strings.Repeat("a line of the log\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ size, want int64 }{{20 << 20, 20 << 20}, {20<<20 + 1, 0}} {
		if err := os.Truncate(log, c.size); err != nil {
			t.Fatal(err)
		}
		if err := p.TrimLogs(); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(log); err != nil || info.Size() != c.want {
			t.Errorf("a log of %d bytes has %d after the trim, want %d", c.size, info.Size(), c.want)
		}
	}
}

func TestSecondProgramIsRefused(t *testing.T) {
	home := t.TempDir()
	lock, err := local.LockHome(home, "127.0.0.1:8090")
	if err != nil {
		t.Fatal(err)
	}
	_, err = local.LockHome(home, "127.0.0.1:8091")
	if platform.KindOf(err) != platform.KindConflict || !strings.Contains(err.Error(), "127.0.0.1:8090") || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("the second program got %v, want Conflict with the first one's address", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := local.LockHome(home, "127.0.0.1:8091")
	if err != nil {
		t.Fatalf("after the first one's end: %v", err)
	}
	_ = second.Close()
}

// A state directory too deep for a socket's address still has sockets.
func TestLongHome(t *testing.T) {
	top, err := os.MkdirTemp("/tmp", "co-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	e, err := local.Open(local.Config{Home: filepath.Join(top, strings.Repeat("deep/", 30))})
	if err != nil {
		t.Fatal(err)
	}
	sockets := e.Admin(engine.Server{Port: 29999}, "postgres").Host
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	if len(sockets)+len("/.s.PGSQL.29999") > 100 {
		t.Errorf("the sockets are in %s, too deep", sockets)
	}
	if info, err := os.Stat(sockets); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the sockets' directory: %v, %v, want it private", info, err)
	}
}

// As root, PostgreSQL's user must be able to reach the state directory.
func TestHomeThatTheDatabaseCannotEnter(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user runs PostgreSQL as itself")
	}
	shut := filepath.Join(t.TempDir(), "shut")
	if err := os.Mkdir(shut, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := local.Open(local.Config{Home: filepath.Join(shut, "home")})
	if platform.KindOf(err) != platform.KindUnavailable || !strings.Contains(err.Error(), "chmod o+x") {
		t.Errorf("got %v, want a sentence with what to do", err)
	}
}
