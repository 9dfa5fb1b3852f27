package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

func (f found) print(out io.Writer, s settings) error {
	fmt.Fprintf(out, "%d databases, %d apps, %d notices, %d lag samples; %d requests of each page. Load of the machine: %s\n\n",
		s.databases, s.apps, s.notices, s.samples, s.requests, f.load)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "page\tp50 ms\tp99 ms\tworst ms\tqueries\tkB sent\t")
	for _, p := range f.pages {
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t\n", p.Page, p.P50, p.P99, p.Worst, p.Queries, float64(p.Bytes)/1000)
	}
	w.Flush()

	l := f.live
	fmt.Fprintf(out, "\n%d browsers watch one leader with a follower; the lag that they show was looked at %d times\n\n", l.Browsers, l.measuredSamples)
	for _, row := range []struct {
		title string
		value string
	}{
		{"age of the shown lag, p50", fmt.Sprintf("%.0f ms", l.AgeP50)},
		{"age of the shown lag, p99", fmt.Sprintf("%.0f ms", l.AgeP99)},
		{"age of the shown lag, worst of all browsers", fmt.Sprintf("%.0f ms", l.AgeWorst)},
		{"messages a second, all browsers together", fmt.Sprintf("%.0f", l.MessagesPerS)},
		{"size of a message as sent", fmt.Sprintf("%.1f kB", l.MessageBytes/1000)},
		{"CPU of the process", fmt.Sprintf("%.0f %% of one core", l.CPUPercent)},
		{"memory of the process", fmt.Sprintf("%.0f MiB", l.RSSMiB)},
		{"the most it had", fmt.Sprintf("%.0f MiB", l.PeakMiB)},
		{"before the first browser", fmt.Sprintf("%.0f MiB", l.BeforeMiB)},
		{"all browsers open and told, after", fmt.Sprintf("%.1f s", l.OpenS)},
		{"CPU of the process for opening them", fmt.Sprintf("%.1f s", l.OpenCPUSeconds)},
		{"connections lost", fmt.Sprint(l.Disconnected)},
	} {
		fmt.Fprintf(out, "  %-45s %s\n", row.title, row.value)
	}
	line, err := json.Marshal(f.summary(s))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s\n", line)
	return err
}

// worst is the page with the largest p99.
func (f found) worst() pageFigures {
	worst := f.pages[0]
	for _, p := range f.pages {
		if p.P99 > worst.P99 {
			worst = p
		}
	}
	return worst
}

// summary is the last line; docs/benchmarks.md explains its fields.
func (f found) summary(s settings) map[string]any {
	worst := f.worst()
	pages := map[string]any{}
	for _, p := range f.pages {
		pages[p.Page] = map[string]any{"p50_ms": round(p.P50), "p99_ms": round(p.P99), "worst_ms": round(p.Worst), "queries": round(p.Queries), "bytes": p.Bytes}
	}
	l := f.live
	return map[string]any{
		"bench": "pages", "p99_ms": round(worst.P99), "worst_page": worst.Page, "databases_p50_ms": round(f.pages[0].P50), "databases_p99_ms": round(f.pages[0].P99),
		"lag_age_ms": round(l.AgeWorst), "lag_age_p50_ms": round(l.AgeP50), "lag_age_p99_ms": round(l.AgeP99),
		"rss_mib": round(l.RSSMiB), "peak_rss_mib": round(l.PeakMiB), "cpu_percent": round(l.CPUPercent), "browsers": l.Browsers, "disconnected": l.Disconnected,
		"open_s": round(l.OpenS), "databases": s.databases, "notices": s.notices, "samples": s.samples, "requests": s.requests, "load": f.load, "pages": pages,
	}
}

// round keeps a tenth.
func round(v float64) float64 { return math.Round(v*10) / 10 }
