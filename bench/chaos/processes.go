package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"changeover/bench/cluster"
)

// Processes are found by what lies in the trial's own state directory, and by
// where they stand: never by a name, which others' have as well.

// worker is the process that serves, frozen or not.
func (t *trial) worker() (int, error) {
	pid, err := t.program.WorkerPID()
	if err != nil {
		return 0, err
	}
	return pid, t.mustBeOurs(pid)
}

// mustBeOurs is nil for a process that runs the program of this trial.
func (t *trial) mustBeOurs(pid int) error {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err == nil && strings.TrimSuffix(path, " (deleted)") != t.program.Binary {
		err = fmt.Errorf("process %d is another program", pid)
	}
	return err
}

// postmaster is the one of a data directory.
func postmaster(data string) (int, error) {
	pid, err := (&cluster.Cluster{Dir: data}).PID()
	if err != nil {
		return 0, err
	}
	if !slices.Contains(cluster.ProcessesIn(data), pid) {
		return 0, fmt.Errorf("no postmaster stands in %s", data)
	}
	return pid, nil
}

func (t *trial) dataOf(s server) string {
	return filepath.Join(t.program.Home, "servers", strconv.FormatInt(s.ID, 10), "data")
}

func (t *trial) controlData() string { return filepath.Join(t.program.Home, "control", "data") }

// backends are the processes of a server's clients.
func backends(data string) (pids []int) {
	for _, pid := range cluster.ProcessesIn(data) {
		title, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // gone meanwhile: no backend
		if strings.Contains(string(title), "127.0.0.1(") && !strings.Contains(string(title), "walsender") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// guardians are those that watch over this trial's program.
func (t *trial) guardians() (pids []int) {
	for _, pid := range cluster.ProcessesIn(filepath.Join(t.program.Home, "guardian")) {
		if t.mustBeOurs(pid) == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// signalAll sends each process a signal; one that is gone is no error.
func signalAll(pids []int, signal syscall.Signal) (err error) {
	for _, pid := range pids {
		if e := syscall.Kill(pid, signal); e != nil && !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, e)
		}
	}
	return err
}
