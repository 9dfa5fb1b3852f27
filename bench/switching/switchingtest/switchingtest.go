// Package switchingtest runs a benchmark of switching small and judges what must
// be true on any machine.
package switchingtest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"changeover/bench/switching"
)

// logged sends the benchmark's progress to the test's log.
type logged struct{ t testing.TB }

func (l logged) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// Measure runs the benchmark and reads its last line back.
func Measure(t testing.TB, b switching.Benchmark, s switching.Settings) map[string]any {
	t.Helper()
	s.Logger = logged{t}
	var out strings.Builder
	if err := b.Report(t.Context(), s, &out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	all := strings.Split(strings.TrimSpace(out.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(all[len(all)-1]), &line); err != nil {
		t.Fatalf("the last line is not JSON: %v", err)
	}
	if line["bench"] != b.Name {
		t.Errorf("the last line is of %v, want %s", line["bench"], b.Name)
	}
	return line
}

// LosesNothing runs the program beside the script once there and back, on little
// data. Times are only kept from being absurd, since other work may run beside a
// test.
func LosesNothing(t *testing.T, b switching.Benchmark) {
	if testing.Short() {
		t.Skip("builds and runs the whole program: about a minute")
	}
	line := Measure(t, b, switching.Settings{Size: 64 << 20, Writers: 8, Pairs: 1})
	Judge(t, "program", line, 2)
	Judge(t, "hand-made", Peer(line), 2)
	if ratio, ok := line["ratio"].(float64); !ok || ratio <= 0 {
		t.Errorf("ratio is %v", line["ratio"])
	}
}

// Judge holds the figures of one side to what may never be otherwise.
func Judge(t testing.TB, name string, figures map[string]any, runs int) {
	t.Helper()
	for _, zero := range []string{"lost", "failed", "two_writable", "unsound"} {
		if got, ok := figures[zero].(float64); !ok || got != 0 {
			t.Errorf("%s: %s is %v, want 0", name, zero, figures[zero])
		}
	}
	if got := figures["runs"]; got != float64(runs) {
		t.Errorf("%s: %v runs, want %d", name, got, runs)
	}
	if got, ok := figures["median_ms"].(float64); !ok || got <= 0 || got > float64(10*time.Second/time.Millisecond) {
		t.Errorf("%s: median of %v ms", name, figures["median_ms"])
	}
}

// Peer is the script's part of the last line.
func Peer(line map[string]any) map[string]any {
	peers, _ := line["peers"].(map[string]any)
	peer, _ := peers["hand-made"].(map[string]any)
	return peer
}
