package ledger

import (
	"slices"
	"time"
)

// Gap tells what lies in the longest gap of a report, so that a long one
// explains itself.
type Gap struct {
	Writer int
	From   time.Time // the acknowledgement before it
	Took   time.Duration
	// Attempts are those of its writer from the beginning of the gap to the
	// commit that ended it, in order; neighbours that ended alike are one.
	Attempts []Attempts
	// Asked and Connected are what the commit that ended it spent to learn where
	// to connect, and to connect; the rest of its attempt was the transaction.
	// Zero where it had a session already.
	Asked, Connected time.Duration
	// Each is every writer's longest gap that touches this one, by writer: was it
	// everybody's, or one's alone?
	Each []time.Duration
}

// Attempts are neighbouring attempts that ended alike.
type Attempts struct {
	Count    int
	From, To time.Time // the beginning of the first and the end of the last
	Longest  time.Duration
	Outcome  string // "acknowledged", "refused", "interrupted", "unknown", "failed"
	Why      string // the error; empty for an acknowledgement
}

// GapOf is the longest gap of a report of these writers.
func (w *Writers) GapOf(r Report) Gap {
	g := Gap{Writer: r.LongestGapWriter, From: r.LongestGapAt, Took: r.LongestGap}
	lo := g.From.Sub(w.started)
	hi := lo + g.Took
	for _, me := range w.writers {
		acks, attempts := me.snapshot(lo, hi+time.Millisecond)
		g.Each = append(g.Each, longestIn(acks, lo, hi))
		if me.id != g.Writer {
			continue
		}
		for _, a := range acks {
			if a.start >= lo && a.at <= hi {
				attempts = append(attempts, attempt{start: a.start, end: a.at, outcome: acked})
				g.Asked, g.Connected = me.opened(a.start)
			}
		}
		slices.SortFunc(attempts, func(a, b attempt) int { return int(a.start - b.start) })
		for _, a := range attempts {
			if a.start >= lo && a.start < hi {
				g.add(w.started, a)
			}
		}
	}
	return g
}

// opened is what the attempt that began at start spent on its session.
func (me *writer) opened(start time.Duration) (asked, connected time.Duration) {
	me.mu.Lock()
	defer me.mu.Unlock()
	for _, o := range slices.Backward(me.opens) {
		if o.start == start {
			return o.asked - o.start, o.connected - o.asked
		}
	}
	return 0, 0
}

// longestIn is the longest time between two of the acknowledgements of which a
// part lies in lo…hi.
func longestIn(acks []ack, lo, hi time.Duration) (longest time.Duration) {
	previous := lo
	for _, a := range acks {
		if a.at >= lo {
			longest = max(longest, a.at-previous)
		}
		previous = a.at
	}
	return max(longest, hi-max(previous, lo))
}

func (g *Gap) add(started time.Time, a attempt) {
	outcome, why := outcomeNames[a.outcome], ""
	if a.err != nil {
		why = a.err.Error()
	}
	if n := len(g.Attempts); n > 0 && g.Attempts[n-1].Outcome == outcome && g.Attempts[n-1].Why == why {
		last := &g.Attempts[n-1]
		last.Count++
		last.To, last.Longest = started.Add(a.end), max(last.Longest, a.end-a.start)
		return
	}
	g.Attempts = append(g.Attempts, Attempts{Count: 1, From: started.Add(a.start), To: started.Add(a.end), Longest: a.end - a.start, Outcome: outcome, Why: why})
}

var outcomeNames = map[outcome]string{acked: "acknowledged", refused: "refused", interrupted: "interrupted", unknown: "unknown", failed: "failed"}
