package jobs

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

func (j *Jobs) preflight(ctx context.Context, leader place, followerID *int64, plan platform.Plan) (checks []platform.Check, err error) {
	if !leader.exists() {
		return nil, platform.Conflict("%s has no server yet. Wait until it is available.", leader.Database.Name)
	}
	reading, err := db.ReadingOf(ctx, j.Pool, leader.Database.ID)
	if err != nil {
		return nil, err
	}
	target := postgres.Target{Plan: plan, WALBytesPerSecond: reading.WALBytesPerS}
	zone := j.zoneAwayFrom(leader.Server.Zone)
	var follower place
	if followerID != nil {
		if follower, err = j.place(ctx, j.Pool, *followerID); err != nil {
			return nil, err
		}
		zone = follower.Server.Zone
		target.Slot = follower.slot()
	}
	if target.FreeBytes, target.TotalBytes, err = j.Engine.Disk(zone); err != nil {
		return nil, err
	}
	err = j.withConn(ctx, leader, func(leaderConn *pgx.Conn) error {
		if followerID == nil {
			checks, err = postgres.Preflight(ctx, leaderConn, nil, target)
			return err
		}
		return j.withConn(ctx, follower, func(followerConn *pgx.Conn) error {
			checks, err = postgres.Preflight(ctx, leaderConn, followerConn, target)
			return err
		})
	})
	return checks, err
}
