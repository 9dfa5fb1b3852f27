package local

import (
	"context"
	"strings"
	"syscall"
	"time"

	"changeover/internal/platform/engine"
)

const (
	// walSenderPatience is how long a stop waits for followers to take the last
	// WAL before it ends the walsenders: a frozen one would hold it for a minute.
	walSenderPatience = 2 * time.Second
	// stopPatience is how long a fast stop may take before the hard one.
	stopPatience = 60 * time.Second
	// destroyPatience is the same for a server whose data goes anyway.
	destroyPatience = 5 * time.Second
)

// Stop stops s fast and completely: when it is nil, no process of it is left.
func (e *Engine) Stop(ctx context.Context, epoch int64, s engine.Server) error {
	c, err := e.ownCluster(s)
	if err != nil {
		return err
	}
	return e.act(ctx, epoch, c, func() error { return e.stop(ctx, c, stopPatience) })
}

func (e *Engine) stop(ctx context.Context, c cluster, patience time.Duration) error {
	pid := e.postmaster(c)
	if pid == 0 {
		return e.endAll(ctx, c, 0)
	}
	p, err := openProcess(pid, c.data)
	if err != nil {
		return err
	}
	if p == nil {
		return e.endAll(ctx, c, 0)
	}
	defer p.close()
	if err := p.signal(syscall.SIGINT); err != nil {
		return err
	}
	begin := time.Now()
	for !p.gone(10 * time.Millisecond) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(begin) > walSenderPatience {
			e.endWALSenders(c)
		}
		if time.Since(begin) > patience {
			e.log.Warn("fast stop takes too long, ending the server hard", "cluster", c.name)
			return e.endAll(ctx, c, min(patience/4, 5*time.Second))
		}
	}
	return e.endAll(ctx, c, time.Second)
}

// endWALSenders asks every walsender of the cluster to end, known by the title
// that PostgreSQL gives its processes.
func (e *Engine) endWALSenders(c cluster) {
	pids, err := e.processes(c)
	if err != nil {
		return
	}
	for _, pid := range pids {
		if !strings.Contains(commandLine(pid), "walsender") {
			continue
		}
		if p, err := openProcess(pid, c.data); err == nil && p != nil {
			if err := p.signal(syscall.SIGTERM); err != nil {
				e.log.Warn("walsender", "err", err)
			}
			p.close()
		}
	}
}
