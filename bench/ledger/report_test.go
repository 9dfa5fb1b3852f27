package ledger

import (
	"errors"
	"testing"
	"time"
)

func TestBetween(t *testing.T) {
	const ms = time.Millisecond
	started := time.Now()
	broken := errors.New("broken")
	w := &Writers{started: started, writers: []*writer{
		{
			id: 0, first: 1,
			acks:     []ack{{1, 1 * ms, 2 * ms}, {2, 10 * ms, 12 * ms}, {4, 110 * ms, 113 * ms}, {5, 120 * ms, 121 * ms}},
			attempts: []attempt{{3, 13 * ms, 15 * ms, unknown, broken}, {0, 20 * ms, 21 * ms, refused, broken}},
		},
		{
			id: 1, first: 1,
			acks:     []ack{{1, 1 * ms, 3 * ms}, {3, 100 * ms, 103 * ms}, {4, 118 * ms, 120 * ms}},
			attempts: []attempt{{2, 14 * ms, 16 * ms, interrupted, broken}},
		},
	}}
	at := func(d time.Duration) time.Time { return started.Add(d) }

	r := w.Between(started, at(125*ms))
	if r.Acked != 7 || r.Unknown != 1 || r.Interrupted != 1 || r.Refused != 1 || r.Failed != 0 {
		t.Errorf("counts: %+v", r)
	}
	if r.LongestGap != 101*ms || r.LongestGapWriter != 0 {
		t.Errorf("gap %s of writer %d, want 101ms of 0", r.LongestGap, r.LongestGapWriter)
	}
	if r.LongestRefusal != 100*ms {
		t.Errorf("refusal %s, want 100ms (13 to 113)", r.LongestRefusal)
	}
	if r.LongestSilence != 91*ms || !r.AcceptedAgainAt.Equal(at(103*ms)) {
		t.Errorf("silence %s until %s, want 91ms (12 to 103)", r.LongestSilence, r.AcceptedAgainAt.Sub(started))
	}
	if !r.FirstRefusedAt.Equal(at(13 * ms)) {
		t.Errorf("first refused after %s, want 13ms", r.FirstRefusedAt.Sub(started))
	}

	// A stretch that begins inside the outage still shows all of the gap.
	if r := w.Between(at(50*ms), at(125*ms)); r.LongestGap != 101*ms {
		t.Errorf("from the middle: gap %s, want 101ms", r.LongestGap)
	}
	// An outage that is still open ends with the stretch.
	if r := w.Between(started, at(60*ms)); r.LongestGap != 57*ms || r.LongestRefusal != 47*ms || r.LongestSilence != 48*ms {
		t.Errorf("open: gap %s, refusal %s, silence %s; want 57ms, 47ms, 48ms", r.LongestGap, r.LongestRefusal, r.LongestSilence)
	}
}
