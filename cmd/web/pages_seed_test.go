package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// seeded is a site with life in it, and the names of what the pages are about.
type seeded struct {
	*site
	t    *testing.T
	next int // port of the next server

	user                                       db.User
	leader, follower, heldUp                   platform.Database // of sushi
	switching, candidate                       platform.Database // of kitchen, in the middle of a changeover
	fenced, replacement                        platform.Database // of larder, after a changeover
	creating, copying, silent, gone, separated platform.Database
	busy, busyCandidate                        platform.Database  // of bakery, before its switch
	running, completed, undone, stuck, putBack platform.Operation // changeovers
	waiting                                    platform.Operation
	notice, several, webhook                   int64
	scheduled                                  platform.Maintenance
	essential                                  platform.Database // of mochi, after an upgrade
	movedBy                                    int64             // the operation of that
	busyPool, leftPool, silentPool, freshPool  int64
}

// lookAlike answers where the pages ask a database who is connected: by the
// control database of the test, which is a real server too.
type lookAlike struct {
	servers
	config *pgx.ConnConfig
}

func (l lookAlike) Admin(engine.Server, string) *pgx.ConnConfig { return l.config.Copy() }

// seed fills a site with rows in every state that a page can show. No runner
// works on them, so that everything stays as it is.
func seed(t *testing.T, s *site) *seeded {
	t.Helper()
	d := &seeded{site: s, t: t, next: 20001}
	s.engine = lookAlike{s.engine, s.pool.Config().ConnConfig}
	var err error
	if d.user, err = db.UserByEmail(t.Context(), s.pool, pagesUser); err != nil {
		t.Fatal(err)
	}
	d.databases()
	d.connections() // before the operations, so that what runs there runs since before they failed
	d.operations()
	d.papers()
	d.people()
	d.pools()
	d.maintenances()
	d.moved()
	return d
}

const pagesUser = "mei@example.com"

func (d *seeded) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *seeded) exec(sql string, args ...any) {
	d.t.Helper()
	_, err := d.pool.Exec(d.t.Context(), sql, args...)
	d.must(err)
}

func (d *seeded) app(name string) platform.App {
	d.t.Helper()
	app, err := db.CreateApp(d.t.Context(), d.pool, name, pagesUser)
	d.must(err)
	return app
}

// leaderOf is an available database of an app, attached as DATABASE where that
// is free, with a reading.
func (d *seeded) leaderOf(app platform.App, plan string, zone string) platform.Database {
	d.t.Helper()
	it, err := db.CreateDatabase(d.t.Context(), d.pool, d.sealer, db.NewDatabase{AppID: app.ID, Plan: plan, Major: 17})
	d.must(err)
	return d.serve(it, app, zone, nil)
}

func (d *seeded) followerOf(leader platform.Database, app platform.App, plan, zone string, lag platform.Lag) platform.Database {
	d.t.Helper()
	ctx := d.t.Context()
	it, err := db.CreateFollower(ctx, d.pool, d.sealer, leader, app.ID, plan)
	d.must(err)
	it = d.serve(it, app, zone, leader.ServerID)
	d.must(db.SetDatabaseReadable(ctx, d.pool, it.ID))
	lag.At, lag.Known = time.Now(), true
	d.must(db.SetLags(ctx, d.pool, []db.FollowerLag{{DatabaseID: it.ID, Lag: lag}}))
	var samples []db.FollowerLag
	for i := range 120 {
		l := lag
		l.At = time.Now().Add(-time.Duration(i) * 30 * time.Second)
		l.Commits, l.Bytes, l.Seconds = lag.Commits*int64(120-i)/120, lag.Bytes*int64(120-i)/120, lag.Seconds*float64(120-i)/120
		samples = append(samples, db.FollowerLag{DatabaseID: it.ID, Lag: l})
	}
	d.must(db.AddLagSamples(ctx, d.pool, samples))
	return d.again(it)
}

