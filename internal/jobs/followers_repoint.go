package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// repointed is what one look at a follower found.
type repointed struct {
	place
	move db.FollowerMove
	// broken is why it cannot follow the new server, and must be made anew.
	broken string
	// writable is set where it takes writes, or has taken some: what is written
	// there is nowhere else, so it is never removed without a person.
	writable bool
	err      error
}

// givesUp makes broken what did not come within the patience there is.
func (r *repointed) givesUp(since *time.Time, patience time.Duration) {
	if r.broken == "" && r.err != nil && !r.writable && since != nil && time.Since(*since) > patience {
		r.broken = r.err.Error()
	}
}

// repointFollowers restarts every follower so that it streams from the new
// server, and waits until each is proven to: it streams, on the new timeline,
// and has replayed what was written there after the switch (safety 2). One that
// does not come is made anew by an operation of its own.
func (u *upgrader) repointFollowers(ctx context.Context) error {
	moves, err := db.FollowerMoves(ctx, u.j.Pool, u.Operation.ID)
	if err != nil {
		return err
	}
	var waiting []*repointed
	for _, move := range moves {
		if move.State != db.FollowerWaiting {
			continue
		}
		follower, err := u.j.place(ctx, u.j.Pool, move.DatabaseID)
		if err != nil {
			return err
		}
		waiting = append(waiting, &repointed{place: follower, move: move})
	}
	if len(moves) == 0 {
		u.Detail("It has none")
		return nil
	}
	if err := u.writeMarker(ctx); err != nil {
		return err
	}
	var all sync.WaitGroup
	for _, r := range waiting {
		all.Go(func() { u.repoint(ctx, r) })
	}
	all.Wait()
	since := u.StartedAt("repoint_followers")
	left, why := 0, ""
	for _, r := range waiting {
		if isStale(r.err) {
			return r.err
		}
		r.givesUp(since, u.j.FollowerPatience)
		switch {
		case r.writable:
			if err := u.leave(ctx, r); err != nil {
				return err
			}
		case r.broken != "":
			if err := u.recreate(ctx, r); err != nil {
				return err
			}
		case r.err != nil:
			left++
			why = r.Database.Name + ": " + r.err.Error()
		}
	}
	if left > 0 {
		return workflow.Wait(200*time.Millisecond, "%d of %d follow. %s", len(moves)-left, len(moves), why)
	}
	return u.describeFollowers(ctx)
}

// writeMarker writes the record that proves a follower.
func (u *upgrader) writeMarker(ctx context.Context) error {
	if u.marker != 0 {
		return nil
	}
	candidate, err := u.candidateConn(ctx)
	if err != nil {
		return err
	}
	u.marker, err = postgres.Marker(ctx, candidate)
	return u.lost(err)
}

// repoint makes one follower follow the new server, and records when it does.
// One that somebody has made writable is not touched.
func (u *upgrader) repoint(ctx context.Context, r *repointed) {
	status, err := u.j.Engine.Status(ctx, r.Server)
	if err != nil {
		r.err = err
		return
	}
	if state := status.Control.State; state == engine.InProduction || state == engine.ShutDown {
		r.writable, r.err = true, fmt.Errorf("its control file says %q, so it has left recovery", state)
		return
	}
	if u.follow(ctx, r); r.err == nil && r.broken == "" {
		r.err = u.follows(ctx, r)
	}
}

// follow restarts a server, if it does not follow the new one yet, and looks
// whether it is proven to: neither err nor broken is set then.
func (u *upgrader) follow(ctx context.Context, r *repointed) {
	err := u.j.Engine.Follow(ctx, u.Epoch, r.Server, u.it.Server, r.slot())
	if err == nil {
		err = u.j.Engine.Start(ctx, u.Epoch, r.Server)
	}
	var start *engine.StartError
	switch {
	case errors.As(err, &start), platform.KindOf(err) == platform.KindConflict:
		r.broken = fmt.Sprintf("It did not start: %v", err)
		return
	case err != nil:
		r.err = err
		return
	}
	var proof postgres.FollowerProof
	var lost bool
	err = u.j.withConn(ctx, u.it, func(leader *pgx.Conn) error {
		return u.j.withConn(ctx, r.place, func(follower *pgx.Conn) error {
			var err error
			if proof, err = postgres.ProveFollower(ctx, leader, follower, r.slot(), u.marker); err != nil {
				return err
			}
			slot, found, err := postgres.SlotState(ctx, leader, r.slot())
			lost = !found || slot.Invalidated
			return err
		})
	})
	switch {
	case errors.Is(err, postgres.ErrNotInRecovery):
		// Two leaders: nothing may be guessed here.
		r.writable, r.err = true, fmt.Errorf("%s came up writable and was stopped again (%v)", r.name(), u.j.Engine.Stop(ctx, u.Epoch, r.Server))
	case err != nil:
		r.err = err
	case lost:
		r.broken = "WAL that it needed is gone."
	case !proof.Proven():
		r.err = errors.New(proof.Missing())
	}
}

