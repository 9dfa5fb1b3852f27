package ledger

import (
	"slices"
	"time"
)

// Report is what the writers saw in a stretch of time.
type Report struct {
	// Acked is the number of acknowledged commits.
	Acked int
	// Refused counts attempts that did nothing: nobody answered, or the server
	// takes no writes. A writer in an outage makes one every Options.Retry.
	Refused int
	// Interrupted counts transactions whose session ended before commit was
	// sent: rolled back for certain.
	Interrupted int
	// Unknown counts transactions whose commit was sent and never answered.
	// Verify tells how each of them ended.
	Unknown int
	// Failed counts transactions with an error that no switch explains; Errors
	// has their messages, without repetition.
	Failed int
	Errors []string
	// Refusals has the messages of the other attempts, without repetition.
	Refusals []string

	// LongestGap is the longest time between two neighbouring acknowledged
	// commits of one writer, LongestGapWriter, beginning at LongestGapAt.
	LongestGap       time.Duration
	LongestGapAt     time.Time
	LongestGapWriter int
	// LongestRefusal is the longest time in which one writer tried in vain: from
	// the beginning of an attempt that was not acknowledged to the next
	// acknowledgement.
	LongestRefusal time.Duration
	// LongestSilence is the longest time without any acknowledgement to anybody.
	LongestSilence time.Duration
	// FirstRefusedAt is the beginning of the first attempt that was not
	// acknowledged, zero when there was none; AcceptedAgainAt the first
	// acknowledgement at the end of LongestSilence.
	FirstRefusedAt  time.Time
	AcceptedAgainAt time.Time
}

// Between reports the stretch from from to to. A gap counts when any part of
// it lies inside the stretch; one that is still open ends at to.
func (w *Writers) Between(from, to time.Time) Report {
	lo, hi := from.Sub(w.started), to.Sub(w.started)
	var r Report
	var all []time.Duration // acknowledgements to anybody, from just before lo to hi
	for _, me := range w.writers {
		acks, attempts := me.snapshot(lo, hi)
		r.add(w.started, attempts)
		previous := lo // a writer without an earlier commit has been waiting since lo
		for _, a := range acks {
			all = append(all, a.at)
			if a.at < lo {
				previous = a.at
				continue
			}
			if a.at <= hi {
				r.Acked++
			}
			r.gap(w.started, me.id, previous, min(a.at, hi))
			previous = a.at
		}
		r.gap(w.started, me.id, previous, hi)
		r.refusals(acks, attempts, hi)
	}
	slices.Sort(all)
	previous := lo
	for _, at := range all {
		if at >= lo && at-previous > r.LongestSilence {
			r.LongestSilence, r.AcceptedAgainAt = at-previous, w.started.Add(at)
		}
		previous = at
	}
	if hi-previous > r.LongestSilence {
		r.LongestSilence, r.AcceptedAgainAt = hi-previous, time.Time{}
	}
	return r
}

// snapshot is what the writer saw in lo…hi, and the last commit before.
func (me *writer) snapshot(lo, hi time.Duration) ([]ack, []attempt) {
	me.mu.Lock()
	defer me.mu.Unlock()
	i, _ := slices.BinarySearchFunc(me.acks, lo, func(a ack, t time.Duration) int { return int(a.at - t) })
	j, _ := slices.BinarySearchFunc(me.acks, hi, func(a ack, t time.Duration) int { return int(a.at - t) })
	acks := slices.Clone(me.acks[max(i-1, 0):j])
	var attempts []attempt
	for _, a := range me.attempts {
		if a.end >= lo && a.start <= hi {
			attempts = append(attempts, a)
		}
	}
	return acks, attempts
}

func (r *Report) add(started time.Time, attempts []attempt) {
	for _, a := range attempts {
		if a.outcome != failed && a.err != nil {
			if message := a.err.Error(); !slices.Contains(r.Refusals, message) {
				r.Refusals = append(r.Refusals, message)
			}
		}
		switch a.outcome {
		case refused:
			r.Refused++
		case interrupted:
			r.Interrupted++
		case unknown:
			r.Unknown++
		case failed:
			r.Failed++
			if message := a.err.Error(); !slices.Contains(r.Errors, message) {
				r.Errors = append(r.Errors, message)
			}
		}
		if at := started.Add(a.start); r.FirstRefusedAt.IsZero() || at.Before(r.FirstRefusedAt) {
			r.FirstRefusedAt = at
		}
	}
}

func (r *Report) gap(started time.Time, id int, from, to time.Duration) {
	if to-from > r.LongestGap {
		r.LongestGap, r.LongestGapAt, r.LongestGapWriter = to-from, started.Add(from), id
	}
}

// refusals finds the longest run of attempts without an acknowledgement in it.
func (r *Report) refusals(acks []ack, attempts []attempt, hi time.Duration) {
	for i := 0; i < len(attempts); {
		start := attempts[i].start
		end := hi
		k, _ := slices.BinarySearchFunc(acks, start, func(a ack, t time.Duration) int { return int(a.at - t) })
		if k < len(acks) {
			end = acks[k].at
		}
		r.LongestRefusal = max(r.LongestRefusal, end-start)
		for i < len(attempts) && attempts[i].start < end {
			i++
		}
		if end == hi {
			return
		}
	}
}
