// Command checkpoint measures what repeating the CHECKPOINT before a stop
// saves: under a heavy load of random updates, with large shared buffers, the
// time from the fast stop until the control file says "shut down".
// docs/benchmarks.md tells what is measured and how.
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
	"strings"
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
		fmt.Fprintf(os.Stderr, "bench/checkpoint: %v\n", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	mib     int // data in the table that is updated
	clients int
	rounds  int
	load    time.Duration // before the first checkpoint
	logger  io.Writer
}

func parse(args []string) (settings, error) {
	s := settings{logger: os.Stderr}
	flags := flag.NewFlagSet("checkpoint", flag.ContinueOnError)
	flags.IntVar(&s.mib, "mib", 1024, "MiB of data in the table that is updated")
	flags.IntVar(&s.clients, "clients", 8, "clients, each with a connection")
	flags.IntVar(&s.rounds, "rounds", 5, "rounds; in each there is a stop of every way")
	flags.DurationVar(&s.load, "load", 10*time.Second, "how long the load lasts before the first checkpoint")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.mib < 1 || s.clients < 1 || s.rounds < 1 || s.load <= 0 {
		return s, errors.New("-mib, -clients and -rounds are at least 1, -load is more than nothing")
	}
	return s, nil
}

// measured is what came of the stops after so many checkpoints.
type measured struct {
	stop   []float64   // ms, one a stop
	pages  []float64   // that it wrote
	before [][]float64 // ms of each checkpoint before it
}

const most = 3 // checkpoints before a stop

func report(ctx context.Context, s settings, out io.Writer) (err error) {
	house, err := managed.Open(1.0 / 2) // standard-2: 1 GB of shared buffers
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	l, err := begin(ctx, house, s)
	if err != nil {
		return err
	}
	results := make([]measured, most)
	for round := range s.rounds {
		for i := range most {
			n := (i+round)%most + 1 // each begins every third round
			stop, pages, before, err := l.measure(ctx, n)
			if err != nil {
				return err
			}
			r := &results[n-1]
			r.stop, r.pages, r.before = append(r.stop, stop), append(r.pages, pages), append(r.before, before)
			fmt.Fprintf(s.logger, "%d/%d after %d: checkpoints of %s ms, stopped in %.0f ms, which wrote %.0f pages\n", round+1, s.rounds, n, list(before), stop, pages)
		}
	}
	return print(out, results, s)
}

func list(values []float64) string {
	var words []string
	for _, v := range values {
		words = append(words, fmt.Sprintf("%.0f", v))
	}
	return strings.Join(words, ", ")
}

func print(out io.Writer, results []measured, s settings) error {
	fmt.Fprintf(out, "a fast stop under %d clients that update %d MiB at random, %d stops of each kind, ms\n\n", s.clients, s.mib, s.rounds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "checkpoints before\tstop, median\tworst\tpages it wrote\tthe checkpoints, medians\t\n")
	line := map[string]any{"bench": "checkpoint", "runs": s.rounds, "failed": 0, "lost": 0}
	for i, r := range results {
		var each []float64
		for n := range i + 1 {
			var nth []float64
			for _, before := range r.before {
				nth = append(nth, before[n])
			}
			each = append(each, median(nth))
		}
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%.0f\t%s\t\n", i+1, median(r.stop), slices.Max(r.stop), median(r.pages), list(each))
		line[fmt.Sprintf("after_%d", i+1)] = map[string]any{"median_ms": tenth(median(r.stop)), "worst_ms": tenth(slices.Max(r.stop)), "pages": median(r.pages)}
	}
	w.Flush()
	fmt.Fprintln(out)
	line["ratio"] = float64(int(median(results[1].stop)/max(median(results[0].stop), 1e-9)*1000+0.5)) / 1000
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func tenth(v float64) float64 { return float64(int(v*10+0.5)) / 10 }
