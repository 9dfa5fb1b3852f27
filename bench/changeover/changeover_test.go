package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"changeover/bench/ledger"
)

// lines sends the benchmark's progress to the test's log.
type lines struct{ t *testing.T }

func (l lines) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// measureShort runs the benchmark small and reads its last line back.
func measureShort(t *testing.T, s settings) map[string]any {
	t.Helper()
	s.logger = lines{t}
	var out strings.Builder
	if err := report(t.Context(), s, &out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	all := strings.Split(strings.TrimSpace(out.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(all[len(all)-1]), &line); err != nil {
		t.Fatalf("the last line is not JSON: %v", err)
	}
	return line
}

// judge holds what must be true on any machine; times are only kept from being
// absurd, since other work may run beside a test.
func judge(t *testing.T, name string, figures map[string]any, runs int) {
	t.Helper()
	for _, zero := range []string{"lost", "failed", "two_writable", "unsound"} {
		if got, ok := figures[zero].(float64); !ok || got != 0 {
			t.Errorf("%s: %s is %v, want 0", name, zero, figures[zero])
		}
	}
	if got := figures["runs"]; got != float64(runs) {
		t.Errorf("%s: %v runs, want %d", name, got, runs)
	}
	if got, ok := figures["median_ms"].(float64); !ok || got <= 0 || got > 10_000 {
		t.Errorf("%s: median of %v ms", name, figures["median_ms"])
	}
}

func peerOf(line map[string]any) map[string]any {
	peers, _ := line["peers"].(map[string]any)
	peer, _ := peers["hand-made"].(map[string]any)
	return peer
}

func TestHandMadeLosesNothing(t *testing.T) {
	line := measureShort(t, settings{size: 16 << 20, writers: 4, pairs: 1, onlyPeer: true})
	judge(t, "hand-made", peerOf(line), 2)
}

func TestChangeoverLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the whole program: about a minute")
	}
	line := measureShort(t, settings{size: 64 << 20, writers: 8, pairs: 1})
	judge(t, "program", line, 2)
	judge(t, "hand-made", peerOf(line), 2)
	if ratio, ok := line["ratio"].(float64); !ok || ratio <= 0 {
		t.Errorf("ratio is %v", line["ratio"])
	}
}

func TestFiguresCountALostRowOnce(t *testing.T) {
	gone := []ledger.Entry{{Writer: 1, N: 7}}
	c := &contestant{
		switches: []measured{
			{report: ledger.Report{LongestGap: 100 * time.Millisecond, Failed: 1, Errors: []string{"a"}}, audit: ledger.Audit{Lost: gone}},
			{report: ledger.Report{LongestGap: 300 * time.Millisecond}, audit: ledger.Audit{Lost: gone}, moments: ledger.Moments{TwoWritable: 2}},
		},
		final: ledger.Audit{Acked: 9, Lost: append(gone, ledger.Entry{Writer: 0, N: 1}), Unbalanced: []int{3}},
	}
	f := c.figures()
	if f.Lost != 2 || f.Failed != 1 || f.TwoWritable != 2 || f.Unsound != 1 || f.Median != 200 || f.Worst != 300 {
		t.Errorf("%+v", f)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args  string
		size  int64
		pairs int
		fails bool
	}{
		{args: "", size: 1 << 30, pairs: 10},
		{args: "-short", size: 100 << 20, pairs: 2},
		{args: "-short -pairs=3", size: 100 << 20, pairs: 3},
		{args: "-size=2GiB", size: 2 << 30, pairs: 10},
		{args: "-size=2GB", fails: true},
		{args: "-size=-1GiB", fails: true},
		{args: "-pairs=0", fails: true},
	} {
		s, err := parse(strings.Fields(tt.args))
		if (err != nil) != tt.fails {
			t.Errorf("%q: %v", tt.args, err)
		} else if err == nil && (s.size != tt.size || s.pairs != tt.pairs) {
			t.Errorf("%q: size %d, pairs %d", tt.args, s.size, s.pairs)
		}
	}
}

func TestParseSteps(t *testing.T) {
	o, err := parseSteps("step prepare 100.500\nstep stop 60.250\nstep route 0.750\n")
	if err != nil || len(o.steps) != 3 || o.claimedMS != 61 || o.steps[0].inOutage || !o.steps[1].inOutage {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := parseSteps("step stop\n"); err == nil {
		t.Error("half a line was accepted")
	}
}
