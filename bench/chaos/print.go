package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// findings is what the trial has seen.
type findings struct {
	rows        map[string]*row
	waits       []time.Duration // the longest of a pool's client in each switch
	wrong       []string
	lost        int
	unsound     int
	twoWritable int
	broken      int // transactions through the pool, where none may fail
	runs        int
	undone      int
	harms       int
	acked       map[string]int
	usually     map[string]time.Duration // how long an operation of that name took
}

// row is what is known of one kind of fault; two that came together have a row
// of their own.
type row struct {
	count   int
	undone  int
	wait    time.Duration // the longest of a client of the pool
	broken  int           // transactions through the pool
	goesOn  time.Duration // the longest; negative where nobody had let go
	took    time.Duration // the longest
	whereIt string        // the operation that took so long
}

func newFindings() *findings {
	return &findings{rows: map[string]*row{}, acked: map[string]int{}, usually: map[string]time.Duration{}}
}

// usual is how long an operation of that name takes, as far as is known.
func (f *findings) usual(name string) time.Duration {
	if d := f.usually[name]; d > 0 {
		return d
	}
	return 2 * time.Second
}

// typical remembers how long an operation took to which nothing happened that
// made it longer.
func (t *trial) typical(c *course) {
	if d := t.found.usually[c.name]; d == 0 || c.took < 2*d {
		t.found.usually[c.name] = (c.took + d) / 2
		if d == 0 {
			t.found.usually[c.name] = min(c.took, 10*time.Second)
		}
	}
}

// add notes something that must not be.
func (f *findings) add(t *trial, c *course, format string, args ...any) {
	text := c.failure(format, args...)
	f.wrong = append(f.wrong, text)
	t.say("WRONG: %s\n%s", text, t.logTail(3000))
}

// note takes an operation into the table.
func (f *findings) note(c *course) {
	f.runs++
	if c.last.State == "undone" {
		f.undone++
	}
	if c.switches {
		f.waits = append(f.waits, c.pooled.LongestGap)
	}
	name, happened, breaks := "nothing", 0, false
	for _, h := range c.harms {
		if h.told != "" {
			name, happened = h.name, happened+1
			breaks = breaks || h.breaks
		}
	}
	f.harms += happened
	if happened > 1 {
		name = "two at once"
	}
	if !breaks {
		f.broken += c.broken
	}
	r := f.rows[name]
	if r == nil {
		r = &row{goesOn: -1}
		f.rows[name] = r
	}
	r.count++
	if c.last.State == "undone" {
		r.undone++
	}
	r.wait, r.goesOn = max(r.wait, c.pooled.LongestGap), max(r.goesOn, c.goesOn)
	r.broken += c.broken
	if c.took > r.took {
		r.took, r.whereIt = c.took, c.name
	}
}

// line is the operation for a person who waits.
func (c *course) line() string {
	text := fmt.Sprintf("%s %d %s after %.1f s", c.name, c.id, c.last.State, c.took.Seconds())
	for _, h := range c.harms {
		if h.told != "" {
			text += fmt.Sprintf("; %s after %.2f s", h.name, h.after.Seconds())
		}
	}
	text += fmt.Sprintf("; a pooled client waited %d ms, %d failed", c.pooled.LongestGap.Milliseconds(), c.broken)
	if c.goesOn >= 0 {
		text += fmt.Sprintf("; went on after %.2f s", c.goesOn.Seconds())
	}
	if c.last.State == "undone" {
		text += "; " + c.last.Reason
	}
	return text
}

func (f *findings) print(out io.Writer, s settings) error {
	fmt.Fprintf(out, "Faults at random: %s, %d+%d writers, seed %d\n\n", s.length, s.writers, s.writers, s.seed)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\toperations\tput back\tlongest wait in the pool ms\tfailed in the pool\twent on after s\tlongest operation s\t")
	worst := time.Duration(-1)
	for _, name := range slices.Sorted(maps.Keys(f.rows)) {
		r := f.rows[name]
		goesOn := "-"
		if r.goesOn >= 0 {
			goesOn = fmt.Sprintf("%.2f", r.goesOn.Seconds())
		}
		worst = max(worst, r.goesOn)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%.1f (%s)\t\n", name, r.count, r.undone, r.wait.Milliseconds(), r.broken, goesOn, r.took.Seconds(), r.whereIt)
	}
	w.Flush()
	fmt.Fprintf(out, "\n%d operations with %d faults, %d put back; %d acknowledged commits looked up, %d missing; %d moments with two writable servers\n",
		f.runs, f.harms, f.undone, f.acked["direct"]+f.acked["pooled"], f.lost, f.twoWritable)
	for _, text := range f.wrong {
		fmt.Fprintf(out, "WRONG: %s\n", text)
	}
	slices.Sort(f.waits)
	median, longest := 0.0, 0.0
	if n := len(f.waits); n > 0 {
		median, longest = f.waits[n/2].Seconds()*1000, f.waits[n-1].Seconds()*1000
	}
	line, err := json.Marshal(map[string]any{
		"bench": "chaos", "runs": f.runs, "faults": f.harms, "undone": f.undone, "lost": f.lost, "failed": f.broken, "unsound": f.unsound,
		"two_writable": f.twoWritable, "median_ms": median, "worst_ms": longest, "goes_on_worst_ms": max(0, worst.Milliseconds()),
		"wrong": len(f.wrong), "seed": s.seed,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", line)
	return err
}
