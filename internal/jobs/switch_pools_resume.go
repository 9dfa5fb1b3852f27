package jobs

import (
	"context"
	"errors"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

const (
	// resumePatience is how long a switch waits for its pools: direct clients get
	// their new URL only afterwards.
	resumePatience = 100 * time.Millisecond
	// resumeLimit is how long a PgBouncer that was not waited for may take.
	resumeLimit = time.Second
)

// errSilent is a pool that was not waited for.
var errSilent = errors.New("a PgBouncer does not answer")

// resumePools lets the clients go on with the new leader. A pool that does not
// answer must not hold up the app's other connections: what is asked of it goes
// on from the side, and it is set right before the old leader is started.
func (c *switcher) resumePools(ctx context.Context) error {
	pools, err := c.pools(ctx)
	if err != nil {
		return err
	}
	if len(pools) == 0 {
		c.Detail("No connection pool leads to it")
		return nil
	}
	led, err := c.leadAll(ctx, pools)
	if isStale(err) || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	if err != nil {
		c.Log.Error("a connection pool does not lead to the new leader yet", "error", err)
		c.unled = true
		least, _ := c.heldUntil(time.Now())
		c.Detail("%d of %s led to %s, held for at least %.0f ms; what does not answer is set right soon", len(led), counted(len(pools), "connection pool"), c.it.name(), *least)
		return nil
	}
	c.facts.HeldMS, c.facts.HeldAtLeast = c.heldUntil(led[len(led)-1])
	c.dismiss()
	words := "held for %.0f ms in all"
	if c.facts.HeldAtLeast {
		words = "held for at least %.0f ms"
	}
	c.Detail("%s led to %s, "+words, counted(len(pools), "connection pool"), c.it.name(), *c.facts.HeldMS)
	return nil
}

// leadAll leads pools to the new leader and returns when those that could be led
// were, in order. Those that take longer than the patience go on by themselves.
func (c *switcher) leadAll(ctx context.Context, pools []engine.Pool) (led []time.Time, err error) {
	c.settle()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), resumeLimit)
	answers := make(chan error, len(pools)) // each has room, so that nobody waits for a reader
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		_ = c.onEach(pools, func(p engine.Pool) error {
			answers <- c.route(bounded, p, c.it)
			return nil
		})
	}()
	patience := time.NewTimer(resumePatience)
	defer patience.Stop()
	var errs []error
	for range pools {
		select {
		case err := <-answers:
			if err == nil {
				led = append(led, time.Now())
			}
			errs = append(errs, err)
			continue
		case <-patience.C:
			errs = append(errs, errSilent)
		case <-ctx.Done():
			errs = append(errs, ctx.Err())
		}
		c.late = ended
		break
	}
	return led, errors.Join(errs...)
}

// settle waits until nothing is asked of a pool from the side any more.
func (c *switcher) settle() {
	if c.late != nil {
		<-c.late
		c.late = nil
	}
}

// setRight makes all pools lead to the new leader, those too that were attached
// since or could not be reached: none may lead to the old one once that answers
// again (safety 2).
func (c *switcher) setRight(ctx context.Context) error {
	c.settle()
	pools, err := c.readPools(ctx)
	if err != nil {
		return err
	}
	if err := c.routeAll(ctx, pools, c.it); err != nil {
		return err
	}
	c.dismiss()
	if !c.unled {
		return nil
	}
	// The clients of all pools were held for so long at most: only now it is known.
	c.facts.HeldMS, c.facts.HeldAtLeast = c.heldUntil(time.Now())
	err = c.InTx(ctx, func(tx pgx.Tx) error {
		return db.SaveSwitch(ctx, tx, db.Changeover{OperationID: c.Operation.ID, HeldMS: c.facts.HeldMS, HeldAtLeast: c.facts.HeldAtLeast})
	})
	c.unled = err != nil
	return err
}
