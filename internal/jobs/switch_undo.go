package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// openOldLeader lets the old leader write again: only after the candidate is
// proven in recovery with no promotion asked for (safety 2).
func (c *switcher) openOldLeader(ctx context.Context) error {
	status, err := c.j.Engine.Status(ctx, c.old.Server)
	if err != nil {
		return err
	}
	if !c.old.Server.Fenced && !status.StandbySignal && status.Running {
		return c.resetCandidate(ctx) // it was never marked, or is open again
	}
	inRecovery, err := c.j.Engine.WithdrawPromotion(ctx, c.Epoch, c.it.Server)
	if err != nil {
		return fmt.Errorf("prove that %s is not promoted: %w", c.it.name(), err)
	}
	if !inRecovery {
		return fmt.Errorf("%s has left recovery, so %s stays fenced; a person must look at both", c.it.name(), c.old.name())
	}
	if err := openAgain(ctx, c.j.Engine, c.Epoch, c.old.Server); err != nil {
		return err
	}
	c.old.Server.Fenced = false
	facts := db.Changeover{OperationID: c.Operation.ID}
	if c.probe != nil && c.awaitWrite(ctx, c.old, 2*time.Second) == nil {
		c.measure(&facts)
	}
	if err := c.InTx(ctx, func(tx pgx.Tx) error {
		if err := db.SaveSwitch(ctx, tx, facts); err != nil {
			return err
		}
		return markServer(ctx, tx, c.old, false, platform.ServerRunning)
	}); err != nil {
		c.old.Server.Fenced = true // so that the next try writes it down
		if c.held {                // it takes writes, and its pools' clients need no record of that
			err = errors.Join(err, c.letPoolsGo(ctx))
		}
		return err
	}
	c.proof = nil
	return c.resetCandidate(ctx)
}

// resetCandidate takes back what prepareSwitch set on the candidate. A candidate
// that does not answer must not keep the old leader's undo from ending.
func (c *switcher) resetCandidate(ctx context.Context) error {
	candidate, err := c.candidateConn(ctx)
	if err == nil {
		err = postgres.ResetCandidate(ctx, candidate)
	}
	for _, slot := range c.slots { // nobody streams through them before the switch
		if err == nil {
			err = postgres.DropSlot(ctx, candidate, slot)
		}
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		c.Log.Warn("what was prepared on the candidate was not taken back", "error", c.lost(err))
	}
	return nil
}
