package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// lines sends the trial's progress to the test's log.
type lines struct{ t *testing.T }

func (l lines) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// The trial itself, for a moment, with one fault in an operation: nothing that it
// calls wrong may come of it. The bars of time are the benchmark's to hold.
func TestFaultsAtRandomDoNoHarm(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the whole program: about a minute")
	}
	s := settings{length: 20 * time.Second, seed: 1, writers: 2, most: 1, slack: 6, logger: lines{t}}
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	found, err := report(t.Context(), s, &out)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	if len(found.wrong) > 0 {
		t.Errorf("seed %d:\n%s", s.seed, strings.Join(found.wrong, "\n"))
	}
	all := strings.Split(strings.TrimSpace(out.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(all[len(all)-1]), &line); err != nil || line["bench"] != "chaos" || line["runs"].(float64) < 1 {
		t.Errorf("the last line is %q (%v)", all[len(all)-1], err)
	}
}

// A seed gives the same choices again.
func TestSeedRepeatsTheChoices(t *testing.T) {
	drawn := func(seed string) (list []string) {
		s, err := parse([]string{"-seed", seed})
		if err != nil {
			t.Fatal(err)
		}
		tr := &trial{settings: s, random: newRandom(s.seed), found: newFindings()}
		for i := range 40 {
			for _, h := range tr.draw(task{name: "changeover"}, 1+i%2) {
				list = append(list, h.name+h.after.String())
			}
		}
		return list
	}
	if !slices.Equal(drawn("7"), drawn("7")) || slices.Equal(drawn("7"), drawn("8")) {
		t.Error("the same seed draws something else, or another one the same")
	}
}

func TestParse(t *testing.T) {
	for args, fails := range map[string]bool{"": false, "-only kill": false, "-only nothing": true, "-for 0s": true, "-writers 0": true, "-faults 0 -seed 4": false} {
		if _, err := parse(strings.Fields(args)); (err != nil) != fails {
			t.Errorf("%q: %v", args, err)
		}
	}
}
