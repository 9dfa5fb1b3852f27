package ledger

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestGapExplainsItself(t *testing.T) {
	const ms = time.Millisecond
	started := time.Now()
	down := errors.New("connection refused")
	w := &Writers{started: started, writers: []*writer{
		{id: 0, acks: []ack{{1, 0, 10 * ms}, {2, 195 * ms, 200 * ms}, {3, 205 * ms, 210 * ms}}},
		{id: 1, opens: []opening{{250 * ms, 260 * ms, 290 * ms}}, acks: []ack{{1, 0, 12 * ms}, {2, 250 * ms, 900 * ms}},
			attempts: []attempt{{0, 20 * ms, 21 * ms, refused, down}, {0, 50 * ms, 54 * ms, refused, down}, {2, 60 * ms, 65 * ms, interrupted, errors.New("EOF")}}},
	}}
	g := w.GapOf(w.Between(started, started.Add(time.Second)))
	if g.Writer != 1 || g.Took != 888*ms || !g.From.Equal(started.Add(12*ms)) || !slices.Equal(g.Each, []time.Duration{690 * ms, 888 * ms}) || g.Asked != 10*ms || g.Connected != 30*ms {
		t.Fatalf("%+v", g)
	}
	want := []Attempts{
		{2, started.Add(20 * ms), started.Add(54 * ms), 4 * ms, "refused", "connection refused"},
		{1, started.Add(60 * ms), started.Add(65 * ms), 5 * ms, "interrupted", "EOF"},
		{1, started.Add(250 * ms), started.Add(900 * ms), 650 * ms, "acknowledged", ""},
	}
	if !slices.Equal(g.Attempts, want) {
		t.Errorf("%+v, want %+v", g.Attempts, want)
	}
}
