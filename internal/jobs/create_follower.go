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

// createFollower makes a read-only streaming copy of a leader.
var createFollower = []workflow.Step[*followerMaker]{
	{Name: "check", Title: "Check before starting", Do: (*followerMaker).check, Undo: (*followerMaker).forgetUnmade},
	{Name: "reserve_server", Title: "Reserve a port and a place on disk", Do: (*followerMaker).reserveServer, Undo: (*followerMaker).discard},
	{Name: "copy_leader", Title: "Copy the leader", Do: (*followerMaker).copyLeader},
	{Name: "start_follower", Title: "Start the follower", Do: (*followerMaker).startFollower},
	{Name: "attach", Title: "Set the config var", Do: (*followerMaker).attach},
	{Name: "wait_until_caught_up", Title: "Wait until it has caught up", Do: (*followerMaker).waitUntilCaughtUp},
}

// followerMaker makes a follower of a leader; a changeover that needs a new one
// runs the same steps.
type followerMaker struct {
	*databaseMaker
	leader place
	// replaces is set where it is made in order to take the place of another
	// server of the same database; nil for a new database.
	replaces *db.Replacement
	// firstCommits is how far behind the follower was when first seen, for the page.
	firstCommits int64
}

func (j *Jobs) newCreateFollower(ctx context.Context, a *workflow.Attempt) (*followerMaker, error) {
	it, err := j.place(ctx, j.Pool, a.Operation.DatabaseID)
	if err != nil {
		return nil, err
	}
	return j.newFollowerMaker(ctx, a, it)
}

func (j *Jobs) newFollowerMaker(ctx context.Context, a *workflow.Attempt, it place) (*followerMaker, error) {
	m := &followerMaker{databaseMaker: &databaseMaker{a, j, it}}
	if it.Database.FollowingID == nil {
		return m, nil // a changeover that has already made it a leader
	}
	leader, err := j.place(ctx, j.Pool, *it.Database.FollowingID)
	m.leader = leader
	return m, err
}

// isMade is whether the follower runs already: nothing is left to make.
func (m *followerMaker) isMade() bool { return m.it.State == platform.ServerRunning }

func (m *followerMaker) check(ctx context.Context) error {
	return m.j.withConn(ctx, m.leader, func(conn *pgx.Conn) error {
		facts, err := postgres.ReadFacts(ctx, conn)
		if err != nil {
			return err
		}
		if facts.InRecovery {
			return workflow.Abort("%s is in recovery, so it cannot be followed. Look at its page for why.", m.leader.Database.Name)
		}
		if err := m.j.Catalogue.FollowerPlan(m.leader.Plan, m.it.Plan, facts.DataBytes); err != nil {
			return err
		}
		m.Detail("%s of data, %s holds %s", platform.Bytes(facts.DataBytes), m.it.Plan.Name, platform.Bytes(m.it.Plan.StorageBytes))
		return nil
	})
}

func (m *followerMaker) reserveServer(ctx context.Context) error {
	if m.it.exists() {
		m.Detail("Port %d in zone %s", m.it.Server.Port, m.it.Server.Zone)
		return nil
	}
	var need int64
	err := m.j.withConn(ctx, m.leader, func(conn *pgx.Conn) error {
		facts, err := postgres.ReadFacts(ctx, conn)
		need = facts.DataBytes
		return err
	})
	if err != nil {
		return err
	}
	zone, err := db.WantedZone(ctx, m.j.Pool, m.it.Database.ID)
	if err != nil {
		return err
	}
	if zone == "" {
		zone = m.j.zoneAwayFrom(m.leader.Server.Zone)
	}
	return m.reserveIn(ctx, zone, need)
}

// zoneAwayFrom is another zone than taken wherever there is more than one.
func (j *Jobs) zoneAwayFrom(taken string) string {
	zones := j.Engine.Zones()
	for _, zone := range zones {
		if zone != taken {
			return zone
		}
	}
	return zones[0]
}

func (m *followerMaker) copyLeader(ctx context.Context) error {
	if m.isMade() {
		m.Detail("%s was made already", m.it.name())
		return nil
	}
	if err := m.j.revive(ctx, m.Epoch, m.leader); err != nil {
		return err
	}
	if err := m.j.Engine.Copy(ctx, m.Epoch, m.it.Server, m.leader.Server, m.it.slot()); err != nil {
		return err
	}
	progress, err := m.j.Engine.CopyProgress(ctx, m.it.Server)
	if err != nil {
		return err
	}
	switch {
	case progress.Done:
		m.Detail("%s copied", platform.Bytes(progress.CopiedBytes))
		return nil
	case progress.Running:
		if m.replaces == nil { // the row is the database's, and so of the server that is it now
			if err := db.SetCopyProgress(ctx, m.j.Pool, m.it.Database.ID, progress.CopiedBytes, progress.TotalBytes); err != nil {
				return err
			}
		}
		return workflow.Wait(300*time.Millisecond, "%s of %s", platform.Bytes(progress.CopiedBytes), platform.Bytes(progress.TotalBytes))
	case progress.Failure != "":
		return workflow.Abort("The copy of %s ended early: %s", m.leader.name(), progress.Failure)
	}
	return fmt.Errorf("the copy is not running and has not said why")
}

