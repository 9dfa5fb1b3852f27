package main

import (
	"math"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"
)

// poolOn attaches a database to its app through a connection pool.
func (d *seeded) poolOn(it platform.Database, name string) platform.Attachment {
	d.t.Helper()
	var made platform.Attachment
	d.must(db.InTx(d.t.Context(), d.pool, func(tx pgx.Tx) (err error) {
		made, err = db.Attach(d.t.Context(), tx, db.NewAttachment{AppID: it.AppID, DatabaseID: it.ID, Name: name, Actor: pagesUser, Pool: &db.NewPool{Port: d.next, Verifier: "v"}})
		return err
	}))
	d.next++
	return made
}

// pools are connection pools in each state: a busy one that went through a
// switch, one that stayed behind, one that does not answer, one just attached.
func (d *seeded) pools() {
	d.t.Helper()
	ctx := d.t.Context()
	now := time.Now()
	busy := d.poolOn(d.replacement, platform.PoolAttachment)
	d.busyPool = *busy.PoolID
	d.must(db.SetPoolReading(ctx, d.pool, db.PoolReading{PoolID: d.busyPool, At: &now, ClientsActive: 212, ClientsWaiting: 3, ServersUsed: 88, Size: 100, LongestWaitMS: 4.2}))
	for i := range 300 {
		wait := 2 + 3*math.Abs(math.Sin(float64(i)/9))
		if i == 8 {
			wait = 171.2
		}
		d.must(db.AddPoolSample(ctx, d.pool, db.PoolSample{PoolID: d.busyPool, At: now.Add(-time.Duration(i) * 12 * time.Second), ClientsActive: 200, ClientsWaiting: i % 5, ServersUsed: 88, WaitMS: wait, AverageMS: wait / 9}))
	}
	d.exec(`update attachments set created_at = now() - interval '12 days' where id = $1`, busy.ID)
	d.exec(`update changeovers set held_ms = 171.2 where operation_id = $1`, d.completed.ID)
	d.leftPool = *d.poolOn(d.fenced, "REPORTS").PoolID
	d.must(db.SetPoolReading(ctx, d.pool, db.PoolReading{PoolID: d.leftPool, At: &now, ClientsActive: 4, ServersUsed: 1, Size: 30}))
	d.silentPool = *d.poolOn(d.silent, "SILENT_POOL").PoolID
	before := now.Add(-42 * time.Second)
	d.must(db.SetPoolReading(ctx, d.pool, db.PoolReading{PoolID: d.silentPool, At: &before, ClientsActive: 41, ClientsWaiting: 2, ServersUsed: 9, Size: 30}))
	d.must(db.SetPoolUnanswered(ctx, d.pool, d.silentPool, now.Add(-41*time.Second), "Its PgBouncer does not answer. It is started again by itself."))
	d.freshPool = *d.poolOn(d.leader, platform.PoolAttachment).PoolID
}

// poolPages are the pages of connection pools, and what they change on others.
func (d *seeded) poolPages() []shownPage {
	const pool = "/databases/:database/pools/:id"
	busy := poolPath(d.replacement.Name, d.busyPool)
	return []shownPage{
		{route: pool, name: "pool", path: busy},
		{route: pool, name: "pool-day", path: busy + "?range=24h"},
		{route: pool, name: "pool-left-behind", path: poolPath(d.fenced.Name, d.leftPool)},
		{route: pool, name: "pool-silent", path: poolPath(d.silent.Name, d.silentPool)},
		{route: pool, name: "pool-fresh", path: poolPath(d.leader.Name, d.freshPool)},
		{route: pool, name: "pool-revealed", path: busy, alone: true, then: func(b *tab) {
			b.click("reveal-url")
			b.see("connection-url")
		}},
		{route: pool + "/detach", name: "pool-detach", path: busy + "/detach"},
		{route: "/databases/:database", name: "database-attach-refused", path: databasePath(d.leader.Name), then: func(b *tab) {
			b.click("attach")
			b.run("choose the pool", chromedp.Click(id("way-pool")))
			b.fill("app", "no-such-app")
			b.fill("name", "REPORTS_POOL")
			b.click("attach-submit")
			b.see("error-app")
		}},
		{route: "/databases/:database/change-plan", name: "change-plan-pools", path: databasePath(d.replacement.Name) + "/change-plan?method=changeover"},
	}
}
