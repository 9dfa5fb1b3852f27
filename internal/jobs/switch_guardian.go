package jobs

import (
	"context"
	"errors"

	"changeover/internal/db"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/guardian"
)

// arm starts the guardian of this attempt, where pools go with the switch.
// Without one the switch goes on: it only matters when this program dies.
func (c *switcher) arm(ctx context.Context) {
	pools, err := c.pools(ctx)
	if c.guardian != nil || c.j.Guard == nil || err == nil && len(pools) == 0 {
		return
	}
	h := Holding{Epoch: db.GuardianEpoch(c.Epoch), Old: c.old.Server, New: c.it.Server, Pools: make([]engine.Pool, len(pools))}
	h.Old.Fenced, h.New.Fenced = false, false
	for i, p := range pools {
		p.Verifier = "" // a guardian starts no pool anew, so it need not know
		h.Pools[i] = p
	}
	if err == nil {
		c.guardian, err = c.j.Guard(h)
	}
	if err != nil {
		c.guardian = nil
		c.Log.Warn("no guardian watches over the connection pools in this switch", "error", err)
	}
}

// guarded makes sure that a guardian watches, where pools go with the switch. It
// costs nothing where one does. Nobody is held yet.
func (c *switcher) guarded(ctx context.Context) {
	for range 2 { // one that ended is followed by another
		c.arm(ctx)
		if c.guardian == nil {
			return
		}
		watching, cancel := context.WithTimeout(ctx, guardianPatience)
		err := c.guardian.Ready(watching)
		cancel()
		if err == nil {
			return
		}
		c.Log.Warn("no guardian watches over the connection pools yet", "error", err)
		if !errors.Is(err, guardian.ErrEnded) {
			return // it may still come
		}
		c.guardian.Dismiss()
		c.guardian = nil
	}
}

// goOn is for an attempt that begins where pools are held, or a switch is half
// done: nothing that an older attempt, or a guardian, still has in mind happens
// from here on, so that what is looked at now stays true.
func (c *switcher) goOn(ctx context.Context) error {
	if c.StartedAt("prepare_switch") == nil || c.FinishedAt("prove") != nil {
		return nil
	}
	pools, err := c.readPools(ctx)
	if err != nil {
		return err
	}
	if err := c.j.Engine.TakeOver(ctx, c.Epoch, []engine.Server{c.old.Server, c.it.Server}, pools); err != nil {
		return err
	}
	if c.Stands("pause_pools") && c.FinishedAt("resume_pools") == nil {
		c.held = true // as far as is known
		c.lookBack(ctx, pools)
		c.arm(ctx)
	}
	return nil
}

// holdAgain holds the pools once more where an attempt finds the old leader
// open: a guardian may have let their clients go on.
func (c *switcher) holdAgain(ctx context.Context) error {
	if !c.heldSince.IsZero() {
		return nil
	}
	status, err := c.j.Engine.Status(ctx, c.old.Server)
	if err != nil || !status.Running {
		return err
	}
	return c.pausePools(ctx)
}

// dismiss ends the guardian, if there is one.
func (c *switcher) dismiss() {
	c.held = false
	if c.guardian != nil {
		c.guardian.Dismiss()
		c.guardian = nil
	}
}
