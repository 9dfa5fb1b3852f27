package local_test

import (
	process "os/exec"
	"slices"
	"testing"

	"changeover/internal/platform/guardian"
	"changeover/internal/platform/platformtest"
)

// Somebody who reads the guardians' log where it lies is none, and is left alone.
func TestGuardiansAreKnownByTheirCommand(t *testing.T) {
	t.Parallel()
	e := platformtest.New(t)
	dir, err := e.GuardianDir()
	if err != nil {
		t.Fatal(err)
	}
	start := func(name string) int {
		cmd := process.Command("sh", "-c", "read line", name)
		cmd.Dir = dir
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
		return cmd.Process.Pid
	}
	reader, one := start("a-reader"), start(guardian.Command)
	pids, err := e.Guardians()
	if err != nil || !slices.Equal(pids, []int{one}) {
		t.Errorf("%v, %v; want only %d and not %d", pids, err, one, reader)
	}
}
