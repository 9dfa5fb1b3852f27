package jobs

import (
	"context"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// newReplacementMaker makes a server that is to take the place of the one that
// the database is now. leader is whom it is copied from: that same server, or a
// follower's leader.
func (j *Jobs) newReplacementMaker(ctx context.Context, a *workflow.Attempt, d platform.Database, leader place) (*followerMaker, error) {
	r, err := db.ReplacementOf(ctx, j.Pool, a.Operation.ID)
	if err != nil {
		return nil, err
	}
	it := place{Database: d, Called: "the replacement of " + d.Name}
	if it.Plan, err = j.Catalogue.Plan(r.Plan); err != nil {
		return nil, err
	}
	if r.ServerID != nil {
		if it, err = j.on(ctx, j.Pool, it, *r.ServerID); err != nil {
			return nil, err
		}
	}
	return &followerMaker{databaseMaker: &databaseMaker{a, j, it}, leader: leader, replaces: &r}, nil
}

// reserveReplacement takes a port for the new server, in the zone of the one it
// replaces: that is how followers stay away from their leader.
func (m *followerMaker) reserveReplacement(ctx context.Context) error {
	if m.it.exists() {
		m.Detail("Port %d in zone %s", m.it.Server.Port, m.it.Server.Zone)
		return nil
	}
	old, err := db.ServerByID(ctx, m.j.Pool, m.replaces.OldServerID)
	if err != nil {
		return err
	}
	var need int64
	err = m.j.withConn(ctx, m.leader, func(conn *pgx.Conn) error {
		facts, err := postgres.ReadFacts(ctx, conn)
		need = facts.DataBytes
		return err
	})
	if err != nil {
		return err
	}
	if err := m.j.roomFor(old.Zone, need); err != nil {
		return err
	}
	var id int64
	err = m.InTx(ctx, func(tx pgx.Tx) error {
		taken, err := db.TakenPorts(ctx, tx)
		if err != nil {
			return err
		}
		port, err := m.j.Engine.FreePort(taken)
		if err != nil {
			return err
		}
		server, err := db.CreateServer(ctx, tx, db.NewServer{DatabaseID: m.it.Database.ID, Zone: old.Zone, Port: port, Major: old.Major, Plan: m.it.Plan.Name})
		if err != nil {
			return err
		}
		id = server.ID
		return db.SetReplacementServer(ctx, tx, m.Operation.ID, &id)
	})
	if err != nil {
		return err
	}
	m.it, err = m.j.on(ctx, m.j.Pool, m.it, id)
	m.Detail("Port %d in zone %s", m.it.Server.Port, m.it.Server.Zone)
	return err
}

// discardReplacement removes the new server as if it had never been: its files,
// its port, and its slot on the leader.
func (m *followerMaker) discardReplacement(ctx context.Context) error {
	if !m.it.exists() {
		return nil
	}
	if err := m.j.Engine.Destroy(ctx, m.Epoch, m.it.Server); err != nil {
		return fmt.Errorf("remove the replacement: %w", err)
	}
	if err := m.j.dropSlot(ctx, m.Epoch, m.leader, m.it.slot()); err != nil {
		return fmt.Errorf("drop the replacement's slot: %w", err)
	}
	return m.InTx(ctx, func(tx pgx.Tx) error {
		if err := db.SetServerDestroyed(ctx, tx, m.it.Server.ID); err != nil {
			return err
		}
		return db.SetReplacementServer(ctx, tx, m.Operation.ID, nil)
	})
}
