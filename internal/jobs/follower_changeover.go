package jobs

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// followerChangeover makes a follower the leader: docs/follower-changeover.md
// tells it step by step, under the same titles. The order is safety 2.
func followerChangeover(deadline time.Duration) []workflow.Step[*changeover] {
	return []workflow.Step[*changeover]{
		{Name: "check", Title: "Check before starting", About: "What the Change plan page found, once more", Do: (*changeover).check, Undo: (*changeover).forgetUnmade},
		{Name: "reserve_server", Title: "Reserve a port and a place on disk", Do: (*changeover).reserveServer, Undo: (*changeover).keepOrDiscard},
		{Name: "copy_leader", Title: "Copy the leader", About: "The app goes on meanwhile", Do: (*changeover).copyLeader},
		{Name: "start_follower", Title: "Start the follower", Do: (*changeover).startFollower},
		{Name: "attach", Title: "Set the follower's config var", About: "A colour name, so that the app can read from it", Do: (*changeover).attach},
		{Name: "wait_until_caught_up", Title: "Wait until it has caught up", About: "No more than 200 commits behind", Do: (*changeover).waitUntilCaughtUp},
		{Name: "warm_candidate", Title: "Warm the cache", About: "What is used most is read into memory, 20 s at most", Optional: true, Do: (*changeover).warmCandidate},
		{Name: "wait_for_pools", Title: "Wait for the connection pools", About: "No transaction through one may have been open for more than 200 ms", Do: (*changeover).waitForPools},
		{Name: "write_out", Title: "Write out what has changed", About: "A checkpoint on both servers, so that the one while the app is down is short", Optional: true, Do: (*changeover).writeOut},
		{Name: "turn_on_maintenance", Title: "Turn on maintenance mode", About: "The app takes no traffic", Do: (*changeover).turnOnMaintenance, Undo: (*changeover).turnOffMaintenance},
		{Name: "scale_down", Title: "Scale down", About: "Every process type to 0", Do: (*changeover).scaleDown, Undo: (*changeover).scaleUp},
		{Name: "prepare_switch", Title: "Prepare the switch", About: "A checkpoint on both servers, a connection to each side, the probe", Deadline: prepareDeadline(deadline), Do: (*changeover).prepareSwitch, Undo: (*changeover).openOldLeader},
		{Name: "pause_pools", Title: "Hold the connection pools", About: "Their clients wait; no connection breaks", Downtime: true, Deadline: deadline, Do: (*changeover).pausePools, Undo: (*changeover).releasePools},
		{Name: "fence_writes", Title: "Fence the old leader", About: "A fast stop; open transactions are rolled back", Downtime: true, Do: (*changeover).fenceWrites, Undo: (*changeover).openOldLeader},
		{Name: "wait_until_zero_behind", Title: "Wait until 0 commits behind", About: "Replayed past the last record of the old leader", Downtime: true, Do: (*changeover).waitUntilZeroBehind},
		{Name: "unfollow", Title: "Unfollow", About: "It becomes writable for good", Downtime: true, NoReturn: true, Do: (*changeover).unfollow},
		{Name: "check_writable", Title: "Check that it is out of recovery", About: "pg_is_in_recovery() is false, and it takes a write", Downtime: true, Do: (*changeover).checkWritable},
		{Name: "resume_pools", Title: "Lead the connection pools to it", About: "Their clients go on", Downtime: true, Do: (*changeover).resumePools},
		{Name: "promote", Title: "Promote it to DATABASE_URL", About: "A new release; the old leader keeps a colour name", Downtime: true, Do: (*changeover).promote},
		{Name: "scale_up", Title: "Scale up", About: "Every process type as before", AppDown: true, Do: (*changeover).scaleUp},
		{Name: "turn_off_maintenance", Title: "Turn off maintenance mode", About: "Unless it was on before", AppDown: true, Do: (*changeover).turnOffMaintenance},
		{Name: "prove", Title: "Prove that nothing is missing", About: "The new timeline begins where the old one ends, to the byte", Do: (*changeover).prove},
		{Name: "start_old_leader", Title: "Start the old leader, fenced", About: "It can be read, and is billed until it is destroyed", Do: (*changeover).startOldLeader},
		{Name: "refresh_statistics", Title: "Refresh the statistics", About: "ANALYZE; the app does not wait for it", Do: (*changeover).refreshStatistics},
	}
}

// changeover is the state of one attempt.
type changeover struct {
	*switcher
	app platform.App
}

