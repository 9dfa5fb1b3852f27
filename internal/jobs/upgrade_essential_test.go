package jobs_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"changeover/bench/ledger"
	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// essential is an Essential database of the house's app with writers on it.
type essential struct {
	*house
	platform.Database
	writers *ledger.Writers
}

func (h *house) essential(plan string, filler int64) *essential {
	h.t.Helper()
	e := &essential{house: h, Database: h.leader(plan)}
	h.fillRows(e.Database, filler)
	if err := ledger.Setup(h.t.Context(), h.urlOf(e.ID)); err != nil {
		h.t.Fatal(err)
	}
	source := func(ctx context.Context) (string, error) {
		return db.DatabaseURL(ctx, h.pool, h.sealer, h.engine.Host(), e.ID)
	}
	e.writers = ledger.Start(context.WithoutCancel(h.t.Context()), source, 3, ledger.Options{})
	mustCommit(h, e.writers)
	return e
}

// fillRows puts rows of about one kB into the database.
func (h *house) fillRows(d platform.Database, bytes int64) {
	h.t.Helper()
	conn, err := pgx.Connect(h.t.Context(), h.urlOf(d.ID))
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = conn.Close(h.t.Context()) }()
	if _, err := conn.Exec(h.t.Context(), `create table if not exists filler (id bigint primary key, body text not null)`); err != nil {
		h.t.Fatal(err)
	}
	if _, err := conn.Exec(h.t.Context(), `insert into filler select i, repeat(md5(i::text), 29) from generate_series(1, $1::bigint) i`, bytes/1000); err != nil {
		h.t.Fatal(err)
	}
}

func (e *essential) upgrade(plan string) (platform.Operation, error) {
	return e.jobs.StartUpgrade(e.t.Context(), actor, jobs.Upgrade{DatabaseID: e.ID, Plan: plan, Maintenance: true})
}

// sound stops the writers and looks every acknowledged commit up.
func (e *essential) sound() {
	e.t.Helper()
	mustCommit(e.house, e.writers)
	report := e.writers.Stop()
	audit, err := e.writers.Verify(e.t.Context(), e.urlOf(e.ID))
	if err != nil || !audit.Sound() || report.Failed > 0 {
		e.t.Fatalf("%v %+v %q", err, audit, report.Errors)
	}
	if report.Acked == 0 {
		e.t.Fatal("nothing was written")
	}
}

func TestEssentialMovesToALargerPlan(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.essential("essential-0", 8<<20)
	neighbour := h.leader("essential-0")
	before := e.urlOf(e.ID)
	op, err := e.upgrade("essential-2")
	op = h.ended(op, err, platform.OperationCompleted)
	now := h.database(e.ID)
	if now.Plan != "essential-2" || now.DatabaseName == e.DatabaseName || now.Name != e.Name || e.urlOf(e.ID) == before {
		t.Errorf("%+v", now)
	}
	e.sound()
	facts, err := db.ChangeoverOf(t.Context(), h.pool, op.ID)
	if err != nil || facts.OutageMS == nil || *facts.OutageMS <= 0 || facts.ReleaseNumber == nil || facts.SessionsEnded == nil {
		t.Errorf("%+v, %v", facts, err)
	}
	t.Logf("writes were refused for %.0f ms\n%s", *facts.OutageMS, h.timeline(op))
	if conn, err := pgx.Connect(t.Context(), before); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the old database lets the app in")
	}
	if got := query[int](h, now, `select rolconnlimit from pg_roles where rolname = $1`, now.RoleName); got != 40 {
		t.Errorf("%d connections", got)
	}
	if err := h.write(neighbour); err != nil {
		t.Errorf("its neighbour: %v", err)
	}
	h.inOrder("after the move")

	// Kept for a day, then dropped by itself; what is the database stays.
	kept := func() int {
		return query[int](h, now, `select count(*)::int from pg_database where datname = $1`, e.DatabaseName)
	}
	h.setClock(time.Now().Add(23 * time.Hour))
	time.Sleep(3 * time.Second)
	if kept() != 1 {
		t.Error("it was not kept for a day")
	}
	h.setClock(time.Now().Add(25 * time.Hour))
	for begin := time.Now(); kept() != 0; time.Sleep(50 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("it is kept for longer than a day")
		}
	}
	if err := h.write(now); err != nil {
		t.Error(err)
	}
	h.inOrder("after the old one was dropped")
}

