package switching

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// figures are what all switches of one contestant come to. Times are in
// milliseconds.
type figures struct {
	Runs        int
	Median      float64 // of the longest gap of one writer
	Worst       float64
	Refused     float64 // median of the longest refusal of one writer
	Silence     float64 // median of the time in which nobody's write was accepted
	Claimed     float64 // median of the outage that the side measured itself
	Total       float64 // median of the time from the request to everything done
	Acked       int
	Lost        int
	Failed      int
	Interrupted int
	Unknown     int
	Attempts    int // refused attempts
	TwoWritable int
	Unsound     int // rows there by half, or there although refused
	Errors      []string
}

func (c *contestant) figures() figures {
	f := figures{Runs: len(c.switches), Acked: c.final.Acked}
	var gaps, refusals, silences, claims, totals []float64
	lost := map[[2]int64]bool{} // a row that stays missing is lost once
	for _, m := range c.switches {
		gaps = append(gaps, ms(m.report.LongestGap))
		refusals = append(refusals, ms(m.report.LongestRefusal))
		silences = append(silences, ms(m.report.LongestSilence))
		claims = append(claims, m.outcome.ClaimedMS)
		totals = append(totals, ms(m.total))
		f.Failed += m.report.Failed
		if c.pooled { // a client of a pool waits; whatever else happens to it has failed
			f.Failed += m.report.Refused + m.report.Interrupted + m.report.Unknown
			f.Errors = append(f.Errors, m.report.Refusals...)
		}
		f.Interrupted += m.report.Interrupted
		f.Unknown += m.report.Unknown
		f.Attempts += m.report.Refused
		f.TwoWritable += m.moments.TwoWritable
		f.Errors = append(f.Errors, m.report.Errors...)
		for _, e := range m.audit.Lost {
			lost[[2]int64{int64(e.Writer), e.N}] = true
		}
	}
	for _, e := range c.final.Lost {
		lost[[2]int64{int64(e.Writer), e.N}] = true
	}
	f.Lost = len(lost)
	f.Unsound = len(c.final.Unexpected) + len(c.final.Unbalanced)
	f.Median, f.Worst = median(gaps), slices.Max(gaps)
	f.Refused, f.Silence, f.Claimed, f.Total = median(refusals), median(silences), median(claims), median(totals)
	slices.Sort(f.Errors)
	f.Errors = slices.Compact(f.Errors)
	return f
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (f contest) print(out io.Writer, b Benchmark, s Settings) {
	peer := f.peer.figures()
	order := []*contestant{f.peer}
	if f.program != nil {
		order = []*contestant{f.program, f.peer}
	}
	way := "direct connections"
	if b.Pooled {
		way = "through a connection pool"
	}
	fmt.Fprintf(out, "%s, %s: %d MiB, %d writers, %d switches each\n\n", b.Title, way, s.Size>>20, s.Writers, peer.Runs)
	printFigures(out, order)
	for _, c := range order {
		fmt.Fprintf(out, "\nSteps of %s (* = the app is down)\n", c.Name())
		c.printSteps(out)
		c.printWorst(out)
		for _, message := range c.figures().Errors {
			fmt.Fprintf(out, "a failed transaction of %s said: %s\n", c.Name(), message)
		}
	}
	fmt.Fprintln(out)
}

func printFigures(out io.Writer, order []*contestant) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	rows := []struct {
		title string
		value func(figures) string
	}{
		{"longest gap of one writer, median ms", func(f figures) string { return fmt.Sprintf("%.1f", f.Median) }},
		{"the same, worst ms", func(f figures) string { return fmt.Sprintf("%.1f", f.Worst) }},
		{"longest refusal of one writer, median ms", func(f figures) string { return fmt.Sprintf("%.1f", f.Refused) }},
		{"no write of anybody accepted, median ms", func(f figures) string { return fmt.Sprintf("%.1f", f.Silence) }},
		{"outage by its own measure, median ms", func(f figures) string { return fmt.Sprintf("%.1f", f.Claimed) }},
		{"from the request to everything done, median ms", func(f figures) string { return fmt.Sprintf("%.0f", f.Total) }},
		{"switches", func(f figures) string { return fmt.Sprint(f.Runs) }},
		{"commits acknowledged", func(f figures) string { return fmt.Sprint(f.Acked) }},
		{"acknowledged and lost", func(f figures) string { return fmt.Sprint(f.Lost) }},
		{"moments with two writable leaders", func(f figures) string { return fmt.Sprint(f.TwoWritable) }},
		{"transactions ended before commit (rolled back)", func(f figures) string { return fmt.Sprint(f.Interrupted) }},
		{"commits sent and never answered", func(f figures) string { return fmt.Sprint(f.Unknown) }},
		{"attempts refused", func(f figures) string { return fmt.Sprint(f.Attempts) }},
		{"transactions failed for another reason", func(f figures) string { return fmt.Sprint(f.Failed) }},
		{"rows that should not be there, or by half", func(f figures) string { return fmt.Sprint(f.Unsound) }},
	}
	for _, c := range order {
		fmt.Fprintf(w, "\t%s", c.Name())
	}
	fmt.Fprintln(w, "\t")
	for _, row := range rows {
		fmt.Fprint(w, row.title)
		for _, c := range order {
			fmt.Fprintf(w, "\t%s", row.value(c.figures()))
		}
		fmt.Fprintln(w, "\t")
	}
	w.Flush()
}