func (j *Jobs) newChangeover(ctx context.Context, a *workflow.Attempt) (*changeover, error) {
	if a.Operation.TargetID == nil || a.Operation.AppID == nil {
		return nil, fmt.Errorf("changeover %d names no follower or no app", a.Operation.ID)
	}
	facts, err := db.ChangeoverOf(ctx, j.Pool, a.Operation.ID)
	if err != nil {
		return nil, err
	}
	old, err := j.place(ctx, j.Pool, a.Operation.DatabaseID)
	if err != nil {
		return nil, err
	}
	it, err := j.place(ctx, j.Pool, *a.Operation.TargetID)
	if err != nil {
		return nil, err
	}
	app, err := db.AppByID(ctx, j.Pool, *a.Operation.AppID)
	if err != nil {
		return nil, err
	}
	maker := &followerMaker{databaseMaker: &databaseMaker{a, j, it}, leader: old}
	c := &changeover{&switcher{followerMaker: maker, old: old, facts: facts}, app}
	c.takeOver, c.movingPools, c.accepts = c.swapRoles, c.poolsOfApp, "promote"
	return c, c.goOn(ctx)
}

func (c *changeover) check(ctx context.Context) error {
	checks, err := c.j.Preflight(ctx, c.old.Database.ID, c.follower(), c.it.Plan)
	if err != nil {
		return err
	}
	return c.judge(checks)
}

// follower is the id of the follower once it runs, else nil.
func (c *changeover) follower() *int64 {
	if !c.isMade() {
		return nil
	}
	return &c.it.Database.ID
}

// keepOrDiscard keeps a follower that has caught up: it was asked for, it works,
// and a retry needs no new one.
func (c *changeover) keepOrDiscard(ctx context.Context) error {
	if !c.facts.NewFollower {
		return nil
	}
	it, err := c.j.place(ctx, c.j.Pool, c.it.Database.ID)
	if err != nil {
		return err
	}
	if it.Database.ReadableAt != nil {
		return workflow.Kept("%s is kept: it follows on, and costs $%d a month until you retry or destroy it", it.Database.Name, it.Plan.MonthlyCents/100)
	}
	return c.discard(ctx)
}

// writeOutFor is how long the checkpoints may take while the app goes on. A cancel
// is heard only afterwards; what was written by then is written all the same.
const writeOutFor = 30 * time.Second

// writeOut makes the checkpoint of prepareSwitch, in which the app is in
// maintenance mode, a short one. Nothing that goes wrong here is a reason not to
// switch: prepareSwitch finds it, too.
func (c *changeover) writeOut(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, writeOutFor)
	defer cancel()
	began := time.Now()
	err := c.j.withConn(bounded, c.old, func(leader *pgx.Conn) error {
		return c.j.withConn(bounded, c.it, func(candidate *pgx.Conn) error {
			return postgres.Checkpoint(bounded, leader, candidate)
		})
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.Log.Warn("no checkpoint before the app is down; the one while it is takes longer", "error", err)
		c.Detail("It could not be done; the checkpoint while the app is down takes longer")
		return nil
	}
	c.Detail("Done in %.1f s", time.Since(began).Seconds())
	return nil
}

func (c *changeover) turnOnMaintenance(ctx context.Context) error {
	return turnOnMaintenance(ctx, c.Attempt, c.app.ID)
}

func (c *changeover) turnOffMaintenance(ctx context.Context) error {
	return turnOffMaintenance(ctx, c.Attempt, c.app.ID)
}

func (c *changeover) scaleDown(ctx context.Context) error {
	return c.InTx(ctx, func(tx pgx.Tx) error {
		formation, err := db.Formation(ctx, tx, c.app.ID)
		if err != nil {
			return err
		}
		if err := db.SaveFormation(ctx, tx, c.Operation.ID, formation); err != nil {
			return err
		}
		c.Detail("%s", describeFormation(formation))
		down := make([]platform.Process, len(formation))
		for i, p := range formation {
			down[i] = platform.Process{Type: p.Type}
		}
		return db.SetFormation(ctx, tx, c.app.ID, down)
	})
}

func (c *changeover) scaleUp(ctx context.Context) error {
	return c.InTx(ctx, func(tx pgx.Tx) error {
		facts, err := db.ChangeoverOf(ctx, tx, c.Operation.ID)
		if err != nil || facts.SavedFormation == nil {
			return err
		}
		c.Detail("%s", describeFormation(facts.SavedFormation))
		return db.SetFormation(ctx, tx, c.app.ID, facts.SavedFormation)
	})
}

