package jobs

import (
	"context"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// checkAgain claims the followers, so that nothing else moves them, and looks
// once more at all that the switch will meet.
func (u *upgrader) checkAgain(ctx context.Context) error {
	if err := u.mustNotBeMoved(ctx); err != nil {
		return err
	}
	if err := u.claimFollowers(ctx); err != nil {
		return err
	}
	facts, err := u.j.readFacts(ctx, u.old)
	if err != nil {
		return err
	}
	if facts.DataBytes > u.it.Plan.StorageBytes {
		return workflow.AbortAll("%v", u.j.Catalogue.UpgradePlan(u.old.Plan, u.it.Plan, facts.DataBytes, 0))
	}
	if lost, err := u.slotIsLost(ctx); err != nil {
		return err
	} else if lost {
		return workflow.AbortAll("WAL that the replacement still needed is gone from the old server, so it cannot catch up any more. Start the upgrade again: it makes a new replacement.")
	}
	checks, err := u.j.preflight(ctx, u.old, &u.it, u.it.Plan)
	if err != nil {
		return err
	}
	if err := u.judge(checks); err != nil {
		return err
	}
	return u.letTransactionsEnd(ctx)
}

// prepareSwitch looks for the last time whether somebody has moved the
// maintenance: once the step is on record nobody can (refuseWhileSwitching).
func (u *upgrader) prepareSwitch(ctx context.Context) error {
	if err := u.mustNotBeMoved(ctx); err != nil {
		return err
	}
	return u.switcher.prepareSwitch(ctx)
}

// mustNotBeMoved stops a switch that somebody has moved to another time since
// it began to run.
func (u *upgrader) mustNotBeMoved(ctx context.Context) error {
	m, err := db.MaintenanceByID(ctx, u.j.Pool, u.maintenance.ID)
	if err != nil {
		return err
	}
	if m.ScheduledAt != nil && m.ScheduledAt.After(u.j.Now()) {
		return workflow.Abort("%s postponed it to %s.", m.MovedBy, platform.MomentUTC(*m.ScheduledAt))
	}
	return nil
}

func (u *upgrader) slotIsLost(ctx context.Context) (lost bool, err error) {
	err = u.j.withConn(ctx, u.old, func(conn *pgx.Conn) error {
		slot, found, err := postgres.SlotState(ctx, conn, u.it.slot())
		lost = !found || slot.Invalidated
		return err
	})
	return lost, err
}

// letTransactionsEnd waits a while for transactions that have been open long:
// the switch would roll them back. Whoever looks can end them, or postpone.
func (u *upgrader) letTransactionsEnd(ctx context.Context) error {
	long, err := u.j.longTransactions(ctx, u.old)
	if err != nil || len(long) == 0 {
		return err
	}
	since := u.StartedAt("check_again")
	if since == nil || time.Since(*since) >= u.j.SwitchPatience {
		u.Detail("%s open long; the switch rolls back what still is", transactions(len(long)))
		return nil
	}
	return workflow.Wait(time.Second, "It waits for %s to end: until %s UTC, then the switch rolls back what is open. End them, or postpone the maintenance, on its page",
		transactions(len(long)), since.Add(u.j.SwitchPatience).UTC().Format("15:04:05"))
}

func (j *Jobs) longTransactions(ctx context.Context, p place) (long []platform.Backend, err error) {
	err = j.withConn(ctx, p, func(conn *pgx.Conn) error {
		long, err = postgres.LongTransactions(ctx, conn)
		return err
	})
	return long, err
}
