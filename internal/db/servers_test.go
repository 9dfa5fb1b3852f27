package db_test

import (
	"fmt"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

func TestServers(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	leader := dbtest.Database(t, pool, app.ID, 20000)
	f := dbtest.Follower(t, pool, leader, app.ID, 20001)
	v := must(db.ServerOf(ctx, pool, f.ID))(t)
	now := func() platform.Server { return must(db.ServerByID(ctx, pool, v.ID))(t) }

	taken := func(tx pgx.Tx) (map[int]bool, error) { return db.TakenPorts(ctx, tx) }
	if got := must(inTx(t, pool, taken))(t); fmt.Sprint(got) != "map[20000:true 20001:true]" {
		t.Errorf("taken %v", got)
	}
	// A taken port leaves the transaction usable.
	next := must(inTx(t, pool, func(tx pgx.Tx) (platform.Server, error) {
		n := db.NewServer{DatabaseID: f.ID, Zone: "a", Port: 20001, Major: 15, Plan: "standard-0"}
		_, err := db.CreateServer(ctx, tx, n)
		wantSentence(t, err, platform.KindConflict, "port", "Port 20001")
		n.Port++
		return db.CreateServer(ctx, tx, n)
	}))(t)
	if next.Port != 20002 || next.State != platform.ServerMaking || next.Fenced {
		t.Errorf("made %+v", next)
	}
	if list := must(db.ServersOf(ctx, pool, f.ID))(t); len(list) != 2 || list[0].ID != v.ID {
		t.Errorf("of the database %+v", list)
	}
	if list := must(db.ServersFollowing(ctx, pool, *leader.ServerID))(t); len(list) != 1 || list[0].ID != v.ID {
		t.Errorf("following %+v", list)
	}
	noError(t, db.SetServerFenced(ctx, pool, v.ID, true))
	if s := now(); !s.Fenced || s.LeaderID != nil {
		t.Errorf("fenced %+v", s)
	}
	noError(t, db.SetServerFenced(ctx, pool, v.ID, false))
	noError(t, db.SetServerLeader(ctx, pool, v.ID, leader.ServerID))
	noError(t, db.SetServerPlan(ctx, pool, v.ID, "standard-2"))
	if s := now(); s.Fenced || *s.LeaderID != *leader.ServerID || s.Plan != "standard-2" {
		t.Errorf("changed %+v", s)
	}
	for range 2 {
		noError(t, db.SetServerDestroyed(ctx, pool, v.ID))
	}
	if s := now(); s.State != platform.ServerDestroyed || s.DestroyedAt == nil {
		t.Errorf("destroyed %+v", s)
	}
	wantSentence(t, db.SetServerState(ctx, pool, v.ID, platform.ServerRunning), platform.KindNotFound, "", "server does not exist")
	if list := must(db.ListServers(ctx, pool))(t); len(list) != 2 {
		t.Errorf("left %+v", list)
	}
	// The port is free again.
	again, err := db.CreateServer(ctx, pool, db.NewServer{DatabaseID: f.ID, Zone: "a", Port: 20001, Major: 15, Plan: "standard-0"})
	if noError(t, err); again.ID == v.ID {
		t.Error("the old server came back")
	}
	fresh := must(db.CreateDatabase(ctx, pool, dbtest.Sealer(t), db.NewDatabase{AppID: app.ID, Plan: "standard-0", Major: 15}))(t)
	_, err = db.ServerOf(ctx, pool, fresh.ID)
	wantSentence(t, err, platform.KindNotFound, "", "no server yet")
}

// Two that choose a port at once get different ones.
func TestPortsAreChosenInTurn(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	d := dbtest.Database(t, pool, dbtest.App(t, pool, "sushi").ID, 20000)
	const makers = 8
	errs := make(chan error, makers)
	for range makers {
		go func() {
			errs <- db.InTx(ctx, pool, func(tx pgx.Tx) error {
				taken, err := db.TakenPorts(ctx, tx)
				if err != nil {
					return err
				}
				port := 20000
				for taken[port] {
					port++
				}
				_, err = db.CreateServer(ctx, tx, db.NewServer{DatabaseID: d.ID, Zone: "a", Port: port, Major: 15, Plan: "standard-0"})
				return err
			})
		}()
	}
	for range makers {
		noError(t, <-errs)
	}
	if n := len(must(db.ListServers(ctx, pool))(t)); n != makers+1 {
		t.Errorf("%d servers", n)
	}
}