func (m *followerMaker) startFollower(ctx context.Context) error {
	if m.isMade() {
		return nil
	}
	if err := m.j.Engine.Follow(ctx, m.Epoch, m.it.Server, m.leader.Server, m.it.slot()); err != nil {
		return err
	}
	if err := m.j.Engine.Start(ctx, m.Epoch, m.it.Server); err != nil {
		return err
	}
	m.Detail("It streams from port %d", m.leader.Server.Port)
	err := m.InTx(ctx, func(tx pgx.Tx) error {
		if err := db.SetServerLeader(ctx, tx, m.it.Server.ID, &m.leader.Server.ID); err != nil {
			return err
		}
		return db.SetServerState(ctx, tx, m.it.Server.ID, platform.ServerRunning)
	})
	if err == nil {
		m.it.State = platform.ServerRunning
	}
	return err
}

func (m *followerMaker) attach(ctx context.Context) error {
	if m.it.Database.State == platform.DatabaseAvailable {
		return nil // an existing follower of a changeover
	}
	return m.attachAs(ctx, false)
}

// waitUntilCaughtUp makes the follower readable once it has caught up.
func (m *followerMaker) waitUntilCaughtUp(ctx context.Context) error {
	if err := m.caughtUp(ctx); err != nil {
		return err
	}
	return m.InTx(ctx, func(tx pgx.Tx) error {
		return db.SetDatabaseReadable(ctx, tx, m.it.Database.ID)
	})
}

// caughtUp waits for at most 200 commits behind, and for the follower to stream:
// a server that has stopped streaming can look near for a while.
func (m *followerMaker) caughtUp(ctx context.Context) error {
	gap, err := m.gap(ctx)
	if err != nil {
		return err
	}
	m.firstCommits = max(m.firstCommits, gap.commits)
	switch {
	case !gap.streaming:
		return workflow.Wait(500*time.Millisecond, "It is not streaming yet; %s behind", platform.Bytes(gap.bytes))
	case gap.commits > platform.CaughtUpCommits:
		return workflow.Wait(300*time.Millisecond, "%d commits, %s behind; %d is near enough", gap.commits, platform.Bytes(gap.bytes), platform.CaughtUpCommits)
	}
	m.Detail("From %d to %d commits behind; %d is near enough", m.firstCommits, gap.commits, platform.CaughtUpCommits)
	return nil
}

type gap struct {
	commits, bytes int64
	streaming      bool
}

// gap asks both servers how far apart they are now.
func (m *followerMaker) gap(ctx context.Context) (gap, error) {
	var g gap
	for _, p := range []place{m.leader, m.it} {
		if err := m.j.revive(ctx, m.Epoch, p); err != nil {
			return g, err
		}
	}
	err := m.j.withConn(ctx, m.leader, func(leader *pgx.Conn) error {
		return m.j.withConn(ctx, m.it, func(follower *pgx.Conn) error {
			at, err := postgres.LeaderPosition(ctx, leader)
			if err != nil {
				return err
			}
			replayed, err := postgres.FollowerPosition(ctx, follower)
			if err != nil {
				return err
			}
			g.streaming = replayed.Streaming
			g.commits, g.bytes = postgres.Behind(at, replayed)
			return nil
		})
	})
	return g, err
}

// forgetUnmade ends a follower of which nothing was reserved yet: its row was
// made when the operation was started.
func (m *followerMaker) forgetUnmade(ctx context.Context) error {
	it, err := m.j.place(ctx, m.j.Pool, m.it.Database.ID)
	if err != nil || it.exists() || it.Database.State != platform.DatabaseCreating {
		return err
	}
	return m.InTx(ctx, func(tx pgx.Tx) error { return m.forget(ctx, tx) })
}

// discard drops the slot, too: one left on the leader would keep its WAL for ever.
func (m *followerMaker) discard(ctx context.Context) error {
	if m.it.exists() {
		if err := m.j.Engine.Destroy(ctx, m.Epoch, m.it.Server); err != nil {
			return fmt.Errorf("remove the follower: %w", err)
		}
		if m.leader.exists() {
			if err := m.j.dropSlot(ctx, m.Epoch, m.leader, m.it.slot()); err != nil {
				return fmt.Errorf("drop the follower's slot: %w", err)
			}
		}
	}
	return m.InTx(ctx, func(tx pgx.Tx) error { return m.forget(ctx, tx) })
}

func (m *followerMaker) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	d, leader := m.it.Database, m.leader.Database
	if state == platform.OperationUndone {
		return notify(ctx, tx, m.Attempt, platform.NoticeCreateFailed, "Not created: follower "+d.Name,
			fmt.Sprintf("The follower %s of %s was not created, and everything made for it was removed.\n\nWhy. %s\n\nWhat to do. Open the operation and try again when the reason is gone.", d.Name, leader.Name, m.Reason()))
	}
	return notify(ctx, tx, m.Attempt, platform.NoticeFollowerReady, "Follower ready: "+d.Name,
		fmt.Sprintf("%s follows %s and can be read. It costs %s.", d.Name, leader.Name, m.it.Plan.Price()))
}
