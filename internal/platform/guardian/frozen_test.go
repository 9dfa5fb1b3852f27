package guardian_test

import (
	"io"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"changeover/internal/platform/guardian"
)

// A program that was silent for too long is ended only if it stays silent: a
// single word says that it has woken, and the end of the pipe that it is gone.
func TestOnlyAProgramThatStaysSilentIsEnded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		says  string
		close bool
		ended bool
	}{
		{"it stays silent", "", false, true},
		{"it has woken", "...", false, false},
		{"it has woken and dismisses its guardian", ".x", false, false},
		{"it is gone", "", true, false},
		{"it has woken and is gone", "..", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program := exec.Command("sleep", "120")
			if err := program.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- program.Wait() }()
			t.Cleanup(func() { _ = program.Process.Kill() })
			read, beat := io.Pipe()
			t.Cleanup(func() { _ = read.Close() })
			said := func(text string) {
				t.Helper()
				done := make(chan error, 1)
				go func() { // a write to this pipe ends when it was read
					_, err := io.WriteString(beat, text)
					done <- err
				}()
				select {
				case err := <-done:
					if err != nil {
						t.Fatal(err)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("nobody reads %q", text)
				}
			}
			go func() { _, _ = io.WriteString(beat, "the brief\n") }()
			w, err := guardian.Begin(read)
			if err != nil {
				t.Fatal(err)
			}
			w.Watches(program.Process)
			said(".")
			if !w.Abandoned(t.Context()) {
				t.Fatal("it is not taken for abandoned")
			}
			for _, word := range c.says {
				said(string(word))
			}
			if c.close {
				_ = beat.Close()
			}
			if got := w.EndFrozen(t.Context()); got != c.ended {
				t.Errorf("it was ended: %v, want %v", got, c.ended)
			}
			if c.ended {
				<-ended
			} else if err := program.Process.Signal(syscall.Signal(0)); err != nil {
				t.Errorf("it does not live any more: %v", err)
			}
		})
	}
}
