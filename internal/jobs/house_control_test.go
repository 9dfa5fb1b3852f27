package jobs_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// openControl starts a control cluster of the house's own, so that a test can
// restart and kill it.
func (h *house) openControl() {
	h.t.Helper()
	url, err := h.engine.Control(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	h.control = url
}

// stopControl ends the control cluster: SIGINT is a fast stop, SIGKILL a crash.
func (h *house) stopControl(sig syscall.Signal) error {
	data := filepath.Join(h.engine.Home, "control", "data")
	pid, err := pidIn(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd"); err != nil || cwd != data {
			return nil // gone, or a zombie
		}
	}
	return context.DeadlineExceeded
}

// restartControl is a restart of the control database while everything runs.
func (h *house) restartControl() error {
	if err := h.stopControl(syscall.SIGINT); err != nil {
		return err
	}
	_, err := h.engine.Control(context.Background())
	return err
}

func pidIn(lockFile string) (int, error) {
	text, err := os.ReadFile(lockFile)
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(strings.TrimSpace(line))
}
