package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

// A short run stops a loaded server after one, two and three checkpoints.
func TestCheckpointIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("makes servers and loads them: half a minute")
	}
	var out strings.Builder
	if err := report(t.Context(), settings{mib: 16, clients: 2, rounds: 1, load: 200 * time.Millisecond, logger: io.Discard}, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var line struct {
		Bench  string
		Ratio  float64
		After3 map[string]float64 `json:"after_3"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Bench != "checkpoint" || line.Ratio <= 0 || line.After3["median_ms"] <= 0 {
		t.Errorf("the last line is %s", lines[len(lines)-1])
	}
}
