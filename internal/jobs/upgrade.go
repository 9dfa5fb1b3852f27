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

// upgrade puts a replacement on another plan, or a new one on the same plan, in
// the place of a database's server, in a maintenance window: docs/upgrade.md
// tells it step by step, under the same titles. The switch is the changeover's.
func upgrade(deadline time.Duration) []workflow.Step[*upgrader] {
	return append([]workflow.Step[*upgrader]{
		{Name: "check", Title: "Check before starting", About: "What the Change plan page found, once more", Do: (*upgrader).check},
		{Name: "reserve_server", Title: "Reserve a port and a place on disk", Do: (*upgrader).reserveReplacement, Undo: (*upgrader).discardReplacement},
		{Name: "copy_leader", Title: "Copy the database", About: "By replication, while the app goes on", Do: (*upgrader).copyLeader},
		{Name: "start_replacement", Title: "Start the replacement", Do: (*upgrader).startFollower},
		{Name: "wait_until_caught_up", Title: "Wait until it has caught up", About: "No more than 200 commits behind", Do: (*upgrader).caughtUp},
		{Name: "schedule", Title: "Schedule the maintenance", About: "A notice says that the replacement is ready", Do: (*upgrader).schedule},
		{Name: "wait_for_window", Title: "Wait for the window", About: "Or run it, move it, cancel it here", Again: true, Do: (*upgrader).waitForWindow},
	}, serverSwitch(deadline)...)
}

// serverSwitch is the part of an upgrade and of a switch back in which one
// server of a database takes another's place. The order is safety 2.
func serverSwitch(deadline time.Duration) []workflow.Step[*upgrader] {
	return []workflow.Step[*upgrader]{
		{Name: "warm_candidate", Title: "Warm the cache", About: "What is used most is read into memory, 20 s at most", Optional: true, Do: (*upgrader).warmCandidate},
		{Name: "check_again", Title: "Check again", About: "Long transactions are waited for, at most ten minutes", Do: (*upgrader).checkAgain, Undo: (*upgrader).giveFollowersBack},
		{Name: "wait_for_pools", Title: "Wait for the connection pools", About: "No transaction through one may have been open for more than 200 ms", Do: (*upgrader).waitForPools},
		{Name: "prepare_switch", Title: "Prepare the switch", About: "A checkpoint on both servers, a connection to each side, the probe", Deadline: prepareDeadline(deadline), Do: (*upgrader).prepareSwitch, Undo: (*upgrader).openOldLeader},
		{Name: "pause_pools", Title: "Hold the connection pools", About: "Their clients wait; no connection breaks", Downtime: true, Deadline: deadline, Do: (*upgrader).pausePools, Undo: (*upgrader).releasePools},
		{Name: "fence_writes", Title: "Fence the old server", About: "A fast stop; open transactions are rolled back", Downtime: true, Do: (*upgrader).fenceWrites, Undo: (*upgrader).openOldLeader},
		{Name: "wait_until_zero_behind", Title: "Wait until 0 commits behind", About: "Replayed past the last record of the old server", Downtime: true, Do: (*upgrader).waitUntilZeroBehind},
		{Name: "promote_replacement", Title: "Promote the replacement", About: "It becomes writable for good", Downtime: true, NoReturn: true, Do: (*upgrader).unfollow},
		{Name: "check_writable", Title: "Check that it is out of recovery", About: "pg_is_in_recovery() is false, and it takes a write", Downtime: true, Do: (*upgrader).checkWritable},
		{Name: "resume_pools", Title: "Lead the connection pools to it", About: "Their clients go on", Downtime: true, Do: (*upgrader).resumePools},
		{Name: "point_config_vars", Title: "Point the config vars to it", About: "A new release; the database keeps its name", Downtime: true, Do: (*upgrader).promote},
		{Name: "prove", Title: "Prove that nothing is missing", About: "The new timeline begins where the old one ends, to the byte", Do: (*upgrader).prove},
		{Name: "repoint_followers", Title: "Re-point the followers", About: "One that cannot come along is made anew", Do: (*upgrader).repointFollowers},
		{Name: "start_old_server", Title: "Start the old server as a follower", About: "For 24 hours, so that you can switch back", Do: (*upgrader).startOldServer},
		{Name: "refresh_statistics", Title: "Refresh the statistics", About: "ANALYZE; the app does not wait for it", Do: (*upgrader).refreshStatistics},
	}
}

// upgrader is the state of one attempt to put a server in another's place.
type upgrader struct {
	*switcher
	maintenance platform.Maintenance
	marker      platform.LSN // written on the new server after the switch, by this attempt
}

