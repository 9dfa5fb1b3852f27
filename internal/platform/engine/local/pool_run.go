package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/pool"
)

// poolStartTimeout is how long a PgBouncer may take to answer; it needs milliseconds.
const poolStartTimeout = 10 * time.Second

// poolFrozenAfter is how long a PgBouncer that lives may not answer on its console.
const poolFrozenAfter = 2 * time.Second

// poolCluster is where a pool lives, in the words of a cluster: what is done under its
// epoch, and which processes are its own, is told by its directory.
func (e *Engine) poolCluster(id int64) cluster {
	text := strconv.FormatInt(id, 10)
	dir := filepath.Join(e.config.Home, "pools", text)
	return cluster{name: "connection pool " + text, dir: dir, data: dir, host: e.config.DatabaseHost}
}

// StartPool makes a pool as it is described: files, a running PgBouncer that has
// read them, no pause. It changes nothing where all is so. Unavailable says what
// is missing on this machine, or that a stranger has the port.
func (e *Engine) StartPool(ctx context.Context, epoch int64, p engine.Pool) error {
	if e.pooler == nil {
		return platform.Unavailable(nil, "No PgBouncer was found on this machine, and connection pools run on it. Install it, on Debian with: apt-get install pgbouncer.")
	}
	c := e.poolCluster(p.ID)
	if err := e.makeDir(c); err != nil {
		return err
	}
	// The process writes nothing there, but must be able to stand in it.
	return e.act(ctx, epoch, c, func() error {
		want, err := e.writePool(c, p)
		if err != nil {
			return err
		}
		if err := e.writeRoute(p); err != nil {
			return err
		}
		spawned, err := e.revivePool(ctx, c, p)
		if err != nil {
			return err
		}
		if spawned {
			return e.noteApplied(c, want)
		}
		known := readApplied(c)
		err = e.withConsole(ctx, p, func(console *pool.Console) error {
			if known.Files != want.Files {
				if err := console.Reload(ctx); err != nil {
					return err
				}
			}
			if known.Sizes != want.Sizes {
				for _, size := range e.poolSettings(p).Sizes() {
					if err := console.Set(ctx, size[0], size[1]); err != nil {
						return err
					}
				}
			}
			if known.Route != want.Route {
				if err := console.Reconnect(ctx); err != nil {
					return err
				}
			}
			paused, err := console.Paused(ctx)
			if err != nil {
				return err
			}
			if paused {
				return console.Resume(ctx)
			}
			return console.Patient(ctx) // whoever let its clients go on may have died before this
		})
		if err != nil || known == want {
			return err
		}
		return e.noteApplied(c, want)
	})
}

// revivePool starts a PgBouncer where none answers: one that was killed, or is
// frozen, in which case it is ended first. All its clients wait for it.
func (e *Engine) revivePool(ctx context.Context, c cluster, p engine.Pool) (spawned bool, err error) {
	deadline := time.Now().Add(poolFrozenAfter)
	for {
		running, err := e.poolProcesses(c)
		if err != nil {
			return false, err
		}
		if len(running) == 0 {
			return true, e.spawnPool(ctx, c, p)
		}
		asked, cancel := context.WithTimeout(ctx, time.Until(deadline))
		err = e.withConsole(asked, p, func(console *pool.Console) error { return console.Answers(asked) })
		cancel()
		if err == nil || ctx.Err() != nil {
			return false, err
		}
		if !time.Now().Before(deadline) {
			e.log.Warn("a connection pool does not answer and is started again", "pool", p.ID, "error", err)
			if err := e.stopPool(ctx, c, 0); err != nil {
				return false, err
			}
			continue
		}
		time.Sleep(startPoll)
	}
}

// RestartPool starts the PgBouncer of a pool again with the files it has, where
// none answers: for a pool that an operation holds. Nothing else is changed.
func (e *Engine) RestartPool(ctx context.Context, epoch int64, p engine.Pool) error {
	c := e.poolCluster(p.ID)
	return e.act(ctx, epoch, c, func() error {
		_, err := e.revivePool(ctx, c, p)
		return err
	})
}

