package postgres

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// slowCheckpoints is a server whose checkpoints take so long, one after the other.
type slowCheckpoints struct {
	take []time.Duration
	done int
}

func (s *slowCheckpoints) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	time.Sleep(s.take[min(s.done, len(s.take)-1)])
	s.done++
	return pgconn.CommandTag{}, nil
}

func (s *slowCheckpoints) Query(context.Context, string, ...any) (pgx.Rows, error) {
	panic("not asked")
}
func (s *slowCheckpoints) QueryRow(context.Context, string, ...any) pgx.Row { panic("not asked") }

// A leader's checkpoint is repeated while that gets clearly shorter, three times
// at most; a candidate has one.
func TestCheckpointUntilShort(t *testing.T) {
	tests := []struct {
		name string
		take []time.Duration
		want int
	}{
		{"short at once", []time.Duration{200 * time.Millisecond}, 1},
		{"short the second time", []time.Duration{3 * time.Second, 250 * time.Millisecond}, 2},
		{"shorter each time", []time.Duration{9 * time.Second, 4 * time.Second, 2 * time.Second, time.Second}, 3},
		{"no shorter", []time.Duration{3 * time.Second, 2500 * time.Millisecond}, 2},
		{"longer", []time.Duration{time.Second, 5 * time.Second}, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				leader, candidate := &slowCheckpoints{take: test.take}, &slowCheckpoints{take: []time.Duration{10 * time.Millisecond}}
				if err := CheckpointUntilShort(t.Context(), leader, candidate); err != nil {
					t.Fatal(err)
				}
				if leader.done != test.want || candidate.done != 1 {
					t.Errorf("%d checkpoints of the leader and %d of the candidate, want %d and 1", leader.done, candidate.done, test.want)
				}
			})
		})
	}
}