func (j *Jobs) newUpgrader(ctx context.Context, a *workflow.Attempt) (*upgrader, error) {
	m, err := db.MaintenanceOf(ctx, j.Pool, a.Operation.ID)
	if err != nil {
		return nil, err
	}
	facts, err := db.ChangeoverOf(ctx, j.Pool, a.Operation.ID)
	if err != nil {
		return nil, err
	}
	r, err := db.ReplacementOf(ctx, j.Pool, a.Operation.ID)
	if err != nil {
		return nil, err
	}
	d, err := db.DatabaseByID(ctx, j.Pool, a.Operation.DatabaseID)
	if err != nil {
		return nil, err
	}
	old, err := j.on(ctx, j.Pool, place{Database: d, Called: "the old server of " + d.Name}, r.OldServerID)
	if err != nil {
		return nil, err
	}
	old.Plan = old.Server.Plan
	maker, err := j.newReplacementMaker(ctx, a, d, old)
	if err != nil {
		return nil, err
	}
	u := &upgrader{switcher: &switcher{followerMaker: maker, old: old, facts: facts}, maintenance: m}
	u.takeOver, u.movingPools, u.accepts = u.putInPlace, u.poolsOfDatabase, "point_config_vars"
	moves, err := db.FollowerMoves(ctx, j.Pool, a.Operation.ID)
	if err != nil {
		return nil, err
	}
	if err := u.wantSlots(ctx, moves); err != nil {
		return nil, err
	}
	return u, u.goOn(ctx)
}

// wantSlots says for whom slots are made on the candidate: the followers that
// move, and the old server, which follows it afterwards.
func (u *upgrader) wantSlots(ctx context.Context, moves []db.FollowerMove) error {
	u.slots = []string{u.old.slot()}
	for _, move := range moves {
		follower, err := u.j.place(ctx, u.j.Pool, move.DatabaseID)
		if err != nil {
			return err
		}
		u.slots = append(u.slots, follower.slot())
	}
	return nil
}

func (u *upgrader) check(ctx context.Context) error {
	facts, err := u.j.readFacts(ctx, u.old)
	if err != nil {
		return err
	}
	if err := u.j.Catalogue.UpgradePlan(u.old.Plan, u.it.Plan, facts.DataBytes, facts.Connections); err != nil {
		return err
	}
	checks, err := u.j.preflight(ctx, u.old, nil, u.it.Plan)
	if err != nil {
		return err
	}
	return u.judge(checks)
}

// readFacts reads the figures of a server now.
func (j *Jobs) readFacts(ctx context.Context, p place) (facts postgres.Facts, err error) {
	err = j.withConn(ctx, p, func(conn *pgx.Conn) error {
		facts, err = postgres.ReadFacts(ctx, conn)
		return err
	})
	return facts, err
}

// judge gives up where a finding stops, else says how many there are.
func (c *switcher) judge(checks []platform.Check) error {
	fine, know := 0, 0
	for _, check := range checks {
		switch check.State {
		case platform.CheckStop:
			return workflow.Abort("%s: %s", check.Title, check.Detail)
		case platform.CheckKnow:
			know++
		default:
			fine++
		}
	}
	c.Detail("%d fine, %d to know", fine, know)
	return nil
}

// putInPlace makes the candidate the database: its config vars, its plan and
// what it costs follow. It may run again.
func (u *upgrader) putInPlace(ctx context.Context, tx pgx.Tx) (release int, err error) {
	d := u.old.Database
	if err := db.SetServerLeader(ctx, tx, u.it.Server.ID, nil); err != nil {
		return 0, err
	}
	// One that was kept for switching back is the database again.
	if err := db.ForgetKeptServer(ctx, tx, u.it.Server.ID); err != nil {
		return 0, err
	}
	if err := db.SetDatabaseServer(ctx, tx, d.ID, &u.it.Server.ID); err != nil {
		return 0, err
	}
	if err := db.SetDatabasePlan(ctx, tx, d.ID, u.it.Plan.Name); err != nil {
		return 0, err
	}
	// Until its first checkpoint on the new timeline it is a fresh fork.
	if err := db.SetDatabaseForkReady(ctx, tx, d.ID, false); err != nil {
		return 0, err
	}
	if err := db.ChangeBilledPlan(ctx, tx, d.ID, u.it.Plan); err != nil {
		return 0, err
	}
	return db.ReleaseMoved(ctx, tx, d.ID, d.AppID, u.maintenance.Title()+" of "+d.Name, u.Operation.RequestedBy, u.Operation.ID)
}

