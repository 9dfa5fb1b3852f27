package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/engine/local"
	"changeover/internal/platform/guardian"
	"changeover/internal/platform/platformtest"
)

// guardianVariable makes the test binary a guardian of what is in that state
// directory, as the program's own hidden command is.
const guardianVariable = "CHANGEOVER_TEST_GUARDIAN"

func guardBy(e *local.Engine, home string) func(jobs.Holding) (jobs.Guardian, error) {
	return func(h jobs.Holding) (jobs.Guardian, error) {
		dir, err := e.GuardianDir()
		if err != nil {
			return nil, err
		}
		self, err := filepath.Abs(os.Args[0])
		if err != nil {
			return nil, err
		}
		env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, workerVariable+"=") })
		return jobs.StartGuardian(self, append(env, guardianVariable+"="+home), dir, h)
	}
}

func beGuardian(home string) error {
	return jobs.BeGuardian(context.Background(), os.Stdin, func() (jobs.Engine, error) { return testEngine(home) }, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

func testEngine(home string) (*local.Engine, error) {
	return local.Open(local.Config{Home: home, Zones: []local.Zone{{Name: "a", Dir: home}, {Name: "b", Dir: filepath.Join(home, "b")}}})
}

func (h *house) nextEpoch() int64 {
	h.t.Helper()
	epoch, err := db.NextEpoch(h.t.Context(), h.pool)
	if err != nil {
		h.t.Fatal(err)
	}
	return epoch
}

// awaitNoGuardian waits until none is left.
func (h *house) awaitNoGuardian() {
	h.t.Helper()
	waitUntil(h.t, "no guardian is left", func() bool {
		pids, err := h.engine.Guardians()
		return err == nil && len(pids) == 0
	})
}

// guardianLog is what guardians said since from.
func (h *house) guardianLog(from int) string {
	text, err := os.ReadFile(filepath.Join(h.engine.Home, "guardian", guardian.LogFile))
	if err != nil {
		return err.Error()
	}
	return string(text[min(from, len(text)):])
}

// The program and the parent that would start it again are both killed with
// kill -9 while clients of a pool are held. Nobody starts it again, and the
// clients go on: with the old leader wherever no promotion was asked for, fenced
// before or not, and with the new one after that. Started again, the program
// completes what it began.
func TestMeasuredPooledClientsSurviveTheWholeProgram(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	p := h.pooled(leader, 4)
	for _, c := range []struct {
		at    point
		toNew bool
	}{
		{point{"after", "do", "pause_pools"}, false},
		{point{"after", "do", "fence_writes"}, false},
		{point{"before", "do", "unfollow"}, false}, // the point of no return is on record, nothing promoted
		{point{"after", "do", "unfollow"}, true},
		{point{"before", "do", "resume_pools"}, true},
	} {
		follower := h.follower(leader, "standard-0")
		h.handOver()
		from, said := time.Now(), len(h.guardianLog(0))
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		if err != nil {
			t.Fatal(err)
		}
		h.startWorker(c.at, syscall.SIGKILL).awaitEnd()
		killed := time.Now()
		p.mustWrite("left alone, killed " + c.at.String())
		gap := p.writers.Between(from, time.Now()).LongestGap
		t.Logf("kill -9 %s: clients went on %s after it, the longest wait of one was %s", c.at, time.Since(killed).Round(time.Millisecond), gap.Round(time.Millisecond))
		// The wait of a switch, and 3 s more.
		if gap > 3500*time.Millisecond {
			t.Errorf("kill -9 %s: a client waited for %s", c.at, gap)
		}
		want := h.serverOf(leader).Port
		if c.toNew {
			want = h.serverOf(follower).Port
		}
		if got := p.leads(); got != want {
			t.Fatalf("kill -9 %s: the pool leads to port %d, want %d\n%s", c.at, got, want, h.guardianLog(said))
		}
		h.awaitNoGuardian()

		again := h.startWorker(point{}, 0)
		op = h.ended(op, nil, platform.OperationCompleted)
		again.kill()
		h.awaitNoGuardian()
		h.takeBack()
		p.mustWrite("after the changeover was completed")
		if got := p.leads(); got != h.serverOf(follower).Port {
			t.Fatalf("kill -9 %s: at the end the pool leads to port %d, want the new leader's", c.at, got)
		}
		old := leader
		leader = h.tookOver(op)
		h.destroyed(old)
	}
	p.close("left alone five times", true)
}

// A program that is frozen, and so cannot say that it lives, is taken for gone:
// the clients go on, and when it wakes it is refused wherever it wants to act.
func TestFrozenProgramIsOvertakenByItsGuardian(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")
	p := h.pooled(leader, 4)
	for _, c := range []struct {
		at   point
		next string // the step that it would go on with
	}{
		{point{"before", "do", "fence_writes"}, "wait_until_zero_behind"},
		{point{"before", "do", "unfollow"}, "check_writable"}, // the point of no return is on record
	} {
		follower := h.follower(leader, "standard-0")
		h.handOver()
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		if err != nil {
			t.Fatal(err)
		}
		frozen := h.startWorker(c.at, syscall.SIGSTOP)
		frozen.awaitFrozen()
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(h.guardianLog(0))
			}
		})
		p.mustWrite("while the program is frozen " + c.at.String())
		h.awaitNoGuardian()
		before, err := h.engine.Status(t.Context(), h.serverOf(leader))
		if err != nil {
			t.Fatal(err)
		}
		traced := len(frozen.points())
		frozen.signal(syscall.SIGCONT)
		op = h.ended(op, nil, platform.OperationCompleted)
		// The attempt that was overtaken did nothing more; another one completed it.
		points := frozen.points()[traced:]
		if len(points) < 2 || points[0] != (point{"after", c.at.what, c.at.step}).String() || points[1] == (point{"before", "do", c.next}).String() {
			t.Errorf("woken %s, it went on: %q", c.at, points)
		}
		after, err := h.engine.Status(t.Context(), h.serverOf(follower))
		if err != nil || !before.Running || !after.Running {
			t.Errorf("%s: %v: the servers ran before %v and after %v", c.at, err, before.Running, after.Running)
		}
		frozen.kill()
		h.takeBack()
		p.mustWrite("after the program woke")
		old := leader
		leader = h.tookOver(op)
		h.destroyed(old)
		h.awaitNoGuardian()
	}
	p.close("frozen twice", true)
}