// DestroyPool ends a pool and removes its files.
func (e *Engine) DestroyPool(ctx context.Context, epoch int64, id int64) error {
	c := e.poolCluster(id)
	err := e.act(ctx, epoch, c, func() error {
		if err := e.stopPool(ctx, c, 0); err != nil {
			return err
		}
		return errors.Join(os.RemoveAll(e.poolRoute(id)), os.RemoveAll(c.dir))
	})
	if platform.KindOf(err) == platform.KindNotFound {
		return nil
	}
	return err
}

// Pools are the ids of the pools that have files here.
func (e *Engine) Pools() ([]int64, error) {
	entries, err := os.ReadDir(filepath.Join(e.config.Home, "pools"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, entry := range entries {
		if id, err := strconv.ParseInt(entry.Name(), 10, 64); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// foundPools are the pools that have a directory here.
func (e *Engine) foundPools() []cluster {
	ids, _ := e.Pools() // a directory that cannot be read has none that we could end
	list := make([]cluster, len(ids))
	for i, id := range ids {
		list[i] = e.poolCluster(id)
	}
	return list
}

// PoolProcesses are the processes of a pool.
func (e *Engine) PoolProcesses(id int64) ([]int, error) { return e.poolProcesses(e.poolCluster(id)) }

func (e *Engine) poolProcesses(c cluster) ([]int, error) { return processesIn(c.dir, e.owner.uidOf()) }

// stopPool ends a pool's process: SIGINT, which breaks its clients' connections
// at once (on SIGTERM newer ones wait for them), then SIGKILL.
func (e *Engine) stopPool(ctx context.Context, c cluster, patience time.Duration) error {
	pids, err := e.poolProcesses(c)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if p, err := openProcess(pid, c.dir); err == nil && p != nil {
			_ = p.signal(syscall.SIGINT) // SIGKILL follows where it does not help
			p.close()
		}
	}
	return e.endProcesses(ctx, c.name, patience, func() ([]int, error) { return e.poolProcesses(c) }, c.dir)
}

// withManyFiles runs a program in the shell's place with as many open files as the
// machine lets it have, and it can need. Most shells start programs with 1024, which
// are fewer than a plan's clients: a PgBouncer that has none left takes nobody any
// more, its console neither, and would be taken for frozen.
const withManyFiles = `most=$(ulimit -H -n); [ "$most" != unlimited ] && [ "$most" -lt 16384 ] || most=16384
now=$(ulimit -S -n); [ "$now" = unlimited ] || [ "$now" -ge "$most" ] || ulimit -S -n "$most"; exec "$0" "$@"`

// spawnPool starts PgBouncer and returns when its console answers.
func (e *Engine) spawnPool(ctx context.Context, c cluster, p engine.Pool) error {
	if e.pooler == nil {
		return platform.Unavailable(nil, "No PgBouncer was found on this machine, and connection pools run on it. Install it, on Debian with: apt-get install pgbouncer.")
	}
	c.port = p.Port
	if err := c.portIsSoonFree(ctx); err != nil {
		return err
	}
	if err := trimLog(c.logPath()); err != nil {
		return err
	}
	if err := removeFile(filepath.Join(c.dir, appliedFile)); err != nil {
		return err
	}
	log, err := os.OpenFile(c.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return err
	}
	// Not bound to ctx: it outlives this program, and stands in its directory, by
	// which it is known.
	cmd := e.command(context.WithoutCancel(ctx), "/bin/sh", "-c", withManyFiles, e.pooler.path, filepath.Join(c.dir, pool.SettingsFile))
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start of %s: %w", c.name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // reaped; how it ended is in its log
		close(ended)
	}()
	deadline := time.Now().Add(poolStartTimeout)
	for {
		err := e.withConsole(ctx, p, func(console *pool.Console) error { return console.Answers(ctx) })
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s did not start. Its log ends with: %s", c.name, c.log(info.Size(), startLines))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(startPoll):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer: %w. Its log ends with: %s", c.name, err, c.log(info.Size(), startLines))
		}
	}
}
