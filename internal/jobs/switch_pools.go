package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/pool"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// Safety 2 on pausing: it is an outage for everybody, also while it is pending.
const (
	// pooledTransactionLimit is how long a transaction through a pool may have
	// been open for the pause to be sent.
	pooledTransactionLimit = 200 * time.Millisecond
	// pauseLimit is how long the pause may be pending.
	pauseLimit = 500 * time.Millisecond
	// pauseMargin is what a PgBouncer may take besides, to be reached.
	pauseMargin = 100 * time.Millisecond
	// pausePatience is the time between two tries, in which clients go on.
	pausePatience = time.Second
)

// errHeldUp is why the deadline of a pause passed.
var errHeldUp = errors.New("transactions through the connection pool did not end in time")

// pools are those that lead to the old leader and go with the switch. Inside the
// outage the control database is not asked for them again.
func (c *switcher) pools(ctx context.Context) ([]engine.Pool, error) {
	if c.moving != nil {
		return c.moving, nil
	}
	return c.readPools(ctx)
}

func (c *switcher) readPools(ctx context.Context) ([]engine.Pool, error) {
	list, err := c.movingPools(ctx)
	if err != nil {
		return nil, err
	}
	pools := make([]engine.Pool, len(list))
	for i, p := range list {
		if pools[i], err = c.j.enginePool(p); err != nil {
			return nil, err
		}
	}
	c.moving = pools
	return pools, nil
}

// waitForPools waits until no transaction through a pool has been open for long.
// Nobody is held up meanwhile, but a window does not stay open for ever, so there
// is an end to it.
func (c *switcher) waitForPools(ctx context.Context) error {
	pools, err := c.readPools(ctx)
	if err != nil {
		return err
	}
	if len(pools) == 0 {
		c.Detail("No connection pool leads to it")
		return nil
	}
	if err := c.mustBeShort(ctx, pools); err != nil {
		if since := c.StartedAt("wait_for_pools"); since != nil && time.Since(*since) >= c.j.SwitchPatience {
			return workflow.Abort("A transaction through the connection pool did not end within the %s for which it was waited. End it on the database's page, then try again.", c.j.SwitchPatience)
		}
		return err
	}
	c.Detail("%s, no transaction open for more than %d ms", counted(len(pools), "connection pool"), pooledTransactionLimit.Milliseconds())
	return nil
}

// mustBeShort is a Wait while a transaction through one of the pools has been
// open for longer than the limit.
func (c *switcher) mustBeShort(ctx context.Context, pools []engine.Pool) error {
	var pids []int32
	for _, p := range pools {
		open, err := c.j.Engine.PoolBackends(ctx, p)
		if err != nil {
			c.Log.Warn("a connection pool cannot be asked for its transactions", "pool", p.ID, "error", err)
			continue // its clients are broken, or it is being started again
		}
		pids = append(pids, open...)
	}
	if len(pids) == 0 {
		return nil
	}
	long, oldest := 0, time.Duration(0)
	read := func(conn *pgx.Conn) (err error) {
		long, oldest, err = postgres.OpenFor(ctx, conn, pids, pooledTransactionLimit)
		return err
	}
	var err error
	if c.leaderConn != nil && !c.leaderConn.IsClosed() {
		err = read(c.leaderConn)
	} else {
		err = c.j.withConn(ctx, c.old, read)
	}
	if err != nil || long == 0 {
		return err
	}
	return workflow.Wait(pausePatience/2, "It waits for %s through the connection pool to end; the oldest has been open for %.1f s. End it on the page of this operation, or cancel it",
		counted(long, "transaction"), oldest.Seconds())
}

