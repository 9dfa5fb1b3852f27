// Command warm measures what the step "Warm the cache" of a switch brings: the
// first random reads by index on a new leader whose files were nowhere but on
// the disk, with the step and without it. docs/benchmarks.md tells what is
// measured and how.
//
// The last line of its output is one JSON object. The exit status is 0 whenever
// it measured, whatever the figures are.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"changeover/bench/managed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:])
	if err == nil {
		err = report(ctx, s, os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "bench/warm: %v\n", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	mib    int // data in the table that is read
	reads  int
	rounds int
	logger io.Writer
}

func parse(args []string) (settings, error) {
	s := settings{logger: os.Stderr}
	flags := flag.NewFlagSet("warm", flag.ContinueOnError)
	flags.IntVar(&s.mib, "mib", 1024, "MiB of data in the table that is read")
	flags.IntVar(&s.reads, "reads", 200, "random reads by index after each switch")
	flags.IntVar(&s.rounds, "rounds", 3, "rounds; in each there is a switch of every way")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.mib < 1 || s.reads < 1 || s.rounds < 1 {
		return s, errors.New("-mib, -reads and -rounds are at least 1")
	}
	return s, nil
}

// A way is how the candidate's memory is before the switch.
type way struct {
	name, title string
	buffers     bool // the tables are in the server's shared buffers besides
	warm        bool // what is used most was read into the machine's memory
}

var ways = []way{
	{name: "cold", title: "on the disk only"},
	{name: "warm", title: "warmed", warm: true},
	{name: "buffers", title: "warmed, and in shared buffers", warm: true, buffers: true},
}

// measured is what came of the switches of one way.
type measured struct {
	first, median, p99, total []float64 // ms, one a switch
	warmed                    []float64 // ms that warming took
	mib                       float64   // read in the last one
	beside, alone             []float64 // p99 of a commit on the leader while it was warmed, and before; ms
}

func report(ctx context.Context, s settings, out io.Writer) (err error) {
	house, err := managed.Open(1.0 / 4) // standard-2: 2 GB of memory, 512 MB of it shared buffers
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	p, err := begin(ctx, house, s)
	if err != nil {
		return err
	}
	results := map[string]*measured{}
	for _, w := range ways {
		results[w.name] = &measured{}
	}
	for round := range s.rounds {
		for i := range ways {
			w := ways[(i+round)%len(ways)] // each begins every third round
			r := results[w.name]
			if err := p.measure(ctx, w, r); err != nil {
				return err
			}
			fmt.Fprintf(s.logger, "%d/%d %s: the first of %d reads %.1f ms, all of them %.0f ms\n", round+1, s.rounds, w.title, s.reads, last(r.first), last(r.total))
		}
	}
	return print(out, results, s)
}

func last(values []float64) float64 { return values[len(values)-1] }

func print(out io.Writer, results map[string]*measured, s settings) error {
	fmt.Fprintf(out, "%d random reads by index after a switch, %d MiB, %d switches of each way; medians over the switches, ms\n\n", s.reads, s.mib, s.rounds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "the candidate's files before\tall reads\tfirst\tmedian\tp99\twarming\tMiB\t\n")
	line := map[string]any{"bench": "warm", "runs": s.rounds, "failed": 0, "lost": 0}
	for _, way := range ways {
		r := results[way.name]
		fmt.Fprintf(w, "%s\t%.0f\t%.1f\t%.2f\t%.2f\t%.0f\t%.0f\t\n", way.title, median(r.total), median(r.first), median(r.median), median(r.p99), median(r.warmed), r.mib)
		line[way.name] = map[string]float64{"total_ms": tenth(median(r.total)), "first_ms": tenth(median(r.first)), "p99_ms": tenth(median(r.p99)), "warming_ms": tenth(median(r.warmed))}
	}
	w.Flush()
	r := results["warm"]
	fmt.Fprintf(out, "\np99 of a commit on the leader: %.1f ms while the candidate was warmed, %.1f ms just before\n", median(r.beside), median(r.alone))
	line["commit_p99_ms"] = map[string]float64{"beside": tenth(median(r.beside)), "alone": tenth(median(r.alone))}
	line["ratio"] = float64(int(median(r.total)/max(median(results["cold"].total), 1e-9)*1000+0.5)) / 1000
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}

func median(values []float64) float64 { return quantile(values, 0.5) }

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func tenth(v float64) float64 { return float64(int(v*10+0.5)) / 10 }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
