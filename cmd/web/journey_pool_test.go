package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"
)

// pooledWriter inserts numbers one after the other through a URL, on one
// connection that it never makes anew: whatever breaks it is an error.
type pooledWriter struct {
	stop  context.CancelFunc
	ended sync.WaitGroup

	mu      sync.Mutex
	written int
	longest time.Duration
	errs    []error
}

func startWriter(t *testing.T, url string) *pooledWriter {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // not every PgBouncer keeps prepared statements
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatalf("the pool's URL does not work: %v", err)
	}
	if _, err := conn.Exec(t.Context(), "create table if not exists numbers (n int primary key)"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &pooledWriter{stop: stop}
	w.ended.Go(func() {
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		for n := 1; ctx.Err() == nil; n++ {
			begin := time.Now()
			_, err := conn.Exec(context.WithoutCancel(ctx), "insert into numbers values ($1)", n)
			w.mu.Lock()
			w.longest = max(w.longest, time.Since(begin))
			if err != nil {
				w.errs = append(w.errs, err)
			} else {
				w.written++
			}
			w.mu.Unlock()
			if err != nil {
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
	t.Cleanup(func() { stop(); w.ended.Wait() })
	return w
}

func (w *pooledWriter) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written
}

// TestJourneyOfAPool attaches a connection pool by clicking, and sees on its page
// that a writer behind it notices nothing of a changeover but a wait, while a
// transaction that holds the switch up is found and ended on the operation's page;
// nor of an upgrade.
func TestJourneyOfAPool(t *testing.T) {
	if testing.Short() {
		t.Skip("The browser journey takes a minute; it is left out with -short.")
	}
	findBrowser(t)
	p := runProgram(t)
	token := p.run("token", "-email", firstAdmin)
	p.api(token, "/databases", "app=sushi&plan=standard-0")
	leader := p.names(token)[0]
	p.until(token, leader, "available", func(d databaseJSON) bool { return d.State == "available" && d.Operation == nil && d.ForkReady })

	b := newTab(t, p.url)
	b.open(p.link)
	b.fill("password", testPassword)
	b.fill("password_again", testPassword)
	b.click("sign-in")
	b.awaitPath(waitForPage, "/databases")

	// 1. Attached from the database's page, under the default name and another.
	b.open("/databases/" + leader)
	if missing := b.text("way-pool"); strings.Contains(missing, "No PgBouncer") {
		t.Skip("PgBouncer is not installed, so no pool can be tried")
	}
	attach := func(name string) {
		b.click("attach")
		b.click("way-pool")
		b.fill("app", "sushi")
		if name != "" {
			b.fill("name", name)
		}
		b.click("attach-submit")
	}
	b.photograph("pool-1-database")
	attach("")
	b.awaitPath(waitForPage, "/databases/"+leader+"/pools/")
	pool := b.path()
	b.awaitText(20*time.Second, "pool-status", "Takes clients")
	b.open("/databases/" + leader)
	attach("REPORTS_POOL")
	b.awaitPath(waitForPage, "/databases/"+leader+"/pools/")

	// 2. A writer through the URL that the page reveals; the page counts it, live.
	b.open(pool)
	b.click("reveal-url")
	b.see("connection-url")
	url := b.text("connection-url")
	w := startWriter(t, url)
	b.open(pool)
	b.awaitText(20*time.Second, "pool-figures", "1 of 1,200")
	b.photograph("pool-2-page")

	// 3. A changeover; a transaction through the pool holds it up, and is ended there.
	idle, err := pgx.Connect(t.Context(), url+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = idle.Close(context.WithoutCancel(t.Context())) }()
	if _, err := idle.Exec(t.Context(), "begin; select 'the bill of table 12'"); err != nil {
		t.Fatal(err)
	}
	// One through the pool that stays holds up nothing, and is not asked about.
	reports, err := p.configVar(token, "sushi", "REPORTS_POOL_URL")
	if err != nil {
		t.Fatal(err)
	}
	stays, err := pgx.Connect(t.Context(), reports+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stays.Close(context.WithoutCancel(t.Context())) }()
	if _, err := stays.Exec(t.Context(), "begin; select 'the report of the month'"); err != nil {
		t.Fatal(err)
	}
	b.open("/databases/" + leader + "/change-plan?method=changeover&plan=standard-2")
	b.awaitText(waitForPage, "moving", "DATABASE_CONNECTION_POOL")
	b.photograph("pool-3-change-plan")
	b.click("confirm-jobs")
	b.click("start")
	b.awaitPath(waitForPage, "/operations/")
	operation := b.path()
	b.awaitText(90*time.Second, "pooled-transactions", "the bill of table 12")
	if text := b.text("pooled-transactions"); strings.Contains(text, "the report of the month") {
		t.Errorf("a transaction through the pool that stays is said to hold it up: %s", text)
	}
	b.photograph("pool-4-held-up")
	b.run("end the transaction", chromedp.Click(id("pooled-transactions")+" [formaction$=terminate]"))
	b.await(30*time.Second, "nothing holds it up any more", fmt.Sprintf(`!document.querySelector(%q) && document.querySelector("main")`, id("pooled-transactions")))
	b.open(pool)
	b.awaitText(60*time.Second, "leads-to", "postgresql-")
	b.await(90*time.Second, "the pool's page tells of the switch without being opened again", fmt.Sprintf(`document.querySelector(%q)`, id("holds")))
	if text := b.text("leads-to"); strings.Contains(text, leader) {
		t.Errorf("after the changeover it %s", text)
	}
	b.photograph("pool-5-after")
	b.open(operation)
	b.await(60*time.Second, "the changeover is completed", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "completed"`, id("operation-state")))
	b.open(operation)
	b.see("held-ms")
	held := b.text("held-ms")
	b.photograph("pool-6-operation")

	// 4. The one that stayed is led along with one button.
	b.click("lead-REPORTS_POOL")
	b.await(waitForPage, "it is led to the new leader", fmt.Sprintf(`!document.querySelector(%q)`, id("lead-REPORTS_POOL")))

	// 5. An upgrade, run at once: both pools go along, and the writer only waits.
	before := w.count()
	names := p.names(token)
	names = slices.DeleteFunc(names, func(name string) bool { return name == leader })
	p.until(token, names[0], "ready to be upgraded", func(d databaseJSON) bool { return d.Operation == nil && d.ForkReady })
	b.open("/databases/" + names[0] + "/change-plan?plan=standard-0")
	b.awaitText(waitForPage, "moving", "REPORTS_POOL")
	b.click("start")
	b.awaitPath(waitForPage, "/operations/")
	operation = b.path()
	b.await(60*time.Second, "it waits for its window", fmt.Sprintf(`document.querySelector(%q)`, id("operation-maintenance")+" "+id("move-form")))
	b.open(operation)
	b.click("run-now")
	b.see("confirm")
	b.click("confirm-button")
	b.awaitPath(waitForPage, operation)
	b.await(60*time.Second, "the upgrade is completed", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "completed"`, id("operation-state")))
	b.open(operation)
	b.see("held-ms")
	upgradeHeld := b.text("held-ms")
	b.photograph("pool-7-upgraded")
	await(t, 10*time.Second, "the writer writes on the new server", func() bool { return w.count() > before+100 })

	// 6. The same URL, no error, nothing missing.
	b.open(pool)
	b.click("reveal-url")
	b.see("connection-url")
	if now := b.text("connection-url"); now != url {
		t.Error("the pool's URL has changed")
	}
	w.stop()
	w.ended.Wait()
	if len(w.errs) > 0 || w.written < 10 {
		t.Fatalf("the writer saw %d errors in %d writes: %v", len(w.errs), w.written, w.errs)
	}
	conn, err := pgx.Connect(t.Context(), url+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var missing int
	if err := conn.QueryRow(t.Context(), "select count(*) from generate_series(1, $1) n where n not in (select n from numbers)", w.written).Scan(&missing); err != nil || missing > 0 {
		t.Errorf("%d of %d acknowledged numbers are missing (%v)", missing, w.written, err)
	}
	t.Logf("%d writes, 0 errors, 0 lost, the longest took %s; the pages say that clients waited %s in the changeover and %s in the upgrade", w.written, w.longest.Round(time.Millisecond), held, upgradeHeld)
	b.wantNoErrors()
}
