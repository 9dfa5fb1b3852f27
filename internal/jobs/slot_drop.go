package jobs

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// dropSlot removes a slot on leader; gone already is fine. A leader that is
// down is started first: a slot that stays keeps its WAL for ever. One that does
// not start must not keep its follower from going: tidySlots has it later.
func (j *Jobs) dropSlot(ctx context.Context, epoch int64, leader place, slot string) error {
	status, err := j.Engine.Status(ctx, leader.Server)
	if err != nil || !status.Exists {
		return err
	}
	if !status.Running {
		server, err := db.ServerByID(ctx, j.Pool, leader.Server.ID)
		if err != nil {
			return err
		}
		if server.State != platform.ServerRunning {
			return fmt.Errorf("%s is stopped for the moment; its slot %s is dropped when it runs", leader.Database.Name, slot)
		}
		if err := j.Engine.Start(ctx, epoch, leader.Server); err != nil {
			if isStale(err) {
				return err
			}
			j.Log.Error("a slot was left on a server that does not start", "server", leader.Server.ID, "slot", slot, "error", err)
			return nil
		}
	}
	return j.withConn(ctx, leader, func(conn *pgx.Conn) error { return postgres.DropSlot(ctx, conn, slot) })
}

// tidySlots drops what dropSlot had to leave on a server that was down: slots of
// servers that are destroyed.
func (j *Jobs) tidySlots(ctx context.Context, server engine.Server) error {
	conn, err := pgx.ConnectConfig(ctx, j.Engine.Admin(server, "postgres"))
	if err != nil {
		return err
	}
	defer closeSoon(conn)
	rows, err := conn.Query(ctx, `select slot_name from pg_replication_slots where slot_name like 'follower\_%' and not active`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		id, err := strconv.ParseInt(strings.TrimPrefix(name, "follower_"), 10, 64)
		if err != nil {
			continue // not one of ours
		}
		follower, err := db.ServerByID(ctx, j.Pool, id)
		if err != nil && platform.KindOf(err) != platform.KindNotFound {
			return err
		}
		if err == nil && follower.DestroyedAt != nil {
			if err := postgres.DropSlot(ctx, conn, name); err != nil {
				return err
			}
		}
	}
	return nil
}
