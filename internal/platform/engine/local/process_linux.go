package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
// Others' processes there, an admin's shell, are not the server's.
func processesIn(dir string, uid int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() || workingDirectory(pid) != dir {
			continue
		}
		if info, err := os.Stat(filepath.Join("/proc", entry.Name())); err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != uid {
			continue
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// workingDirectory is empty for a zombie, a stranger's and a missing process.
func workingDirectory(pid int) string {
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(dir, " (deleted)")
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
	if workingDirectory(pid) != dir {
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

// wait returns when the process is gone, or with the context's error.
func (p *process) wait(ctx context.Context) error {
	for !p.gone(10 * time.Millisecond) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
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