// printSteps prints each step's median and worst, in the order in which the
// steps were first seen.
func (c *contestant) printSteps(out io.Writer) {
	var names []string
	down := map[string]bool{}
	took := map[string][]float64{}
	for _, m := range c.switches {
		for _, s := range m.outcome.Steps {
			if took[s.Name] == nil {
				names = append(names, s.Name)
			}
			took[s.Name] = append(took[s.Name], ms(s.Took))
			down[s.Name] = s.InOutage
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "step\tmedian ms\tworst ms\tn\t")
	for _, name := range names {
		title := strings.ReplaceAll(name, "_", " ")
		if down[name] {
			title = "* " + title
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%d\t\n", title, median(took[name]), slices.Max(took[name]), len(took[name]))
	}
	w.Flush()
}

// summary is the last line; docs/benchmarks.md explains its fields.
func (f contest) summary(b Benchmark) map[string]any {
	peer := f.peer.figures()
	line := map[string]any{
		"bench": b.Name,
		"runs":  0,
		"peers": map[string]any{"hand-made": map[string]any{
			"runs": peer.Runs, "median_ms": round(peer.Median), "worst_ms": round(peer.Worst),
			"refused_ms": round(peer.Refused), "silence_ms": round(peer.Silence), "own_ms": round(peer.Claimed),
			"lost": peer.Lost, "failed": peer.Failed, "two_writable": peer.TwoWritable,
			"interrupted": peer.Interrupted, "unknown": peer.Unknown, "unsound": peer.Unsound,
		}},
	}
	if f.program == nil {
		return line
	}
	own := f.program.figures()
	for name, value := range map[string]any{
		"runs": own.Runs, "lost": own.Lost, "failed": own.Failed, "two_writable": own.TwoWritable,
		"median_ms": round(own.Median), "worst_ms": round(own.Worst),
		"refused_ms": round(own.Refused), "silence_ms": round(own.Silence), "own_ms": round(own.Claimed),
		"interrupted": own.Interrupted, "unknown": own.Unknown, "unsound": own.Unsound, "acked": own.Acked,
		"total_ms": round(own.Total),
		"ratio":    float64(int(own.Median/peer.Median*1000+0.5)) / 1000,
	} {
		line[name] = value
	}
	return line
}

// round keeps a tenth of a millisecond.
func round(ms float64) float64 { return float64(int(ms*10+0.5)) / 10 }