// Back to a smaller plan, twice in a day, and dropped by hand; the role goes only
// with the last database that needs it.
func TestEssentialMovesAndIsDestroyed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	neighbour := h.leader("essential-0") // the DATABASE_URL of the app
	e := h.essential("essential-1", 1<<20)
	for _, plan := range []string{"essential-0", "essential-0"} {
		op, err := e.upgrade(plan)
		h.ended(op, err, platform.OperationCompleted)
	}
	e.sound()
	kept, err := db.KeptDatabasesOf(t.Context(), h.pool, e.ID)
	if err != nil || len(kept) != 2 {
		t.Fatalf("%d are kept (%v)", len(kept), err)
	}
	op, err := h.jobs.StartDropOldDatabase(t.Context(), actor, e.ID)
	h.ended(op, err, platform.OperationCompleted)
	if err := h.write(h.database(e.ID)); err != nil {
		t.Error(err)
	}
	if _, err := h.jobs.StartDropOldDatabase(t.Context(), actor, e.ID); platform.KindOf(err) != platform.KindNotFound {
		t.Errorf("dropped twice: %v", err)
	}
	op, err = e.upgrade("essential-1")
	h.ended(op, err, platform.OperationCompleted)
	h.destroyed(h.database(e.ID))
	if left := query[int](h, neighbour, `select count(*)::int from pg_roles where rolname = $1 or rolname ~ '^copy_'`, e.RoleName); left != 0 {
		t.Errorf("%d roles are left", left)
	}
	if left := query[int](h, neighbour, `select count(*)::int from pg_database where datname not in ('postgres', 'template0', 'template1')`); left != 1 {
		t.Errorf("%d databases are left, want the neighbour alone", left)
	}
	h.inOrder("after it was destroyed")
}

// Where the cluster has no room on the new plan, the database goes to another.
func TestEssentialMovesToAnotherCluster(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.essential("essential-0", 1<<20)
	if _, err := h.pool.Exec(t.Context(), `insert into databases (name, app_id, plan, state, major, server_id, database_name, role_name, password_sealed)
		select 'postgresql-filler-' || n, app_id, 'essential-2', 'creating', major, server_id, 'x', 'x', '' from databases, generate_series(10001, 10012) n where id = $1`, e.ID); err != nil {
		t.Fatal(err)
	}
	op, err := e.upgrade("essential-1")
	h.ended(op, err, platform.OperationCompleted)
	if now := h.database(e.ID); *now.ServerID == *e.ServerID {
		t.Error("it stayed where there is no room")
	}
	e.sound()
	op, err = h.jobs.StartDropOldDatabase(t.Context(), actor, e.ID)
	h.ended(op, err, platform.OperationCompleted)
	server, err := db.ServerByID(t.Context(), h.pool, *e.ServerID)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), h.admin(h.server(server), "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var left int
	if err := conn.QueryRow(t.Context(), `select (select count(*) from pg_roles where rolname = $1)::int + (select count(*) from pg_database where datname = $2)::int`,
		e.RoleName, e.DatabaseName).Scan(&left); err != nil || left != 0 {
		t.Error("the old cluster still has the database or its role")
	}
}

func TestEssentialUpgradeIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	d := h.leader("essential-1")
	if _, err := h.pool.Exec(t.Context(), `insert into readings (database_id, answers, data_bytes, connections) values ($1, true, 2::bigint << 30, 3)
		on conflict (database_id) do update set data_bytes = excluded.data_bytes`, d.ID); err != nil {
		t.Fatal(err)
	}
	by := time.Now().Add(time.Hour)
	for words, u := range map[string]jobs.Upgrade{
		"The smallest plan that fits is essential-1.": {DatabaseID: d.ID, Plan: "essential-0"},
		"Use copy":                  {DatabaseID: d.ID, Plan: "standard-0"},
		"has no maintenance window": {DatabaseID: d.ID, Plan: "essential-2", When: jobs.UpgradeAt, At: by},
	} {
		if _, err := h.jobs.StartUpgrade(t.Context(), actor, u); platform.KindOf(err) != platform.KindInvalid || !strings.Contains(err.Error(), words) {
			t.Errorf("%+v: %v; want %q", u, err, words)
		}
	}
	h.inOrder("after refusals")
}

// Whatever cannot be copied is found before anything changes.
func TestEssentialCopyThatFailsIsPutBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.essential("essential-0", 1<<20)
	conn, err := pgx.Connect(t.Context(), e.urlOf(e.ID))
	if err != nil {
		t.Fatal(err)
	}
	// A check that its own row no longer fulfils: no restore takes it.
	for _, sql := range []string{`create function fine(n int) returns boolean language sql as 'select true'`, `create table odd (n int check (fine(n)))`, `insert into odd values (1)`,
		`create or replace function fine(n int) returns boolean language sql as 'select false'`} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.Close(t.Context())
	op, err := e.upgrade("essential-1")
	op = h.ended(op, err, platform.OperationUndone)
	if !strings.Contains(op.Reason, "could not be copied") || !strings.Contains(op.Reason, "odd") {
		t.Errorf("the reason is %q", op.Reason)
	}
	e.sound()
	h.inOrder("after it was put back")
	h.unmoved(e)
}

// running is the operation that has claimed the database.
func (h *house) running(databaseID int64) (id int64) {
	if err := h.pool.QueryRow(context.Background(), `select operation_id from operation_claims where database_id = $1`, databaseID).Scan(&id); err != nil {
		h.t.Errorf("which operation runs: %v", err)
	}
	return id
}

