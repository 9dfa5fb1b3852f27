//go:build !linux

package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is known by its pid only: this system has no pidfd.
type process struct {
	pid int
	dir string
}

// processesIn are the live processes of the user uid whose working directory is
// dir, by lsof: this system has no /proc.
func processesIn(dir string, uid int) ([]int, error) {
	out, err := exec.Command("lsof", "-a", "-d", "cwd", "-u", strconv.Itoa(uid), "-F", "pn").Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // lsof ends with 1 where it finds nothing
		return nil, err
	}
	var pids []int
	pid := 0
	for _, line := range strings.Split(string(out), "\n") {
		switch {
		case strings.HasPrefix(line, "p"):
			pid, _ = strconv.Atoi(line[1:])
		case line == "n"+dir && pid != os.Getpid() && pid != 0 && !isZombie(pid):
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func workingDirectory(pid int) string {
	out, err := exec.Command("lsof", "-a", "-d", "cwd", "-p", strconv.Itoa(pid), "-F", "n").Output()
	if err != nil || isZombie(pid) {
		return ""
	}
	for _, line := range strings.Split(string(out), "\n") {
		if strings.HasPrefix(line, "n") {
			return line[1:]
		}
	}
	return ""
}

func worksIn(pid int, dir string) bool { return workingDirectory(pid) == dir }

func isHidden(int) bool { return false }

func userOf(pid int) int {
	uid, err := strconv.Atoi(strings.TrimSpace(ps(pid, "uid=")))
	if err != nil {
		return -1
	}
	return uid
}

func pidInside(pid int) int { return pid }

func isPostgres(pid int) bool {
	name := filepath.Base(strings.TrimSpace(ps(pid, "comm=")))
	return strings.HasPrefix(name, "postgres") || strings.HasPrefix(name, "postmaster")
}

func commandLine(pid int) string { return strings.TrimSpace(ps(pid, "command=")) }

func ps(pid int, column string) string {
	out, err := exec.Command("ps", "-o", column, "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

func isZombie(pid int) bool { return strings.HasPrefix(strings.TrimSpace(ps(pid, "stat=")), "Z") }

func openProcess(pid int, dir string) (*process, error) {
	if !worksIn(pid, dir) {
		return nil, nil
	}
	return &process{pid: pid, dir: dir}, nil
}

func (p *process) close() {}

func (p *process) signal(sig syscall.Signal) error {
	if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %v to process %d: %w", sig, p.pid, err)
	}
	return nil
}

func (p *process) gone(d time.Duration) bool {
	deadline := time.Now().Add(d)
	for {
		if errors.Is(syscall.Kill(p.pid, 0), syscall.ESRCH) || isZombie(p.pid) {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(time.Millisecond)
	}
}

func syncTree(string) error {
	unix.Sync()
	return nil
}

func diskOf(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}

func machineMemory() int64 {
	size, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(size)
}
