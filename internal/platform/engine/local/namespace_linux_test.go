package local_test

import (
	"os"
	osexec "os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"changeover/internal/platform/platformtest"
)

// A server that was started where the directory has another name, in another
// mount namespace, is the same server: not stale, not gone.
func TestServerInAnotherNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a mount namespace")
	}
	p := platformtest.New(t)
	s := p.Leader(t, "standard-0")
	stop(t, p, s)
	info, err := os.Stat(s.DataDir())
	if err != nil {
		t.Fatal(err)
	}
	owner := ownerOf(t, info)
	elsewhere := t.TempDir()
	if err := os.Chmod(filepath.Dir(elsewhere), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	begin := osexec.Command("unshare", "--mount", "sh", "-c", `mount --bind "$1" "$2" && exec setpriv --reuid "$3" --clear-groups "$4" -D "$2/data" -c port="$5"`,
		"sh", filepath.Dir(s.DataDir()), elsewhere, owner, filepath.Join(p.Installations()[0].BinDir, "postgres"), portText(uint16(s.Port)))
	if err := begin.Start(); err != nil {
		t.Skipf("no mount namespace here: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- begin.Wait() }()
	platformtest.Await(t, "the server elsewhere", func() (bool, error) {
		select {
		case err := <-ended:
			t.Skipf("no mount namespace here: %v", err)
		default:
		}
		return status(t, p, s).Running, nil
	})
	before := status(t, p, s).PID
	s.Start(t)
	if got := status(t, p, s).PID; got != before || got == 0 {
		t.Errorf("process %d was taken for gone, and %d started", before, got)
	}
	if len(s.Pids(t)) < 4 {
		t.Errorf("only the processes %v of it are seen", s.Pids(t))
	}
	stop(t, p, s)
	if err := <-ended; err != nil {
		t.Errorf("the server elsewhere ended with %v", err)
	}
}

func ownerOf(t *testing.T, info os.FileInfo) string {
	t.Helper()
	u, err := user.LookupId(strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Uid)))
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}
