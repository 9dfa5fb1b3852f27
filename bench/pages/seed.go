package main

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changeover/internal/db"
	"changeover/internal/platform/engine/local"
)

//go:embed seed.sql
var seedSQL string

// openControl is a pool on the program's own control database, which listens in
// a private directory of its home only.
func openControl(ctx context.Context, home string) (*pgxpool.Pool, error) {
	engine, err := local.Open(local.Config{Home: home, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return db.Open(ctx, engine.ControlString()+" pool_max_conns=4")
}

// house is what the seed made, as far as the benchmark needs it.
type house struct {
	leader    string
	follower  string // has samples of the last day
	hub       string // a leader with four followers
	app       string
	changed   int64 // a changeover's operation
	databases []int64
	followers []int64
}

// firstSeededPort begins below the range in which the program puts servers
// (20000-29999 unless it is told otherwise): the two that really run have ports
// anywhere in there, and a port belongs to one server.
const firstSeededPort = 10_000

// seed fills the control database.
func seed(ctx context.Context, pool *pgxpool.Pool, sealer *db.Sealer, s settings) (house, error) {
	err := db.InTx(ctx, pool, func(tx pgx.Tx) error {
		// It takes as long as it takes, and is as good as lost if it does not end.
		if _, err := tx.Exec(ctx, "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0; set local synchronous_commit = off; set local work_mem = '64MB'"); err != nil {
			return err
		}
		for name, value := range map[string]string{
			"databases": strconv.Itoa(s.databases), "followers": strconv.Itoa(s.followers()), "apps": strconv.Itoa(s.apps),
			"notices": strconv.Itoa(s.notices), "samples": strconv.Itoa(s.samplesEach()), "browsers": strconv.Itoa(s.browsers),
			"port": strconv.Itoa(firstSeededPort), "zone": "a",
		} {
			if _, err := tx.Exec(ctx, "select set_config($1, $2, true)", "bench."+name, value); err != nil {
				return err
			}
		}
		_, err := tx.Conn().PgConn().Exec(ctx, seedSQL).ReadAll()
		return err
	})
	if err != nil {
		return house{}, fmt.Errorf("seed the control database: %w", err)
	}
	h, err := lookAround(ctx, pool)
	if err != nil {
		return h, err
	}
	// Pages show URLs with their passwords left out; they are opened all the same.
	rows, err := pool.Query(ctx, "select id, name from databases where length(password_sealed) = 0")
	if err != nil {
		return h, err
	}
	type named struct {
		ID   int64
		Name string
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[named])
	if err != nil {
		return h, err
	}
	err = db.InTx(ctx, pool, func(tx pgx.Tx) error {
		for _, d := range list {
			if err := db.SetDatabasePassword(ctx, tx, sealer, d.ID, d.Name, "not a password"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return h, err
	}
	_, err = pool.Exec(ctx, "vacuum analyze")
	return h, err
}

func lookAround(ctx context.Context, pool *pgxpool.Pool) (h house, err error) {
	ids := func(sql string) (list []int64) {
		rows, queryErr := pool.Query(ctx, sql)
		if queryErr == nil {
			list, queryErr = pgx.CollectRows(rows, pgx.RowTo[int64])
		}
		if queryErr != nil {
			err = queryErr
		}
		return list
	}
	h.databases = ids("select d.id from databases d join servers v on v.id = d.server_id where v.state = 'stopped' order by d.id")
	h.followers = ids("select d.id from databases d join servers v on v.id = d.server_id where v.state = 'stopped' and d.following_id is not null order by d.id")
	if err != nil {
		return h, err
	}
	return h, pool.QueryRow(ctx, `select
		(select name from databases where id = $1),
		(select name from databases where id = $2),
		(select l.name from databases f join databases l on l.id = f.following_id group by l.name order by count(*) desc limit 1),
		(select a.name from apps a join databases d on d.app_id = a.id group by a.name order by count(*) desc, a.name limit 1),
		(select id from operations where kind = 'follower_changeover' order by id desc limit 1)`,
		h.databases[10], h.followers[0]).Scan(&h.leader, &h.follower, &h.hub, &h.app, &h.changed)
}

// loadSealer reads the key that the program made in its home.
func loadSealer(home string) (*db.Sealer, error) { return db.LoadSealer(filepath.Join(home, "key")) }
