package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// memory is a Store that keeps one operation in memory and can lose its
// connection, so that the runner's rules can be tried without servers.
type memory struct {
	mu        sync.Mutex
	op        platform.Operation
	steps     []platform.OperationStep
	held      bool
	lost      chan struct{}
	down      bool // the control database does not answer
	history   []string
	canceller string
}

func newMemory(names ...string) *memory {
	m := &memory{op: platform.Operation{ID: 1, Kind: "test", State: platform.OperationRunning}}
	for i, name := range names {
		m.steps = append(m.steps, platform.OperationStep{OperationID: 1, Position: i, Name: name, State: platform.StepPending})
	}
	return m
}

var errDown = errors.New("connection refused")

func (m *memory) Acquire(context.Context, int64) (workflow.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.down:
		return nil, errDown
	case m.held:
		return nil, workflow.ErrHeld
	case !m.op.State.Open():
		return nil, workflow.ErrEnded
	}
	m.op.Epoch++
	m.held, m.lost = true, make(chan struct{})
	return &memoryLease{m: m, op: m.op, steps: append([]platform.OperationStep(nil), m.steps...), lost: m.lost}, nil
}

type memoryLease struct {
	m     *memory
	op    platform.Operation
	steps []platform.OperationStep
	lost  chan struct{}
}

func (l *memoryLease) Epoch() int64                    { return l.op.Epoch }
func (l *memoryLease) Operation() platform.Operation   { return l.op }
func (l *memoryLease) Steps() []platform.OperationStep { return l.steps }
func (l *memoryLease) Lost() <-chan struct{}           { return l.lost }
func (l *memoryLease) Release() {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.m.op.Epoch == l.op.Epoch {
		l.m.held = false
	}
}

func (m *memory) Save(ctx context.Context, _, epoch int64, c workflow.Changes) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if epoch != m.op.Epoch || !m.op.State.Open() {
		return workflow.ErrOvertaken
	}
	if c.Begins && m.canceller != "" {
		return workflow.ErrCancelled
	}
	for _, s := range c.Steps {
		step := &m.steps[s.Position]
		step.State, step.Detail, step.StartedAt, step.FinishedAt = s.State, s.Detail, s.StartedAt, s.FinishedAt
		m.history = append(m.history, fmt.Sprintf("%s=%s", step.Name, s.State))
	}
	if c.State != "" {
		m.op.State, m.op.UndoTo = c.State, c.UndoTo
		m.history = append(m.history, "operation="+string(c.State))
	}
	if c.Reason != nil {
		m.op.Reason = *c.Reason
	}
	if c.NeedsPerson != nil {
		m.op.NeedsPerson = *c.NeedsPerson
	}
	if c.NoReturnAt != nil && m.op.NoReturnAt == nil {
		m.op.NoReturnAt = c.NoReturnAt
		m.history = append(m.history, "no return")
	}
	if c.Then != nil {
		return c.Then(ctx, nil)
	}
	return nil
}

func (m *memory) InTx(ctx context.Context, _, epoch int64, _ bool, fn func(pgx.Tx) error) error {
	m.mu.Lock()
	if m.down {
		m.mu.Unlock()
		return errDown
	}
	if epoch != m.op.Epoch {
		m.mu.Unlock()
		return workflow.ErrOvertaken
	}
	m.mu.Unlock()
	return fn(nil)
}

func (m *memory) CancelRequested(context.Context, int64) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.canceller, nil
}

// breakConnection is a control database that goes away: the lease is lost and
// nothing is saved until it is back.
func (m *memory) breakConnection() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down, m.held = true, false
	close(m.lost)
}

func (m *memory) back() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = false
}
