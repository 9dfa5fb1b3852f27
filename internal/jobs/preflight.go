package jobs

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// Preflight is the dry look before a switch from a leader to a follower, or to a
// new one on plan when followerID is nil.
func (j *Jobs) Preflight(ctx context.Context, leaderID int64, followerID *int64, plan platform.Plan) ([]platform.Check, error) {
	leader, err := j.place(ctx, j.Pool, leaderID)
	if err != nil {
		return nil, err
	}
	if followerID == nil {
		return j.preflight(ctx, leader, nil, plan)
	}
	follower, err := j.place(ctx, j.Pool, *followerID)
	if err != nil {
		return nil, err
	}
	return j.preflight(ctx, leader, &follower, plan)
}

func (j *Jobs) preflight(ctx context.Context, leader place, follower *place, plan platform.Plan) (checks []platform.Check, err error) {
	if !leader.exists() {
		return nil, platform.Conflict("%s has no server yet. Wait until it is available.", leader.Database.Name)
	}
	reading, err := db.ReadingOf(ctx, j.Pool, leader.Database.ID)
	if err != nil {
		return nil, err
	}
	target := postgres.Target{Plan: plan, WALBytesPerSecond: reading.WALBytesPerS}
	zone := j.zoneAwayFrom(leader.Server.Zone)
	if follower != nil {
		zone = follower.Server.Zone
		target.Slot = follower.slot()
	}
	if target.FreeBytes, target.TotalBytes, err = j.Engine.Disk(zone); err != nil {
		return nil, err
	}
	err = j.withConn(ctx, leader, func(leaderConn *pgx.Conn) error {
		if follower == nil {
			checks, err = postgres.Preflight(ctx, leaderConn, nil, target)
			return err
		}
		return j.withConn(ctx, *follower, func(followerConn *pgx.Conn) error {
			checks, err = postgres.Preflight(ctx, leaderConn, followerConn, target)
			return err
		})
	})
	return checks, err
}