// pausePools makes the clients of all pools wait, in one moment. Where that
// takes too long they go on, and it is tried again.
func (c *switcher) pausePools(ctx context.Context) error {
	pools, err := c.pools(ctx)
	if err != nil {
		return err
	}
	if len(pools) == 0 {
		c.Detail("No connection pool leads to it")
		return nil
	}
	c.guarded(ctx)
	if err := c.mustBeShort(ctx, pools); err != nil {
		if c.held { // by an attempt that died while its pause was pending
			err = errors.Join(err, c.letPoolsGo(context.WithoutCancel(ctx)))
		}
		if ctx.Err() != nil {
			return errHeldUp // the deadline came while the transactions were looked at once more
		}
		return err
	}
	asked := time.Now()
	c.held = true
	errs := c.onEach(pools, func(p engine.Pool) error {
		// A frozen PgBouncer must not keep the others' clients waiting.
		bounded, cancel := context.WithTimeout(ctx, pauseLimit+pauseMargin)
		defer cancel()
		err := c.j.Engine.PausePool(bounded, c.Epoch, p, pauseLimit)
		if err != nil && !isStale(err) && !errors.Is(err, pool.ErrBusy) && ctx.Err() == nil {
			// A PgBouncer that does not answer has no clients to hold. It must not
			// keep the others from the switch.
			c.Log.Warn("a connection pool is not paused", "pool", p.ID, "error", err)
			return nil
		}
		return err
	})
	if errs == nil {
		c.heldSince = asked
		c.Detail("%s held after %.0f ms", counted(len(pools), "connection pool"), float64(time.Since(asked).Microseconds())/1000)
		return nil
	}
	if isStale(errs) {
		return errs
	}
	if err := c.letPoolsGo(context.WithoutCancel(ctx)); err != nil {
		return errors.Join(errs, err)
	}
	if errors.Is(errs, pool.ErrBusy) {
		return workflow.Wait(pausePatience, "A transaction through the connection pool did not end within %d ms; its clients went on, and it is tried again", pauseLimit.Milliseconds())
	}
	return errs
}

// releasePools takes the pause back; nobody is held any more, or is to be.
func (c *switcher) releasePools(ctx context.Context) error {
	err := c.letPoolsGo(ctx)
	if err == nil {
		c.dismiss()
	}
	return err
}

// letPoolsGo lets the clients go on with the old leader.
func (c *switcher) letPoolsGo(ctx context.Context) error {
	pools, err := c.pools(ctx)
	if err != nil {
		return err
	}
	c.heldSince, c.before.since = time.Time{}, time.Time{}
	err = c.routeAll(ctx, pools, c.old)
	c.held = err != nil
	return err
}

// routeAll makes pools lead to a place, also those whose PgBouncer died.
func (c *switcher) routeAll(ctx context.Context, pools []engine.Pool, to place) error {
	return c.onEach(pools, func(p engine.Pool) error { return c.route(ctx, p, to) })
}

func (c *switcher) route(ctx context.Context, p engine.Pool, to place) error {
	p.ServerPort = to.Server.Port
	err := c.j.Engine.RoutePool(ctx, c.Epoch, p)
	if err == nil || isStale(err) || ctx.Err() != nil {
		return err
	}
	return c.j.Engine.StartPool(ctx, c.Epoch, p)
}

// onEach runs fn on all pools at once: the pause of one is an outage while the
// others are still asked.
func (c *switcher) onEach(pools []engine.Pool, fn func(engine.Pool) error) error {
	errs := make([]error, len(pools))
	var all sync.WaitGroup
	for i, p := range pools {
		all.Go(func() { errs[i] = fn(p) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// poolsOfDatabase are all pools of the database: an upgrade keeps it, so that
// every one of them goes with it.
func (c *switcher) poolsOfDatabase(ctx context.Context) ([]db.Pool, error) {
	return db.PoolsOf(ctx, c.j.Pool, c.old.Database.ID)
}

// poolsOfApp is the app's pool of the default name, which goes where DATABASE
// goes; others stay with the old leader (specification 3b).
func (c *changeover) poolsOfApp(ctx context.Context) ([]db.Pool, error) {
	primary, ok, err := db.PrimaryAttachment(ctx, c.j.Pool, c.app.ID)
	if err != nil || !ok || primary.DatabaseID != c.old.Database.ID && primary.DatabaseID != c.it.Database.ID {
		return nil, err // DATABASE does not move, so its pool does not either
	}
	var moving []db.Pool
	for _, id := range []int64{c.old.Database.ID, c.it.Database.ID} {
		list, err := db.PoolsOf(ctx, c.j.Pool, id)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			if *p.AppID == c.app.ID && p.Name == platform.PoolAttachment {
				moving = append(moving, p)
			}
		}
	}
	return moving, nil
}
