package local

import (
	"context"
	"time"

	"changeover/internal/platform/engine"
	"changeover/internal/platform/pool"
)

// PausePool makes the clients of a pool wait, and returns when none of its
// transactions is open any more; pool.ErrBusy after limit, with the pool as before.
func (e *Engine) PausePool(ctx context.Context, epoch int64, p engine.Pool, limit time.Duration) error {
	return e.act(ctx, epoch, e.poolCluster(p.ID), func() error {
		return e.withConsole(ctx, p, func(console *pool.Console) error { return console.Pause(ctx, limit) })
	})
}

// RoutePool makes a pool lead to p's server and lets its waiting clients go on.
func (e *Engine) RoutePool(ctx context.Context, epoch int64, p engine.Pool) error {
	return e.act(ctx, epoch, e.poolCluster(p.ID), func() error {
		if err := e.writeRoute(p); err != nil {
			return err
		}
		c := e.poolCluster(p.ID)
		known := readApplied(c)
		err := e.withConsole(ctx, p, func(console *pool.Console) error {
			if known.Route != p.ServerPort {
				if err := console.Reconnect(ctx); err != nil {
					return err
				}
			}
			return console.Resume(ctx)
		})
		if err != nil || known.Route == p.ServerPort {
			return err
		}
		known.Route = p.ServerPort
		return e.noteApplied(c, known)
	})
}

// UsePool is what goes on in a pool now.
func (e *Engine) UsePool(ctx context.Context, p engine.Pool) (use pool.Use, err error) {
	err = e.withConsole(ctx, p, func(console *pool.Console) error {
		use, err = console.Read(ctx)
		return err
	})
	return use, err
}

// PoolBackends are the process ids, on the server, of the transactions that are
// open through a pool.
func (e *Engine) PoolBackends(ctx context.Context, p engine.Pool) (pids []int32, err error) {
	err = e.withConsole(ctx, p, func(console *pool.Console) error {
		pids, err = console.Backends(ctx)
		return err
	})
	return pids, err
}

// PoolStatus looks at a pool from outside.
func (e *Engine) PoolStatus(p engine.Pool) (engine.PoolStatus, error) {
	c := e.poolCluster(p.ID)
	running, err := e.poolProcesses(c)
	if err != nil {
		return engine.PoolStatus{}, err
	}
	return engine.PoolStatus{Running: len(running) > 0, ServerPort: e.routeOf(p.ID)}, nil
}

func (e *Engine) withConsole(ctx context.Context, p engine.Pool, fn func(*pool.Console) error) error {
	console, err := pool.Open(ctx, e.sockets, p.Port, p.DatabaseName)
	if err != nil {
		return err
	}
	defer console.Close()
	return fn(console)
}
