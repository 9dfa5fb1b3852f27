package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"changeover/bench/program"
)

// report is the application_name of the long query.
const report = "monthly report"

// watchedBytes is what the watch is about, 1024 MB, and some more.
const watchedBytes = 1124 << 20

// holdUp starts a long query on the follower and then changes on the leader
// what it reads: replay waits for the query's end from there on. What the
// leader writes afterwards, the follower receives and does not show.
func (d *demo) holdUp(ctx context.Context, leader, follower string) error {
	url, err := d.api.Reveal(ctx, follower)
	if err != nil {
		return err
	}
	look, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer look.Close(context.WithoutCancel(ctx))
	// A demo that was killed could not end its query.
	var running bool
	if err := look.QueryRow(ctx, "select exists (select from pg_stat_activity where application_name = $1 and state = 'active')", report).Scan(&running); err != nil || running {
		return err
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	config.RuntimeParams["application_name"] = report
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	pid := conn.PgConn().PID()
	d.life.Go(func() {
		defer conn.Close(context.Background())
		// It ends with the demo, or by the watch, an hour after its notice.
		_, _ = conn.Exec(d.living, "select sum(total), pg_sleep(86400) from daily_totals")
	})
	if err := awaitTrue(ctx, look, "the long query runs", "select exists (select from pg_locks where pid = $1 and relation = 'daily_totals'::regclass and granted)", pid); err != nil {
		return err
	}

	if url, err = d.api.Reveal(ctx, leader); err != nil {
		return err
	}
	writer, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer writer.Close(context.WithoutCancel(ctx))
	if _, err := writer.Exec(ctx, "truncate daily_totals; "+dailyTotals); err != nil {
		return err
	}
	// More than the 200 commits that count as caught up.
	if _, err := writer.Exec(ctx, "set synchronous_commit = off"); err != nil {
		return err
	}
	for range 300 {
		if _, err := writer.Exec(ctx, sushiOrder); err != nil {
			return err
		}
	}
	return nil
}

// importAtNight writes more than the watch allows a follower to be behind by.
// It is WAL without rows, so that the demo stays small on disk.
func (d *demo) importAtNight(ctx context.Context, leader string) error {
	const atOnce = 32 << 20
	// Over one connection: each look at a database's URL is a line of the audit.
	return d.fill(ctx, leader, slices.Repeat([]string{"select pg_logical_emit_message(false, 'import', repeat(md5(random()::text), 1 << 15)) from generate_series(1, 32)"}, (watchedBytes+atOnce-1)/atOnce)...)
}

func awaitTrue(ctx context.Context, conn *pgx.Conn, what, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var is bool
		if err := conn.QueryRow(ctx, sql, args...).Scan(&is); err != nil || is {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it is not seen that %s: %w", what, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// putBack starts a changeover to the follower that is held up, which waits for
// it to catch up, and cancels it.
func (d *demo) putBack(ctx context.Context, leader, follower string) (int64, error) {
	if _, err := d.await(ctx, follower, "is behind", func(db database) bool { return db.Lag != nil && db.Lag.Commits > 200 }); err != nil {
		return 0, err
	}
	var started program.Started
	err := d.api.Call(ctx, http.MethodPost, "/databases/"+leader+"/changeover", url.Values{"follower": {follower}, "confirm_jobs": {"true"}}, &started)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err = d.api.Await(ctx, started.Operation, func(o program.Operation) bool {
		step := o.Step("wait_until_caught_up")
		return o.State != "running" || step != nil && step.State == "running" && step.Detail != ""
	})
	if err != nil {
		return 0, err
	}
	if err := d.api.Call(ctx, http.MethodPost, fmt.Sprintf("/operations/%d/cancel", started.Operation), url.Values{}, nil); err != nil {
		return 0, err
	}
	ended, err := d.api.Await(ctx, started.Operation, func(o program.Operation) bool { return o.State == "undone" || o.State == "completed" || o.NeedsPerson })
	if err == nil && ended.State != "undone" {
		err = fmt.Errorf("the changeover that was cancelled is %s: %s", ended.State, ended.Story())
	}
	return started.Operation, err
}

// awaitWatch waits for the notice that names what holds the follower up.
func (d *demo) awaitWatch(ctx context.Context, follower string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		var notices []struct{ Kind, Database string }
		if err := d.api.Call(ctx, http.MethodGet, "/notices", nil, &notices); err != nil {
			return err
		}
		for _, n := range notices {
			if n.Kind == "follower_held_up" && n.Database == follower {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the watch says nothing about %s: %w", follower, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}
