package ledger

import (
	"context"
	"testing"
	"time"
)

func TestOneQuestionIsForAllWhoWait(t *testing.T) {
	questions := 0
	a := &address{fresh: time.Millisecond, source: func(context.Context) (string, error) {
		questions++
		time.Sleep(3 * time.Millisecond) // longer than an answer is fresh
		return "postgres://", nil
	}}
	early := time.Now()
	for _, tt := range []struct {
		arrived   time.Time
		questions int
	}{
		{early, 1},
		{early, 1}, // it waited while the first one asked
		{early, 1},
		{time.Now().Add(time.Hour), 2}, // it came after the answer
	} {
		if url, err := a.get(t.Context(), tt.arrived); url != "postgres://" || err != nil || questions != tt.questions {
			t.Errorf("%q, %v after %d questions, want %d", url, err, questions, tt.questions)
		}
	}
}
