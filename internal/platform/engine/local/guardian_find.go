package local

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"changeover/internal/platform/guardian"
)

// GuardianDir is the directory that guardians stand in, by which they are known.
// It is made where it is missing.
func (e *Engine) GuardianDir() (string, error) {
	dir := filepath.Join(e.config.Home, "guardian")
	return dir, os.MkdirAll(dir, 0o700)
}

// Guardians are the processes of guardians on this state directory. They run as
// this program does, not as the databases' user. Somebody who reads their log
// there is none.
func (e *Engine) Guardians() ([]int, error) {
	dir, err := e.GuardianDir()
	if err != nil {
		return nil, err
	}
	pids, err := processesIn(dir, os.Geteuid())
	return slices.DeleteFunc(pids, func(pid int) bool {
		return !slices.Contains(strings.Fields(commandLine(pid)), guardian.Command)
	}), err
}

func (e *Engine) endGuardians(ctx context.Context) error {
	dir, err := e.GuardianDir()
	if err != nil {
		return err
	}
	return e.endProcesses(ctx, "the guardian", 0, e.Guardians, dir)
}
