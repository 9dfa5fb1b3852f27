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

// keepOldServer is how long an upgrade can be switched back.
const keepOldServer = 24 * time.Hour

// startOldServer makes the old server a follower of the new one. It was stopped
// cleanly and the new timeline begins at the very end of its WAL, so it needs no
// rewind. It is kept for a day, so that one can switch back losing nothing.
func (u *upgrader) startOldServer(ctx context.Context) error {
	if err := u.setRight(ctx); err != nil {
		return err
	}
	if kept, err := u.oldServerFollows(ctx); err != nil || !kept {
		return err
	}
	if err := u.dropLeftSlots(ctx); err != nil {
		return err
	}
	until := u.j.Now().Add(keepOldServer)
	u.Detail("It follows the new server and is kept until %s; nothing is billed for it", platform.MomentUTC(until))
	return u.InTx(ctx, func(tx pgx.Tx) error {
		if err := db.SetServerLeader(ctx, tx, u.old.Server.ID, &u.it.Server.ID); err != nil {
			return err
		}
		return db.KeepOldServer(ctx, tx, u.Operation.ID, until)
	})
}

// oldServerFollows starts the old server and waits for the proof that it follows
// the new one. One that cannot is of no use any more: it is removed, and the
// step's detail says so.
func (u *upgrader) oldServerFollows(ctx context.Context) (kept bool, err error) {
	server, err := db.ServerByID(ctx, u.j.Pool, u.old.Server.ID)
	if err != nil || server.DestroyedAt != nil {
		return false, err
	}
	if err := u.writeMarker(ctx); err != nil {
		return false, err
	}
	// The mark in the control database stays until it runs as a follower: until
	// then whoever else starts it starts it fenced, without a leader.
	follower := u.old
	follower.Server.Fenced = false
	r := &repointed{place: follower}
	u.follow(ctx, r)
	r.givesUp(u.StartedAt("start_old_server"), u.j.FollowerPatience)
	switch {
	case isStale(r.err), r.writable: // the second is for a person
		return false, r.err
	case r.broken != "":
		return false, u.removeOldServer(ctx, r.broken)
	case r.err != nil:
		return false, workflow.Wait(200*time.Millisecond, "%v", r.err)
	}
	return true, u.InTx(ctx, func(tx pgx.Tx) error { return markServer(ctx, tx, u.old, false, platform.ServerRunning) })
}

// dropLeftSlots drops what is left on the old server from its time as the
// leader: nobody streams through those any more, and each keeps WAL for ever.
func (u *upgrader) dropLeftSlots(ctx context.Context) error {
	return u.j.withConn(ctx, u.old, func(conn *pgx.Conn) error { return postgres.DropUnusedSlots(ctx, conn, slotPrefix) })
}

// removeOldServer is for an old server that cannot follow, and so is not kept.
func (u *upgrader) removeOldServer(ctx context.Context, why string) error {
	u.Log.Warn("the old server cannot follow the new one and is removed", "server", u.old.Server.ID, "why", why)
	if err := u.j.Engine.Destroy(ctx, u.Epoch, u.old.Server); err != nil {
		return err
	}
	if err := u.j.dropSlot(ctx, u.Epoch, u.it, u.old.slot()); err != nil {
		return err
	}
	u.Detail("It is removed, since it could not follow the new server (%s); one cannot switch back", why)
	return u.InTx(ctx, func(tx pgx.Tx) error { return db.SetServerDestroyed(ctx, tx, u.old.Server.ID) })
}