// serve puts a database on a running server, bills it, attaches it, reads it.
func (d *seeded) serve(it platform.Database, app platform.App, zone string, leaderServer *int64) platform.Database {
	d.t.Helper()
	ctx := d.t.Context()
	server, err := db.CreateServer(ctx, d.pool, db.NewServer{DatabaseID: it.ID, Zone: zone, Port: d.next, Major: it.Major, Plan: it.Plan, LeaderID: leaderServer})
	d.must(err)
	d.next++
	d.must(db.SetServerState(ctx, d.pool, server.ID, platform.ServerRunning))
	d.must(db.SetDatabaseServer(ctx, d.pool, it.ID, &server.ID))
	d.must(db.SetDatabaseState(ctx, d.pool, it.ID, platform.DatabaseAvailable))
	plan, err := d.catalogue.Plan(it.Plan)
	d.must(err)
	d.must(db.StartBilling(ctx, d.pool, it.ID, plan))
	d.attachTo(app, it)
	d.must(db.SetFacts(ctx, d.pool, db.Facts{
		DatabaseID: it.ID, DataBytes: 38_400_000_000, Tables: 142, Connections: 96, Version: "17.6", CommitsPerS: 212.4, WALBytesPerS: 1_400_000, InRecovery: it.IsFollower(),
	}))
	d.exec(`update databases set created_at = now() - interval '12 days' where id = $1`, it.ID)
	d.exec(`update billing_periods set started_at = now() - interval '12 days' where database_id = $1`, it.ID)
	return d.again(it)
}

func (d *seeded) attachTo(app platform.App, it platform.Database) {
	d.t.Helper()
	d.must(db.InTx(d.t.Context(), d.pool, func(tx pgx.Tx) error {
		_, err := db.Attach(d.t.Context(), tx, db.NewAttachment{AppID: app.ID, DatabaseID: it.ID, FirstIsPrimary: !it.IsFollower(), Actor: pagesUser})
		return err
	}))
}

func (d *seeded) again(it platform.Database) platform.Database {
	d.t.Helper()
	it, err := db.DatabaseByID(d.t.Context(), d.pool, it.ID)
	d.must(err)
	return it
}

