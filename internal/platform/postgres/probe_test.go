package postgres

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeServers answers the probe's writes; all fields belong to the test's bubble.
type fakeServers struct {
	start time.Time
	mu    sync.Mutex
	dials map[string]int
	// answer says how long a write on url takes that begins at the given time
	// after the start, and whether it is accepted.
	answer func(url string, at time.Duration) (time.Duration, error)
}

type fakeWriter struct {
	servers *fakeServers
	url     string
	closed  bool
}

var errRefused = errors.New("refused")

func (s *fakeServers) dial(ctx context.Context, url string) (writer, error) {
	s.mu.Lock()
	s.dials[url]++
	again := s.dials[url] > 1
	s.mu.Unlock()
	w := &fakeWriter{servers: s, url: url}
	if again {
		return w, pause(ctx, time.Second) // would be seen in the figure
	}
	return w, nil
}

func (w *fakeWriter) write(ctx context.Context) error {
	takes, err := w.servers.answer(w.url, time.Since(w.servers.start))
	if interrupted := pause(ctx, takes); interrupted != nil {
		w.closed = true
		return interrupted
	}
	return err
}

func (w *fakeWriter) broken() bool { return w.closed }
func (w *fakeWriter) close()       { w.closed = true }

const ms = time.Millisecond

func TestProbeMeasures(t *testing.T) {
	quick := func(err error) (time.Duration, error) { return ms / 10, err }
	tests := []struct {
		name string
		// switchAt is when the runner names the new target; 0 = never.
		switchAt time.Duration
		answer   func(url string, at time.Duration) (time.Duration, error)
		want     time.Duration
		within   time.Duration
	}{
		{"no outage", 0, func(string, time.Duration) (time.Duration, error) { return quick(nil) }, 0, 0},
		{"refused for 200 ms", 400 * ms, func(url string, at time.Duration) (time.Duration, error) {
			if url == "old" && at > 200*ms {
				return quick(errRefused)
			}
			return quick(nil)
		}, 200 * ms, 6 * ms},
		{"held by a pause, never refused", 0, func(_ string, at time.Duration) (time.Duration, error) {
			if at > 200*ms && at < 300*ms {
				return 300*ms - at, nil
			}
			return quick(nil)
		}, 100 * ms, 6 * ms},
		{"held past the deadline counts from its start", 1500 * ms, func(url string, at time.Duration) (time.Duration, error) {
			if url == "old" && at > 200*ms {
				return time.Hour, nil
			}
			return quick(nil)
		}, 1300 * ms, 6 * ms},
		{"a hiccup before the switch is not the switch", 700 * ms, func(url string, at time.Duration) (time.Duration, error) {
			switch {
			case url == "old" && at > 100*ms && at < 150*ms:
				return 150*ms - at, nil
			case url == "old" && at > 500*ms:
				return quick(errRefused)
			}
			return quick(nil)
		}, 200 * ms, 6 * ms},
		{"the new server refuses at first", 300 * ms, func(url string, at time.Duration) (time.Duration, error) {
			if url == "old" && at > 200*ms || url == "new" && at < 450*ms {
				return quick(errRefused)
			}
			return quick(nil)
		}, 250 * ms, 8 * ms},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				servers := &fakeServers{start: time.Now(), dials: map[string]int{}, answer: test.answer}
				p := NewProbe("old")
				p.dial = servers.dial
				if err := p.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := p.Prepare(t.Context(), "new"); err != nil {
					t.Fatal(err)
				}
				if test.switchAt > 0 {
					time.Sleep(test.switchAt - time.Since(servers.start))
					p.SetTarget("new")
				} else {
					time.Sleep(2 * time.Second)
				}
				if err := p.WaitAccepted(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := p.Stop()
				if d := got.Duration(); d < test.want-test.within || d > test.want+test.within {
					t.Errorf("outage = %v, want %v ± %v (%+v)", d, test.want, test.within, got)
				}
				if test.want == 0 && !got.RefusedAt.IsZero() {
					t.Errorf("an outage without one: %+v", got)
				}
				if servers.dials["new"] > 1 {
					t.Errorf("the new server was connected to %d times, want once, ahead", servers.dials["new"])
				}
			})
		})
	}
}

func TestProbeThatNeverComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := &fakeServers{start: time.Now(), dials: map[string]int{}, answer: func(_ string, at time.Duration) (time.Duration, error) {
			if at > 100*ms {
				return 0, errRefused
			}
			return 0, nil
		}}
		p := NewProbe("old")
		p.dial = servers.dial
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		wait, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.WaitAccepted(wait); err == nil {
			t.Error("WaitAccepted returned although nothing was accepted")
		}
		got := p.Stop()
		if got.RefusedAt.IsZero() || !got.AcceptedAt.IsZero() || got.Duration() != 0 || !errors.Is(got.LastError, errRefused) {
			t.Errorf("outage = %+v, want one without an end", got)
		}
		if again := p.Stop(); again != got {
			t.Errorf("the second Stop says %+v, the first %+v", again, got)
		}
	})
}

func TestProbeThatCannotWriteDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := &fakeServers{start: time.Now(), dials: map[string]int{}, answer: func(string, time.Duration) (time.Duration, error) { return 0, errRefused }}
		p := NewProbe("old")
		p.dial = servers.dial
		if err := p.Start(t.Context()); !errors.Is(err, errRefused) {
			t.Errorf("Start = %v, want the refusal", err)
		}
		p.Stop()
	})
}