func describeFormation(formation []platform.Process) string {
	if len(formation) == 0 {
		return "No process types"
	}
	text := ""
	for i, p := range formation {
		if i > 0 {
			text += " "
		}
		text += fmt.Sprintf("%s=%d", p.Type, p.Quantity)
	}
	return text
}

func (c *changeover) startOldLeader(ctx context.Context) error {
	if err := c.setRight(ctx); err != nil {
		return err
	}
	if err := c.j.Engine.Start(ctx, c.Epoch, c.old.Server); err != nil {
		return err
	}
	err := c.j.withConn(ctx, c.old, func(conn *pgx.Conn) error {
		inRecovery, err := postgres.InRecovery(ctx, conn)
		if err == nil && !inRecovery {
			// Two leaders: nothing may be guessed here.
			stopErr := c.j.Engine.Stop(ctx, c.Epoch, c.old.Server)
			err = fmt.Errorf("the old leader %s came up writable and was stopped again (%v)", c.old.Database.Name, stopErr)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := c.j.dropSlot(ctx, c.Epoch, c.old, c.it.slot()); err != nil {
		return fmt.Errorf("drop the candidate's slot on the old leader: %w", err)
	}
	c.Detail("%s is read only, keeps its data and is billed until it is destroyed", c.old.Database.Name)
	return c.InTx(ctx, func(tx pgx.Tx) error {
		return db.SetServerState(ctx, tx, c.old.Server.ID, platform.ServerRunning)
	})
}

func (c *changeover) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	c.held = false // whatever was held went on; no guardian outlives its operation
	old, it := c.old.Database, c.it.Database
	if state == platform.OperationUndone {
		if err := db.ForgetSwitch(ctx, tx, c.Operation.ID); err != nil {
			return err
		}
		return notify(ctx, tx, c.Attempt, platform.NoticeChangeoverPutBack, "Put back: follower changeover of "+old.Name,
			fmt.Sprintf("The follower changeover of %s to %s was put back. %s writes to %s, on %s as before.\n\nWhy. %s\n\nWhat it means. No config var was changed by the switch.\n\nWhat to do. When the reason is gone, open the operation and retry it.",
				old.Name, it.Name, c.app.Name, old.Name, old.Plan, c.Reason()))
	}
	facts, err := db.ChangeoverOf(ctx, tx, c.Operation.ID)
	if err != nil {
		return err
	}
	window, err := db.WindowOf(ctx, tx, it.ID)
	if err != nil {
		return err
	}
	return notify(ctx, tx, c.Attempt, platform.NoticeChangeoverDone, "Completed: follower changeover of "+old.Name,
		fmt.Sprintf("%s is now the DATABASE_URL of %s, on %s. It has the maintenance window of %s, %s. The time in which writes were refused %s%s\n\nWhat to do. %s is fenced and still billed. Destroy it when you no longer need it.",
			it.Name, c.app.Name, it.Plan, old.Name, window, outageWords(facts), proofWords("leader", facts), old.Name), switchFigures(facts)...)
}

// swapRoles lets the follower take the leader's place in the control database.
func (c *changeover) swapRoles(ctx context.Context, tx pgx.Tx) (release int, err error) {
	// Nobody waits for either window: a maintenance would have the database claimed.
	if err := db.ExchangeWindows(ctx, tx, c.it.Database.ID, c.old.Database.ID); err != nil {
		return 0, err
	}
	if err := db.SetDatabaseUnfollowed(ctx, tx, c.it.Database.ID); err != nil {
		return 0, err
	}
	if err := db.SetServerLeader(ctx, tx, c.it.Server.ID, nil); err != nil {
		return 0, err
	}
	if err := db.SetDatabaseFenced(ctx, tx, c.old.Database.ID, true); err != nil {
		return 0, err
	}
	if err := db.SetDatabaseReplacedBy(ctx, tx, c.old.Database.ID, &c.it.Database.ID); err != nil {
		return 0, err
	}
	primary, ok, err := db.PrimaryAttachment(ctx, tx, c.app.ID)
	if err != nil || !ok || primary.DatabaseID != c.old.Database.ID {
		return 0, err // the old leader was not this app's DATABASE_URL: nothing to move
	}
	promoted, err := db.PromoteAttachment(ctx, tx, db.Promotion{AppID: c.app.ID, DatabaseID: c.it.Database.ID, Actor: c.Operation.RequestedBy, OperationID: &c.Operation.ID})
	return promoted.Release.Number, err
}
