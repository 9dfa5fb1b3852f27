package workflow

import (
	"context"
	"sync"
	"time"

	"changeover/internal/platform"
)

// recorder keeps an operation's steps and writes them down: at once outside the
// downtime, and inside it only along with the point of no return, after the
// stretch, or from the side when the stretch takes long enough to be watched.
type recorder struct {
	store       Store
	operationID int64
	epoch       int64

	mu    sync.Mutex // guards steps and dirty
	steps []platform.OperationStep
	dirty map[int]bool

	saving sync.Mutex // one Save at a time, so that rows are written in order
}

func newRecorder(store Store, lease Lease) *recorder {
	return &recorder{store: store, operationID: lease.Operation().ID, epoch: lease.Epoch(),
		steps: lease.Steps(), dirty: map[int]bool{}}
}

// state is the step as last noted.
func (r *recorder) state(position int) platform.OperationStep {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.steps[position]
}

// note changes a step in memory; save or watch writes it down.
func (r *recorder) note(position int, change func(*platform.OperationStep)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.steps[position]
	change(&r.steps[position])
	if r.steps[position] != before {
		r.dirty[position] = true
	}
}

func (r *recorder) begin(position int) {
	r.note(position, func(s *platform.OperationStep) {
		if s.State != platform.StepRunning || s.StartedAt == nil {
			now := time.Now()
			s.StartedAt = &now
		}
		s.State, s.FinishedAt = platform.StepRunning, nil
	})
}

func (r *recorder) end(position int, state platform.StepState, detail string) {
	r.note(position, func(s *platform.OperationStep) {
		now := time.Now()
		s.State, s.FinishedAt = state, &now
		if detail != "" {
			s.Detail = detail
		}
	})
}

func (r *recorder) detail(position int, detail string) {
	r.note(position, func(s *platform.OperationStep) { s.Detail = detail })
}

// forget makes the steps from position on as if they had never begun.
func (r *recorder) forget(position int) {
	for i := position; i < len(r.steps); i++ {
		r.note(i, func(s *platform.OperationStep) {
			s.State, s.Detail, s.StartedAt, s.FinishedAt = platform.StepPending, "", nil, nil
		})
	}
}

// save writes everything noted so far together with changes.
func (r *recorder) save(ctx context.Context, changes Changes) error {
	r.saving.Lock()
	defer r.saving.Unlock()
	r.mu.Lock()
	noted := make([]int, 0, len(r.dirty))
	for position := range r.dirty {
		s := r.steps[position]
		changes.Steps = append(changes.Steps, StepChange{Position: position, State: s.State, Detail: s.Detail, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt})
		noted = append(noted, position)
	}
	r.dirty = map[int]bool{}
	r.mu.Unlock()
	err := r.store.Save(ctx, r.operationID, r.epoch, changes)
	if err != nil {
		r.mu.Lock()
		for _, position := range noted {
			r.dirty[position] = true
		}
		r.mu.Unlock()
	}
	return err
}

// watch writes the steps of a downtime stretch from the side, so that a page
// sees a long one move. A stretch shorter than the first pause is not disturbed.
func (r *recorder) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(400 * time.Millisecond):
			}
			r.mu.Lock()
			something := len(r.dirty) > 0
			r.mu.Unlock()
			if something {
				// A failure here is the next save's to report.
				_ = r.save(ctx, Changes{})
			}
		}
	}()
	return func() { cancel(); <-done }
}
