package switching

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// printWorst tells of the switch with the longest gap what happened in it: the
// steps of the side, and what the writer whose gap it was tried meanwhile.
// Moments are in milliseconds after the gap began.
func (c *contestant) printWorst(out io.Writer) {
	if len(c.switches) == 0 {
		return
	}
	worst := 0
	for i, m := range c.switches {
		if m.report.LongestGap > c.switches[worst].report.LongestGap {
			worst = i
		}
	}
	m := c.switches[worst]
	after := func(t time.Time) string { return fmt.Sprintf("%+.1f", ms(t.Sub(m.gap.From))) }
	fmt.Fprintf(out, "\nThe longest gap of %s: %.1f ms of writer %d, in switch %d of %d; its own measure says %.1f ms\n",
		c.Name(), ms(m.gap.Took), m.gap.Writer, worst+1, len(c.switches), m.outcome.ClaimedMS)
	each := make([]string, len(m.gap.Each))
	for i, gap := range m.gap.Each {
		each[i] = fmt.Sprintf("%.0f", ms(gap))
	}
	fmt.Fprintf(out, "longest gap of each writer around it, ms: %s\n", strings.Join(each, " "))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "step\tbegan at ms\ttook ms")
	for _, s := range m.outcome.Steps {
		began := ""
		if !s.Began.IsZero() {
			if s.Began.After(m.gap.From.Add(m.gap.Took)) || s.Began.Add(s.Took).Before(m.gap.From) {
				continue // another time
			}
			began = after(s.Began)
		}
		title := strings.ReplaceAll(s.Name, "_", " ")
		if s.InOutage {
			title = "* " + title
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f\n", title, began, ms(s.Took))
	}
	fmt.Fprintln(w, "writer\tbegan at ms\tuntil ms\tlongest ms\tattempts")
	for _, a := range m.gap.Attempts {
		fmt.Fprintf(w, "%s\t%s\t%s\t%.1f\t%d\t%s\n", a.Outcome, after(a.From), after(a.To), ms(a.Longest), a.Count, a.Why)
	}
	w.Flush()
	if m.gap.Connected > 0 {
		fmt.Fprintf(out, "the commit that ended it: %.1f ms until it knew where to connect, %.1f ms to connect, the rest for the transaction\n", ms(m.gap.Asked), ms(m.gap.Connected))
	}
}
