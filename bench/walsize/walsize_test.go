package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

// A short run measures both sizes under every load, and a switch.
func TestWALSizeIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("makes servers and loads them: half a minute")
	}
	var out strings.Builder
	if err := report(t.Context(), settings{rounds: 1, clients: 2, each: 300 * time.Millisecond, rows: 1000, logger: io.Discard}, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var line struct {
		Bench   string
		Ratio   float64
		Inserts struct{ Tps map[string]float64 }
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Bench != "walsize" || line.Ratio <= 0 || line.Inserts.Tps["1MB"] <= 0 || line.Inserts.Tps["16MB"] <= 0 {
		t.Errorf("the last line is %s", lines[len(lines)-1])
	}
}
