package local

import (
	"context"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

// proof is what pg_controldata says of a server that was stopped; it runs
// beside the wait for the follower, which takes as long.
type proof struct {
	done    chan struct{}
	control engine.ControlData
	err     error
}

// beginProof starts pg_controldata. A server that starts again drops it.
func (e *Engine) beginProof(ctx context.Context, id int64, c cluster) {
	p := &proof{done: make(chan struct{})}
	e.mu.Lock()
	e.proofs[id] = p
	e.mu.Unlock()
	go func() {
		defer close(p.done)
		p.control, p.err = e.controlData(context.WithoutCancel(ctx), c)
	}()
}

func (e *Engine) dropProof(id int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.proofs, id)
}

// proveShutDown is nil when pg_controldata says that the cluster was shut down.
func (e *Engine) proveShutDown(ctx context.Context, id int64, c cluster) error {
	e.mu.Lock()
	p := e.proofs[id]
	e.mu.Unlock()
	if p == nil {
		p = &proof{done: make(chan struct{})}
		p.control, p.err = e.controlData(ctx, c)
		close(p.done)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	e.dropProof(id)
	if p.err != nil {
		return p.err
	}
	if p.control.State != engine.ShutDown && p.control.State != engine.ShutDownInRecovery {
		return platform.Conflict("%s was not shut down: its files say %s. Stop it first.", c.title(), p.control.State)
	}
	return nil
}