// What a guardian may not prove it does not do: a candidate that was promoted
// beside an old leader that writes is nobody's to choose from.
func TestMeasuredGuardianRefusesWhatItCannotProve(t *testing.T) {
	h := newHouse(t)
	leader, other := h.leader("standard-0"), h.leader("standard-0")
	epoch := h.nextEpoch()
	holding := jobs.Holding{Epoch: epoch, Old: h.serverOf(leader), New: h.serverOf(other)}
	ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
	defer cancel()
	want := fmt.Sprintf("server %d was not shut down", holding.Old.ID)
	if err := holding.LetGo(ctx, h.engine.Engine, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(strings.ToLower(err.Error()), want) {
		t.Errorf("two servers take writes, and it says %v; want %q", err, want)
	}
	for _, d := range []platform.Database{leader, other} {
		if err := h.write(d); err != nil {
			t.Errorf("%s takes no writes any more: %v", d.Name, err)
		}
	}
	// A newer attempt has begun.
	if err := h.engine.TakeOver(t.Context(), h.nextEpoch(), []engine.Server{holding.Old}, nil); err != nil {
		t.Fatal(err)
	}
	if err := holding.LetGo(t.Context(), h.engine.Engine, slog.New(slog.DiscardHandler)); !errors.Is(err, engine.ErrStaleEpoch) {
		t.Errorf("overtaken, it says %v", err)
	}
}

// A brief that names nobody, or that another version wrote, is refused before
// anything is opened.
func TestGuardianRefusesABriefItCannotActBy(t *testing.T) {
	t.Parallel()
	for brief, want := range map[string]string{
		`{"Epoch":0,"Old":{"ID":1},"New":{"ID":2},"Pools":[{"ID":3}]}`:            "epoch 0",
		`{"Epoch":8,"Old":{"ID":0},"New":{"ID":2},"Pools":[{"ID":3}]}`:            "servers 0 and 2",
		`{"Epoch":8,"Old":{"ID":1},"New":{"ID":1},"Pools":[{"ID":3}]}`:            "servers 1 and 1",
		`{"Epoch":8,"Old":{"ID":1},"New":{"ID":2}}`:                               "0 pools",
		`{"Epoch":8,"Old":{"ID":1},"New":{"ID":2},"Pools":[{"ID":3}],"Also":"x"}`: "unknown field",
	} {
		err := jobs.BeGuardian(t.Context(), strings.NewReader(brief+"\n"), func() (jobs.Engine, error) {
			t.Errorf("%s: the engine was opened", brief)
			return nil, errKilled
		}, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", brief, err, want)
		}
	}
}

// A guardian that looks where its servers are not says so, and makes nothing there.
func TestGuardianNeedsItsServers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")
	elsewhere := platformtest.New(t).Engine
	nowhere := h.serverOf(leader)
	nowhere.ID += 1000
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // one try
	for _, c := range []struct {
		e        *local.Engine
		old, new engine.Server
	}{{elsewhere, h.serverOf(leader), h.serverOf(leader)}, {h.engine.Engine, nowhere, h.serverOf(leader)}, {h.engine.Engine, h.serverOf(leader), nowhere}} {
		err := jobs.Holding{Epoch: h.nextEpoch(), Old: c.old, New: c.new}.LetGo(ctx, c.e, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "has no files") {
			t.Errorf("%v; want that a server has no files", err)
		}
	}
	if err := h.write(leader); err != nil {
		t.Error(err)
	}
}
