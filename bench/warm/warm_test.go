package main

import (
	"encoding/json"
	"io"
	"runtime"
	"strings"
	"testing"
)

// A short run makes a switch of each way and reads after it.
func TestWarmIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("makes servers and switches them: half a minute")
	}
	if runtime.GOOS != "linux" {
		t.Skip("files are put out of memory on Linux only")
	}
	var out strings.Builder
	if err := report(t.Context(), settings{mib: 16, reads: 20, rounds: 1, logger: io.Discard}, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var line struct {
		Bench      string
		Ratio      float64
		Cold, Warm map[string]float64
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Bench != "warm" || line.Ratio <= 0 || line.Cold["total_ms"] <= 0 || line.Warm["warming_ms"] <= 0 {
		t.Errorf("the last line is %s", lines[len(lines)-1])
	}
}