func (u *upgrader) refreshStatistics(ctx context.Context) error {
	err := u.j.withConn(ctx, u.it, func(conn *pgx.Conn) error { return postgres.Checkpoint(ctx, conn) })
	if err != nil {
		return err
	}
	if err := u.InTx(ctx, func(tx pgx.Tx) error { return db.SetDatabaseForkReady(ctx, tx, u.it.Database.ID, true) }); err != nil {
		return err
	}
	return u.switcher.refreshStatistics(ctx)
}

func (u *upgrader) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	u.held = false // whatever was held went on; no guardian outlives its operation
	op, err := db.OperationByID(ctx, tx, u.Operation.ID)
	if err != nil {
		return err
	}
	m, err := db.MaintenanceOf(ctx, tx, u.Operation.ID)
	if err != nil {
		return err
	}
	facts, err := db.ChangeoverOf(ctx, tx, u.Operation.ID)
	if err != nil {
		return err
	}
	now := u.j.Now()
	switch {
	case state == platform.OperationCompleted:
		if err := db.EndMaintenance(ctx, tx, m.ID, platform.MaintenanceCompleted, now, facts.OutageMS, ""); err != nil {
			return err
		}
		return u.noticeDone(ctx, tx, m, facts)
	case op.CancelRequestedBy != "":
		if err := db.EndMaintenance(ctx, tx, m.ID, platform.MaintenanceCancelled, now, nil, u.Reason()); err != nil {
			return err
		}
		return notify(ctx, tx, u.Attempt, platform.NoticeMaintenanceCancelled, "Cancelled: "+m.Title()+" of "+m.DatabaseName,
			fmt.Sprintf("%s of %s was cancelled by %s. %s is on %s as before, and its config vars were not changed.%s", m.Title(), m.DatabaseName, op.CancelRequestedBy, m.DatabaseName, m.FromPlan, u.whatBecame(m)))
	}
	if err := db.EndMaintenance(ctx, tx, m.ID, platform.MaintenanceFailed, now, facts.OutageMS, u.Reason()); err != nil {
		return err
	}
	return notify(ctx, tx, u.Attempt, platform.NoticeMaintenanceFailed, "Failed: "+m.Title()+" of "+m.DatabaseName,
		fmt.Sprintf("%s of %s was put back. It writes to the same server as before, on %s, and its config vars were not changed.\n\nWhy. %s%s\n\nWhat to do. When the reason is gone, start it again from the page of %s.",
			m.Title(), m.DatabaseName, m.FromPlan, u.Reason(), u.whatBecame(m), m.DatabaseName))
}

// whatBecame says what happened to the candidate of a switch that was not made.
func (u *upgrader) whatBecame(m platform.Maintenance) string {
	if m.Kind == platform.MaintenanceSwitchBack {
		return ""
	}
	return "\n\nWhat it means. The replacement is destroyed; nothing was billed for it."
}

func (u *upgrader) noticeDone(ctx context.Context, tx pgx.Tx, m platform.Maintenance, facts db.Changeover) error {
	moves, err := db.FollowerMoves(ctx, tx, u.Operation.ID)
	if err != nil {
		return err
	}
	n, followers := countMoves(moves), ""
	if len(moves) > 0 {
		followers = fmt.Sprintf("\n\nFollowers. %d of %d follow the new server, under their names and config vars.", n.follow, len(moves))
	}
	are := func(n int) string { return map[bool]string{true: "1 is", false: fmt.Sprintf("%d are", n)}[n == 1] }
	if n.anew > 0 {
		followers += fmt.Sprintf(" %s made anew; a notice says when it is there.", are(n.anew))
	}
	if n.left > 0 {
		followers += fmt.Sprintf(" %s left as it was, since it takes writes of its own: save what was written there, then destroy it.", are(n.left))
	}
	kept := "\n\nWhat to do. Nothing."
	if m.KeptUntil != nil {
		kept = fmt.Sprintf("\n\nWhat to do. Nothing. The old server follows the new one until %s and costs nothing; until then you can switch back to it, losing nothing.", platform.MomentUTC(*m.KeptUntil))
	}
	return notify(ctx, tx, u.Attempt, platform.NoticeMaintenanceDone, "Completed: "+m.Title()+" of "+m.DatabaseName,
		fmt.Sprintf("%s is on %s now, under the same name and attachments; its config vars point to the new server. The time in which writes were refused %s%s%s%s",
			m.DatabaseName, m.ToPlan, outageWords(facts), proofWords("server", facts), followers, kept), switchFigures(facts)...)
}
