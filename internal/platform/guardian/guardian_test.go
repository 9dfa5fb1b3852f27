package guardian_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/platform/guardian"

	"golang.org/x/sys/unix"
)

// kindVariable makes the test binary a guardian: a good one, one that ends at
// once, or one that never gets ready.
const kindVariable = "CHANGEOVER_TEST_KIND"

func TestMain(m *testing.M) {
	kind := os.Getenv(kindVariable)
	if kind == "" {
		os.Exit(m.Run())
	}
	if kind == "ends" {
		os.Exit(3)
	}
	w, err := guardian.Begin(os.Stdin)
	if err != nil {
		fmt.Println("no brief:", err)
		os.Exit(1)
	}
	fmt.Printf("%d %s %s\n", os.Getpid(), os.Args[1], strings.TrimSpace(string(w.Brief)))
	if kind != "silent" {
		w.Ready()
	}
	if w.Abandoned(context.Background()) {
		fmt.Println("acts")
	} else {
		fmt.Println("dismissed")
	}
}

type tried struct {
	t   *testing.T
	dir string
	g   *guardian.Guardian
}

func start(t *testing.T, kind string) *tried {
	t.Helper()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	g := &tried{t: t, dir: t.TempDir()}
	if g.g, err = guardian.Start(self, append(os.Environ(), kindVariable+"="+kind), g.dir, []byte("the brief")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.g.Dismiss)
	return g
}

// says waits until the guardian's log ends with a line.
func (g *tried) says(line string) time.Time {
	g.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.HasSuffix(g.log(), line+"\n"); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			g.t.Fatalf("it does not say %q, but: %s", line, g.log())
		}
	}
	return time.Now()
}

func (g *tried) log() string {
	text, _ := os.ReadFile(filepath.Join(g.dir, guardian.LogFile)) // not there yet
	return string(text)
}

func (g *tried) mustBeReady() (pid int) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 20*time.Second)
	defer cancel()
	if err := g.g.Ready(ctx); err != nil {
		g.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(g.log())[0])
	if err != nil {
		g.t.Fatal(err)
	}
	return pid
}

func TestGuardianIsDismissed(t *testing.T) {
	t.Parallel()
	g := start(t, "good")
	pid := g.mustBeReady()
	if want := fmt.Sprintf("%d %s the brief\n", pid, guardian.Command); g.log() != want {
		t.Errorf("it knows %q, want %q", g.log(), want)
	}
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		t.Errorf("its session is %d (%v), want its own, %d", session, err, pid)
	}
	if at, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && at != g.dir {
		t.Errorf("it stands in %s", at)
	}
	g.g.Dismiss()
	g.says("dismissed")
	g.g.Dismiss() // again, which is nothing
	g.g.Abandon()
}

// As long as it is told that the program lives it waits; then it acts, after its
// patience and soon after it.
func TestMeasuredGuardianActsWhenItIsLeft(t *testing.T) {
	g := start(t, "good")
	g.mustBeReady()
	time.Sleep(2500 * time.Millisecond) // longer than its patience, which is what is tested
	if strings.HasSuffix(g.log(), "acts\n") {
		t.Fatal("it acts although the program lives")
	}
	g.g.Abandon()
	left := time.Now()
	if took := g.says("acts").Sub(left); took < 1500*time.Millisecond || took > 2500*time.Millisecond {
		t.Errorf("it acts %s after it was left, want 1.8 s", took)
	}
	if err := g.g.Ready(t.Context()); err != nil && !errors.Is(err, guardian.ErrEnded) {
		t.Errorf("asked afterwards: %v", err)
	}
}

func TestGuardianThatEndsIsNotReady(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := start(t, "ends").g.Ready(ctx); !errors.Is(err, guardian.ErrEnded) {
		t.Errorf("one that ends at once: %v", err)
	}

	g := start(t, "good")
	pid := g.mustBeReady()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for ctx.Err() == nil && !errors.Is(g.g.Ready(ctx), guardian.ErrEnded) {
		time.Sleep(time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Error("one that was killed counts as ready")
	}
	g.g.Dismiss() // telling one that is gone does no harm

	silent := start(t, "silent")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := silent.g.Ready(ended); err == nil || errors.Is(err, guardian.ErrEnded) {
		t.Errorf("one that is not ready in time: %v", err)
	}
}

func TestGuardianWithoutAProgramOrABrief(t *testing.T) {
	t.Parallel()
	if _, err := guardian.Start("/nowhere/at/all", nil, t.TempDir(), []byte("the brief")); err == nil {
		t.Error("a program that is not there was started")
	}
	if _, err := guardian.Begin(strings.NewReader("half a brief")); err == nil {
		t.Error("half a brief was taken")
	}
}