// follows records that the follower is proven to follow the new server. One
// whose plan no longer holds the data is made anew on one that does.
func (u *upgrader) follows(ctx context.Context, r *repointed) error {
	facts, err := u.j.readFacts(ctx, u.it)
	if err != nil {
		return err
	}
	if facts.DataBytes > r.Plan.StorageBytes {
		// It stays one that waits, so that an attempt that ends here is followed by
		// one that makes it anew.
		r.broken = fmt.Sprintf("%s holds %s and the data is %s.", r.Plan.Name, platform.Bytes(r.Plan.StorageBytes), platform.Bytes(facts.DataBytes))
	} else {
		r.move.State, r.move.Detail = db.FollowerFollowing, "It streams from the new server and has replayed what was written there since"
	}
	return u.InTx(ctx, func(tx pgx.Tx) error {
		if err := db.SetServerLeader(ctx, tx, r.Server.ID, &u.it.Server.ID); err != nil {
			return err
		}
		return db.SaveFollowerMove(ctx, tx, r.move)
	})
}

// leave keeps a follower that has taken writes as it is. It keeps nobody waiting:
// a person has to look at it, whenever that is.
func (u *upgrader) leave(ctx context.Context, r *repointed) error {
	detail := "It takes writes of its own and is left as it is: " + r.err.Error()
	if r.move.Detail == detail {
		return nil
	}
	u.Log.Error("a follower has left recovery and is not made to follow the new server", "database", r.Database.ID, "why", r.err)
	r.move.Detail = detail
	return u.InTx(ctx, func(tx pgx.Tx) error { return db.SaveFollowerMove(ctx, tx, r.move) })
}

// recreate starts the operation that makes the follower anew, and gives it over.
func (u *upgrader) recreate(ctx context.Context, r *repointed) error {
	facts, err := u.j.readFacts(ctx, u.it)
	if err != nil {
		return err
	}
	plan := r.Plan
	if facts.DataBytes > plan.StorageBytes {
		if larger, ok := u.j.Catalogue.SmallestHolding(plan.Tier.Name, facts.DataBytes); ok {
			plan = larger
		}
	}
	u.Log.Warn("a follower cannot follow the new server and is made anew", "database", r.Database.ID, "why", r.broken)
	return u.InTx(ctx, func(tx pgx.Tx) error {
		moves, err := db.FollowerMoves(ctx, tx, u.Operation.ID)
		if err != nil {
			return err
		}
		for _, move := range moves {
			if move.DatabaseID == r.Database.ID && move.RecreationID != nil {
				return nil
			}
		}
		if err := db.GiveBackClaim(ctx, tx, u.Operation, r.Database.ID); err != nil {
			return err
		}
		op, err := u.j.startRecreation(ctx, tx, u.Operation.RequestedBy, r.Database, r.Server.ID, plan)
		if err != nil {
			return err
		}
		r.move.State, r.move.Detail, r.move.RecreationID = db.FollowerRecreating, r.broken, &op.ID
		return db.SaveFollowerMove(ctx, tx, r.move)
	})
}

func (u *upgrader) describeFollowers(ctx context.Context) error {
	moves, err := db.FollowerMoves(ctx, u.j.Pool, u.Operation.ID)
	if err != nil {
		return err
	}
	n := countMoves(moves)
	switch {
	case n.follow == len(moves):
		u.Detail("%s the new server", map[bool]string{true: "The follower follows", false: fmt.Sprintf("All %d follow", n.follow)}[n.follow == 1])
	case n.left > 0:
		u.Detail("%d of %d follow the new server, %d made anew, %d left writable: look at what was written there", n.follow, len(moves), n.anew, n.left)
	default:
		u.Detail("%d of %d follow the new server, the others are made anew", n.follow, len(moves))
	}
	return nil
}

// moveCount is what became of a leader's followers.
type moveCount struct{ follow, anew, left int }

func countMoves(moves []db.FollowerMove) (n moveCount) {
	for _, move := range moves {
		switch {
		case move.RecreationID != nil:
			n.anew++
		case move.State == db.FollowerFollowing:
			n.follow++
		default:
			n.left++
		}
	}
	return n
}