// unmoved is a database after an upgrade that was put back.
func (h *house) unmoved(e *essential) {
	h.t.Helper()
	if now := h.database(e.ID); now.DatabaseName != e.DatabaseName || now.Plan != e.Plan {
		h.t.Errorf("it moved: %+v", now)
	}
	if left := query[int](h, e.Database, `select (select count(*) from pg_database where datname not in ('postgres', 'template0', 'template1', $1))
		+ (select count(*) from pg_roles where rolname ~ '^copy_') + (select count(*) from pg_event_trigger)
		+ (select count(*) from pg_namespace where nspname ~ '^pg_changeover') + (select count(*) from pg_db_role_setting where setrole = 0)`, e.DatabaseName); left != 0 {
		h.t.Errorf("%d things are left behind", left)
	}
}

// Cancelled before every step of it up to the point of no return.
func TestEssentialUpgradeIsCancelledAtEveryStep(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.essential("essential-0", 1<<20)
	steps := jobs.Procedures()[platform.UpgradeEssential]
	for _, step := range steps {
		if step.NoReturn {
			break
		}
		cancelled := false
		h.setHook(func(when, what, name string) error {
			if when == "after" && what == "do" && name == step.Name && !cancelled {
				cancelled = true
				return h.jobs.Cancel(context.Background(), actor, h.running(e.ID))
			}
			return nil
		})
		op, err := e.upgrade("essential-1")
		h.ended(op, err, platform.OperationUndone)
		h.setHook(nil)
		mustCommit(h, e.writers)
		h.inOrder("cancelled after " + step.Name)
		h.unmoved(e)
	}
	e.sound()
}

// Killed before and after every step, and the session that keeps writes out is
// lost in each step that counts on it: it goes on within 10 s and nothing is lost.
func TestEssentialUpgradeGoesOnWhereverItIsKilled(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t)
	e := h.essential("essential-0", 1<<20)
	lists := [][]point{third(pointsOf(platform.UpgradeEssential), seed)}
	if everything() {
		lists = rounds(pointsOf(platform.UpgradeEssential), seed)
	}
	for i, points := range lists {
		h.killed(points, func() (platform.Operation, error) { return e.upgrade([]string{"essential-1", "essential-0"}[i%2]) })
		mustCommit(h, e.writers)
		h.killed([]point{{"before", "do", "drop_databases"}, {"after", "do", "drop_databases"}}, func() (platform.Operation, error) {
			return h.jobs.StartDropOldDatabase(t.Context(), actor, e.ID)
		})
	}
	lost := map[string]bool{}
	h.setHook(workflow.Hook(func(when, what, name string) error {
		if when == "before" && what == "do" && !lost[name] && (name == "copy_data" || name == "check_data" || name == "close_old") {
			lost[name] = true
			query[int](h, h.database(e.ID), `select count(pg_terminate_backend(pid))::int from pg_stat_activity where application_name ~ '^changeover: move'`)
		}
		return nil
	}))
	op, err := e.upgrade("essential-2")
	h.ended(op, err, platform.OperationCompleted)
	h.setHook(nil)
	if len(lost) != 3 {
		t.Errorf("the session was lost in %v", lost)
	}
	h.inOrder("after the session was lost three times")
	e.sound()
}

// An undo that dies is done again.
func TestEssentialUpgradeIsPutBackWhereverItsUndoIsKilled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.essential("essential-0", 1<<20)
	k := newKiller(undoPoints("refuse_writes", "maintenance_on", "choose_cluster"))
	h.setHook(func(when, what, step string) error {
		if when == "before" && what == "do" && step == "close_old" {
			return h.jobs.Cancel(context.Background(), actor, h.running(e.ID))
		}
		return k.hook(when, what, step)
	})
	op, err := e.upgrade("essential-1")
	h.ended(op, err, platform.OperationUndone)
	h.setHook(nil)
	k.check(t)
	h.inOrder("after the undo was killed")
	h.unmoved(e)
	e.sound()
}

// What docs/upgrade-essential.md tells of 10 MB and 500 MB; in CI once, of 10 MB.
func TestEssentialMoveFigures(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	sizes, times := []int64{10 << 20}, 1
	if everything() {
		sizes, times = append(sizes, 500<<20), 3
	}
	for _, size := range sizes {
		d := h.leader("essential-1")
		h.fillRows(d, size)
		for range times {
			op, err := h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: d.ID, Plan: "essential-1"})
			op = h.ended(op, err, platform.OperationCompleted)
			facts, err := db.ChangeoverOf(t.Context(), h.pool, op.ID)
			if err != nil {
				t.Fatal(err)
			}
			if facts.OutageMS == nil || *facts.OutageMS <= 0 {
				t.Fatalf("no outage was measured: %+v", facts)
			}
			t.Logf("%s: %.0f ms\n%s", platform.Bytes(size), *facts.OutageMS, h.timeline(op))
			op, err = h.jobs.StartDropOldDatabase(t.Context(), actor, d.ID)
			h.ended(op, err, platform.OperationCompleted)
		}
	}
}
