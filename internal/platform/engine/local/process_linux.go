package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is held by its pidfd, so that a reused pid is never signalled and a
// zombie counts as gone.
type process struct {
	pid int
	fd  int
}

// processesIn are the live processes of the user uid whose working directory is
// dir: the postmaster, its children and the programs they run all stay there.
// Others' processes there, an admin's shell, are not the server's. A postgres
// of that user whose directory we may not see is an error: nothing is proven then.
func processesIn(dir string, uid int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	want, _ := os.Stat(dir) // nil where it was removed: then its name decides
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		there, err := worksThere(pid, dir, want)
		if !there && !errors.Is(err, fs.ErrPermission) || userOf(pid) != uid {
			continue
		}
		if there {
			pids = append(pids, pid)
		} else if isPostgres(pid) {
			return nil, fmt.Errorf("it cannot be seen where process %d, a postgres, works: %w", pid, err)
		}
	}
	return pids, nil
}

// worksIn is whether the process's working directory is dir.
func worksIn(pid int, dir string) bool {
	want, _ := os.Stat(dir) // as in processesIn
	there, _ := worksThere(pid, dir, want)
	return there
}

// isHidden is whether a live process does not let us see where it works.
func isHidden(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid))
	return errors.Is(err, fs.ErrPermission)
}

// worksThere compares directories, not their names: a process in another mount
// namespace or root has another name for the same one. A zombie works nowhere.
func worksThere(pid int, dir string, want os.FileInfo) (bool, error) {
	path := fmt.Sprintf("/proc/%d/cwd", pid)
	if want == nil {
		name, err := os.Readlink(path)
		return err == nil && strings.TrimSuffix(name, " (deleted)") == dir, err
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(there, want), err
}

// userOf is the process's effective user id, -1 for one that is gone.
func userOf(pid int) int {
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return -1
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// pidInside is the number the process has for itself, in a container's own
// count: what it writes into its lock file.
func pidInside(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return pid
	}
	for _, line := range strings.Split(string(text), "\n") {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			if fields := strings.Fields(numbers); len(fields) > 0 {
				if inside, err := strconv.Atoi(fields[len(fields)-1]); err == nil {
					return inside
				}
			}
		}
	}
	return pid
}

// isPostgres is whether the process runs the program postgres.
func isPostgres(pid int) bool {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	name := strings.TrimSpace(string(comm))
	return err == nil && (name == "postgres" || name == "postmaster")
}

// commandLine is the process's title, as PostgreSQL sets it.
func commandLine(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
}

// openProcess holds pid if its working directory is dir; nil when it is gone or
// another process has its number by now.
func openProcess(pid int, dir string) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd of process %d: %w", pid, err)
	}
	if !worksIn(pid, dir) {
		_ = unix.Close(fd)
		return nil, nil
	}
	return &process{pid: pid, fd: fd}, nil
}

func (p *process) close() { _ = unix.Close(p.fd) }

// signal is nil for a process that is already gone.
func (p *process) signal(sig syscall.Signal) error {
	if err := unix.PidfdSendSignal(p.fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal %v to process %d: %w", sig, p.pid, err)
	}
	return nil
}

// gone waits for at most d; a zombie is gone.
func (p *process) gone(d time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	deadline := time.Now().Add(d)
	for {
		n, err := unix.Poll(fds, int(max(0, time.Until(deadline).Milliseconds())))
		if n > 0 {
			return true
		}
		if err == nil || !errors.Is(err, unix.EINTR) {
			return false
		}
	}
}

// syncTree writes everything of the filesystem that dir is on to the disk.
func syncTree(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// diskOf is the space of the filesystem that dir is on, free for us and in all.
func diskOf(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// machineMemory is the machine's memory in bytes.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
