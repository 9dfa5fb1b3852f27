package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"changeover/internal/platform"
)

// maxSocketPath leaves room below the 104 bytes (macOS) and 108 (Linux) that a
// unix socket's address can have.
const maxSocketPath = 100

// owner is the unprivileged user that PostgreSQL runs as when we are root,
// which PostgreSQL refuses to be. A nil owner means: whoever we are.
type owner struct {
	name     string
	uid, gid int
}

// databaseOwner is nil for an ordinary user.
func databaseOwner() (*owner, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"changeover", "postgres"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil || uid == 0 {
			continue
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			continue
		}
		return &owner{name: name, uid: uid, gid: gid}, nil
	}
	return nil, platform.Unavailable(nil, "The program runs as root, and PostgreSQL refuses to. Make an unprivileged user for it: useradd --system changeover.")
}

// users are the operating system's users that may be a superuser over the socket.
func (o *owner) users() []string {
	names := []string{}
	if u, err := user.Current(); err == nil {
		names = append(names, u.Username)
	}
	if o != nil {
		names = append(names, o.name)
	}
	return names
}

// take makes path the owner's.
func (o *owner) take(path string) error {
	if o == nil {
		return nil
	}
	return os.Lchown(path, o.uid, o.gid)
}

// uidOf is the user id that PostgreSQL's processes have.
func (o *owner) uidOf() int {
	if o == nil {
		return os.Geteuid()
	}
	return o.uid
}

// canEnter says in a sentence which directory above dir shuts the owner out.
func (o *owner) canEnter(dir string) error {
	if o == nil {
		return nil
	}
	for d := dir; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		mode := info.Mode().Perm()
		bit := os.FileMode(0o001)
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			switch {
			case int(st.Uid) == o.uid:
				bit = 0o100
			case int(st.Gid) == o.gid:
				bit = 0o010
			}
		}
		if mode&bit == 0 {
			return platform.Unavailable(nil, "PostgreSQL runs as the user %s, which cannot enter %s. Let it in with chmod o+x %s, or choose another CHANGEOVER_HOME.", o.name, d, d)
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}

// command is one of PostgreSQL's programs, to be run as the owner, in a session
// of its own (Ctrl-C in our terminal is not for it), with a bare environment.
func (e *Engine) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"PATH=" + filepath.Dir(path) + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=/"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if e.owner != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(e.owner.uid), Gid: uint32(e.owner.gid), Groups: []uint32{uint32(e.owner.gid)}}
	}
	return cmd
}

// makeSocketDirectory is Home/sock, or a directory with a short name where
// Home is too deep for a socket's address.
func (e *Engine) makeSocketDirectory() (string, error) {
	dir := filepath.Join(e.config.Home, "sock")
	if len(dir)+len("/.s.PGSQL.29999.lock") > maxSocketPath {
		sum := sha256.Sum256([]byte(e.config.Home))
		dir = filepath.Join(os.TempDir(), "changeover-"+hex.EncodeToString(sum[:6]))
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	// Somebody else may have made the directory below a shared temporary one first.
	if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || ok && int(st.Uid) != os.Geteuid() && int(st.Uid) != e.owner.uidOf() {
		return "", platform.Unavailable(nil, "%s belongs to somebody else, so the database sockets cannot be put there. Remove it, or choose a shorter CHANGEOVER_HOME.", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return "", err
	}
	return dir, e.owner.take(dir)
}

// quoteConninfo quotes a value for a libpq connection string.
func quoteConninfo(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
