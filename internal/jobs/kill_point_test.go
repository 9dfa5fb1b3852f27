package jobs_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// resumesWithin is how soon after a kill an operation must go on.
const resumesWithin = 10 * time.Second

var errKilled = errors.New("killed here")

// point is a moment at which a runner can die.
type point struct{ when, what, step string }

func (p point) String() string { return p.when + " " + p.what + " " + p.step }

// pointsOf are all points of a procedure on its way forward.
func pointsOf(kind platform.OperationKind) (points []point) {
	for _, step := range jobs.Procedures()[kind] {
		points = append(points, point{"before", "do", step.Name}, point{"after", "do", step.Name})
	}
	return points
}

// undoPoints are the points of the steps that have something to take back.
func undoPoints(steps ...string) (points []point) {
	for _, step := range steps {
		points = append(points, point{"before", "undo", step}, point{"after", "undo", step})
	}
	return points
}

// everything is whether no point may be left out, however long it takes.
func everything() bool { return os.Getenv("CHANGEOVER_TEST_ALL") != "" }

// newSeed is the test's source of chance; it is printed and can be set.
func newSeed(t testing.TB) int {
	t.Helper()
	seed, err := strconv.Atoi(os.Getenv("CHANGEOVER_TEST_SEED"))
	if err != nil {
		seed = rand.IntN(1000)
	}
	t.Logf("seed %d (CHANGEOVER_TEST_SEED=%d repeats it)", seed, seed)
	return seed
}

// rounds is how the points are spread over runs of a procedure: with everything
// each has a run of its own; otherwise half of them, by chance one of each
// neighbouring pair (before, after a step), in three runs.
func rounds(points []point, seed int) (list [][]point) {
	if everything() {
		for _, p := range points {
			list = append(list, []point{p})
		}
		return list
	}
	list = make([][]point, 3)
	for i := 0; i+1 < len(points); i += 2 {
		r := (i/2 + seed) % 3
		list[r] = append(list[r], points[i+(seed>>(i/2%5))%2])
	}
	return list
}

// third is a rotating third of the points, or all of them.
func third(points []point, seed int) (some []point) {
	if everything() {
		return points
	}
	for i := seed % 3; i < len(points); i += 3 {
		some = append(some, points[i])
	}
	return some
}

// some is n of the list, rotating with the seed, or all of it.
func some[T any](list []T, n, seed int) (chosen []T) {
	if everything() {
		return list
	}
	for i := range n {
		chosen = append(chosen, list[(seed+i*len(list)/n)%len(list)])
	}
	return chosen
}

// killer is a hook that ends the run once at each of its points.
type killer struct {
	mu       sync.Mutex
	left     map[point]bool
	killedAt time.Time // zero once somebody went on
	longest  time.Duration
}

func newKiller(points []point) *killer {
	k := &killer{left: map[point]bool{}}
	for _, p := range points {
		k.left[p] = true
	}
	return k
}

func (k *killer) hook(when, what, step string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.killedAt.IsZero() {
		k.longest = max(k.longest, time.Since(k.killedAt))
		k.killedAt = time.Time{}
	}
	p := point{when, what, step}
	if !k.left[p] {
		return nil
	}
	delete(k.left, p)
	k.killedAt = time.Now()
	return fmt.Errorf("%s: %w", p, errKilled)
}

// check fails unless it killed at every point and somebody went on each time.
func (k *killer) check(t testing.TB) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for p := range k.left {
		t.Errorf("the run never came to the point %q", p)
	}
	if k.longest > resumesWithin {
		t.Errorf("it went on only %s after a kill", k.longest)
	}
}