func (d *seeded) databases() {
	d.t.Helper()
	ctx := d.t.Context()
	sushi, kitchen, larder := d.app("sushi"), d.app("kitchen"), d.app("larder")
	d.app("an-app-without-anything-yet")
	d.exec(`insert into formations (app_id, process, quantity) values ($1, 'web', 2), ($1, 'worker', 1), ($2, 'web', 0) on conflict (app_id, process) do update set quantity = excluded.quantity`, sushi.ID, kitchen.ID)
	d.must(db.SetMaintenance(ctx, d.pool, kitchen.ID, true))

	d.leader = d.leaderOf(sushi, "standard-0", "a")
	d.follower = d.followerOf(d.leader, sushi, "standard-2", "b", platform.Lag{Commits: 3, Bytes: 2_048, Seconds: 0.4})
	d.heldUp = d.followerOf(d.leader, kitchen, "premium-0", "b", platform.Lag{Commits: 41_388, Bytes: 1_455_000_000, Seconds: 1_288})
	d.exec(`update readings set connections = 96, data_bytes = 62300000000 where database_id = $1`, d.heldUp.ID)

	d.switching = d.leaderOf(kitchen, "standard-2", "a")
	d.candidate = d.followerOf(d.switching, kitchen, "standard-3", "b", platform.Lag{Commits: 41, Bytes: 3_355_443, Seconds: 0.9})
	d.followerOf(d.switching, kitchen, "standard-2", "c", platform.Lag{})
	d.attachTo(sushi, d.switching)
	bakery := d.app("bakery")
	d.exec(`insert into formations (app_id, process, quantity) values ($1, 'web', 4) on conflict (app_id, process) do update set quantity = excluded.quantity`, bakery.ID)
	d.busy = d.leaderOf(bakery, "standard-2", "a")
	d.busyCandidate = d.followerOf(d.busy, bakery, "standard-4", "b", platform.Lag{Commits: 1_288, Bytes: 14_680_064, Seconds: 12})
	d.attachTo(sushi, d.busy)
	d.fenced = d.leaderOf(larder, "standard-0", "a")
	d.replacement = d.leaderOf(larder, "standard-2", "b")
	d.must(db.SetDatabaseFenced(ctx, d.pool, d.fenced.ID, true))
	d.must(db.SetDatabaseReplacedBy(ctx, d.pool, d.fenced.ID, &d.replacement.ID))
	d.silent = d.leaderOf(larder, "premium-0", "a")
	d.must(db.SetUnanswered(ctx, d.pool, d.silent.ID, "It does not answer: connection refused."))
	d.separated = d.leaderOf(larder, "standard-0", "b")
	d.exec(`update databases set forked_from_id = $2, fork_ready = false where id = $1`, d.separated.ID, d.replacement.ID)
	d.gone = d.leaderOf(larder, "standard-0", "a")
	d.exec(`delete from attachments where database_id = $1`, d.gone.ID)
	d.exec(`update servers set destroyed_at = now(), state = 'destroyed' where database_id = $1`, d.gone.ID)
	d.must(db.SetDatabaseDestroyed(ctx, d.pool, d.gone.ID))
	d.must(db.StopBilling(ctx, d.pool, d.gone.ID))

	var err error
	d.creating, err = db.CreateDatabase(ctx, d.pool, d.sealer, db.NewDatabase{AppID: sushi.ID, Plan: "standard-0", Major: 17})
	d.must(err)
	d.copying, err = db.CreateFollower(ctx, d.pool, d.sealer, d.leader, sushi.ID, "standard-0")
	d.must(err)
	d.must(db.SetCopyProgress(ctx, d.pool, d.copying.ID, 12_600_000_000, 38_400_000_000))
	for _, it := range []*platform.Database{&d.fenced, &d.replacement, &d.silent, &d.separated, &d.gone} {
		*it = d.again(*it)
	}
}

