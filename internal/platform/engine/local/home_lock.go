package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"changeover/internal/platform"

	"golang.org/x/sys/unix"
)

// HomeLock is the right to run on a state directory. It ends with the process,
// however that ends.
type HomeLock struct{ file *os.File }

// LockHome takes the state directory for this process for its whole life.
// address is what is said to whom comes second; the error is Conflict then.
func LockHome(home, address string) (*HomeLock, error) {
	home, err := makeDirectory(home)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(home, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, platform.Unavailable(err, "The state directory %s cannot be written. Run as its owner, or set CHANGEOVER_HOME to another directory.", home)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		text := make([]byte, 256)
		n, _ := file.ReadAt(text, 0) // a short file is the usual case
		_ = file.Close()
		pid, at, _ := strings.Cut(strings.TrimSpace(string(text[:n])), " ")
		return nil, platform.Conflict("Changeover already runs on %s (process %s, address %s). Use that one, or set CHANGEOVER_HOME and CHANGEOVER_ADDR to run a second one beside it.", home, pid, at)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock of %s: %w", home, err)
	}
	lock := &HomeLock{file: file}
	if err := lock.SetAddress(address); err != nil {
		_ = file.Close()
		return nil, err
	}
	return lock, nil
}

// SetAddress changes what a second program is told, once the port is known.
func (l *HomeLock) SetAddress(address string) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt(fmt.Appendf(nil, "%d %s\n", os.Getpid(), address), 0)
	return err
}

// Close gives the state directory back.
func (l *HomeLock) Close() error { return l.file.Close() }