// papers are the rows that people leave behind: config vars, notices, audit,
// sessions, tokens.
func (d *seeded) papers() {
	d.t.Helper()
	ctx := d.t.Context()
	sushi, err := db.AppByName(ctx, d.pool, "sushi")
	d.must(err)
	for name, text := range map[string]string{"LOG_LEVEL": "info", "SECRET_KEY_BASE": "not on any page before it is revealed", "TIMEZONE": "Europe/Berlin"} {
		d.must(db.InTx(ctx, d.pool, func(tx pgx.Tx) error {
			_, err := db.SetConfigVar(ctx, tx, d.sealer, sushi.ID, name, text, pagesUser)
			return err
		}))
	}
	after := 2100 * time.Millisecond
	d.several, err = db.CreateNotice(ctx, d.pool, db.NewNotice{
		Kind: platform.NoticeServerRestarted, Level: platform.NoticeInfo, Subject: "Restarted",
		Several: []db.NewNoticePart{{DatabaseID: d.leader.ID, After: &after}, {DatabaseID: d.follower.ID, After: &after}, {DatabaseID: d.heldUp.ID, After: &after}, {DatabaseID: d.silent.ID}},
		Body:    "Not running when Changeover started, at 28 Nov 2026 04:12 UTC: " + platform.NoticeDatabases + ".\n\nWhy. They were stopped with the machine, or by changeover stop-all.",
	})
	d.must(err)
	for i, n := range []struct {
		kind    platform.NoticeKind
		subject string
	}{{platform.NoticeMaintenanceDone, "Completed: upgrade to standard-2 of "}, {platform.NoticeMaintenanceMoved, "Moved: upgrade to standard-2 of "},
		{platform.NoticeFollowerHeldUp, "A query holds up "}, {platform.NoticeDatabaseFull, "Full: "}} {
		for range 3 {
			id, err := db.CreateNotice(ctx, d.pool, db.NewNotice{
				Kind: n.kind, DatabaseID: &d.leader.ID, AppID: &sushi.ID, Subject: n.subject + d.leader.Name,
				Body:    "It is 1,388 MB behind. Its replay waits for 2 transactions:\n- connection 8123 (report), open for 21m0s: select a, very, long, query, with, many, columns from orders where created_at > now()\n- connection 8124 (console), open for 3m2s: select 1\n\nWhat to do. End the query, or wait: it is ended by itself at 15:02 UTC.",
				Figures: []platform.Figure{{Label: "Behind by", Value: "1.4", Unit: "GB"}, {Label: "Commits behind", Value: "41,388"}, {Label: "Transactions in the way", Value: fmt.Sprint(i + 1)}},
			})
			d.must(err)
			d.notice = id
		}
	}
	d.webhook, _, err = db.CreateWebhook(ctx, d.pool, d.sealer, db.NewWebhook{Host: "hooks.example.com", URL: "http://hooks.example.com/changeover/with-a-rather-long-path", CreatedBy: pagesUser})
	d.must(err)
	for _, state := range []string{"taken", "failed", "waiting"} {
		id, err := db.CreateDelivery(ctx, d.pool, d.webhook, &d.notice, true)
		d.must(err)
		_, err = db.NoteDelivery(ctx, d.pool, db.Delivery{ID: id, State: state, Status: 500, TookMS: 1204, Excerpt: "upstream connect error or disconnect/reset before headers", Problem: map[string]string{"taken": ""}[state] + map[bool]string{true: "", false: "The receiver answered 500 and has not taken it."}[state == "taken"]})
		d.must(err)
	}
	d.exec(`update notices set at = now() - interval '3 days' where id <= (select max(id) - 7 from notices)`)
	for i, outcome := range []string{db.AuditDone, db.AuditRefused, db.AuditFailed} {
		for range 12 {
			d.must(db.AddAudit(ctx, d.pool, db.AuditEntry{
				Actor: pagesUser, Action: []string{"start follower changeover", "destroy database", "set config var"}[i], Subject: d.leader.Name,
				Outcome: outcome, Detail: "Type sushi, the name of the app, to confirm.", IP: "192.0.2.7",
			}))
		}
	}
	_, _, err = db.CreateSession(ctx, d.pool, d.user.ID, "192.0.2.8", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
	d.must(err)
	for _, name := range []string{"deploys", "the dashboards of the office"} {
		_, _, err := db.CreateAPIToken(ctx, d.pool, d.user.ID, name, 30*24*time.Hour)
		d.must(err)
	}
}

// connections are an app's: one that works, one that waits in a transaction,
// one idle.
func (d *seeded) connections() {
	d.t.Helper()
	role := platform.RandomToken(14)
	d.exec(`create role ` + role + ` login password '` + role + `'`)
	var open []*pgx.Conn
	sleep, wake := context.WithCancel(context.Background())
	var sleeping sync.WaitGroup
	d.t.Cleanup(func() {
		// Not t.Context(), which has ended by now.
		ctx := context.Background()
		wake()
		sleeping.Wait() // a connection is closed by who uses it
		for _, conn := range open {
			_ = conn.Close(ctx)
		}
		if _, err := d.pool.Exec(ctx, `drop role `+role); err != nil {
			d.t.Error(err)
		}
	})
	for _, sql := range []string{"select pg_sleep(3600)", "begin; select 'the whole menu of the kitchen' as menu", "select 1"} {
		config := d.pool.Config().ConnConfig.Copy()
		config.User, config.Password = role, role
		config.RuntimeParams["application_name"] = "sushi web.1"
		conn, err := pgx.ConnectConfig(d.t.Context(), config)
		d.must(err)
		open = append(open, conn)
		if sql == "select pg_sleep(3600)" {
			sleeping.Go(func() { _, _ = conn.Exec(sleep, sql) })
			continue
		}
		_, err = conn.Exec(d.t.Context(), sql)
		d.must(err)
	}
}
