package jobs_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
)

// warmed is a database with a table that is used most, one beyond the memory of
// its plan, and one that nobody uses.
type warmed struct {
	*house
	leader platform.Database
	paths  map[string]string // by table; the same on every copy
}

func newWarmed(t *testing.T, h *house) *warmed {
	w := &warmed{h, h.leader("standard-0"), map[string]string{}} // 64 MB
	w.as(t, "create table hot as select g as id, repeat('x', 900) as body from generate_series(1, 4000) g",
		"create table cold as select g as id, repeat('x', 900) as body from generate_series(1, 80000) g",
		"create table unused with (autovacuum_enabled = off) as select g as id, repeat('x', 900) as body from generate_series(1, 4000) g")
	for _, table := range []string{"hot", "cold", "unused"} {
		w.paths[table] = query[string](h, w.leader, "select pg_relation_filepath($1::text::regclass)", table)
	}
	w.use(t)
	return w
}

// as runs statements as the app, in a session of its own: with its end its
// counters are known, whichever the version.
func (w *warmed) as(t *testing.T, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.urlOf(w.leader.ID))
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// use reads the hot table often, the cold one once, and the unused one never
// since its counters began.
func (w *warmed) use(t *testing.T) {
	t.Helper()
	w.as(t, "do $$ begin perform count(*) from cold; for i in 1..60 loop perform count(*) from hot; end loop; end $$")
	waitUntil(t, "the counters", func() bool {
		return query[bool](w.house, w.leader, "select pg_stat_get_blocks_fetched('hot'::regclass) > 20000 and pg_stat_get_blocks_fetched('cold'::regclass) > 5000")
	})
	query[string](w.house, w.leader, "select pg_stat_reset_single_table_counters('unused'::regclass)::text")
}

// around puts the candidate's tables out of the machine's memory before it is
// warmed, and looks what is there afterwards.
func (w *warmed) around(t *testing.T, kind string, candidate func() engine.Server) {
	t.Helper()
	looked := false
	w.setHook(func(when, what, step string) error {
		if what != "do" || step != "warm_candidate" {
			return nil
		}
		server := candidate()
		dir := w.engine.DataDir(server)
		if when == "before" {
			if looked {
				return nil // it goes on with what it has begun
			}
			looked = true
			w.settle(server)
			for table, path := range w.paths {
				w.engine.Forget(t, dir, path)
				if cached, all := w.engine.Cached(t, dir, path, 0, 0); cached > 0 {
					t.Errorf("%s: %d of %d bytes of %s stay in memory", kind, cached, all, table)
				}
			}
			return nil
		}
		hot, all := w.engine.Cached(t, dir, w.paths["hot"], 0, 0)
		cold, _ := w.engine.Cached(t, dir, w.paths["cold"], 0, 8<<20)
		unused, _ := w.engine.Cached(t, dir, w.paths["unused"], 0, 0)
		t.Logf("%s: %d of %d bytes of the hot table are in memory, %d of the cold one's first 8 MB, %d of the unused one", kind, hot, all, cold, unused)
		if hot != all || cold > 0 || unused > 0 {
			t.Errorf("%s: what is in memory is not what is used most", kind)
		}
		return nil
	})
}

// settle lets the candidate write what it has replayed, so that it does not do
// so later, when its files are out of memory.
func (w *warmed) settle(candidate engine.Server) {
	w.t.Helper()
	leader := w.serverOf(w.database(w.leader.ID))
	ask := func(s engine.Server, sql string, args ...any) (answer string) {
		conn, err := pgx.ConnectConfig(w.t.Context(), w.admin(s, "postgres"))
		if err == nil {
			defer conn.Close(w.t.Context())
			err = conn.QueryRow(w.t.Context(), sql, args...).Scan(&answer)
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			w.t.Error(err)
		}
		return answer
	}
	ask(leader, "checkpoint")
	end := ask(leader, "select pg_logical_emit_message(true, 'test', 'settle')::text")
	waitUntil(w.t, "the replay", func() bool {
		return ask(candidate, "select (pg_last_wal_replay_lsn() >= $1::text::pg_lsn)::text", end) == "true"
	})
	ask(candidate, "checkpoint")
}

// said is what the step says in the end.
func (h *house) said(op platform.Operation, step string) string {
	h.t.Helper()
	steps, err := db.OperationSteps(h.t.Context(), h.pool, op.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range steps {
		if s.Name == step {
			return s.Detail
		}
	}
	h.t.Fatalf("it has no step %s", step)
	return ""
}

// Before every planned switch what is used most is read into memory, from the
// files of the server that takes over.
func TestUsedMostIsInMemoryAfterASwitch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	platformtest.NeedsDisk(t, h.engine.Home)
	w := newWarmed(t, h)
	replaces := func() engine.Server { // the server that is to take the database's place
		var id int64
		err := h.pool.QueryRow(t.Context(), `select server_id from replacements where database_id = $1 order by operation_id desc limit 1`, w.leader.ID).Scan(&id)
		s, otherErr := db.ServerByID(t.Context(), h.pool, id)
		if err := errors.Join(err, otherErr); err != nil {
			t.Error(err)
		}
		return h.server(s)
	}
	check := func(op platform.Operation, err error) {
		t.Helper()
		op = h.ended(op, err, platform.OperationCompleted)
		h.setHook(nil)
		if said := h.said(op, "warm_candidate"); !strings.Contains(said, " of what is used most read in ") {
			t.Errorf("%s says %q", op.Kind, said)
		}
	}
	w.around(t, "upgrade", replaces)
	check(h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: w.leader.ID, Plan: "standard-0", When: jobs.UpgradeAtOnce}))
	// The counters are those of the new server, which begin with its promotion.
	w.use(t)
	w.around(t, "switch back", replaces)
	check(h.jobs.StartSwitchBack(t.Context(), actor, w.leader.ID))
	op, err := h.jobs.StartDestroyOldServer(t.Context(), actor, w.leader.ID)
	h.ended(op, err, platform.OperationCompleted)
	w.use(t)
	follower := h.follower(w.leader, "standard-0")
	w.around(t, "follower changeover", func() engine.Server { return h.serverOf(follower) })
	check(h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: w.leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true}))
}

// coldDisk is an engine whose disk is not to be relied on.
type coldDisk struct {
	jobs.Engine
	choose, read func(context.Context) error // nil: as the engine does it
	asked        atomic.Int64
}

func (d *coldDisk) WorthWarming(s engine.Server, relations []platform.Relation) ([]platform.RelationPart, int64, error) {
	if d.choose != nil {
		return nil, 0, d.choose(context.Background())
	}
	return d.Engine.WorthWarming(s, relations)
}

func (d *coldDisk) ReadPart(ctx context.Context, s engine.Server, part platform.RelationPart) (int64, error) {
	d.asked.Add(1)
	if d.read != nil {
		return 0, d.read(ctx)
	}
	return d.Engine.ReadPart(ctx, s, part)
}

// Whatever goes wrong when the cache is warmed, the switch is made, and the step says so.
func TestSwitchThatCannotWarmTheCache(t *testing.T) {
	t.Parallel()
	broken := func(context.Context) error { return errors.New("input/output error") }
	hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := []struct {
		name string
		disk coldDisk
		want string
	}{
		{"it is not known what is used", coldDisk{choose: broken}, "could not be found out what is used most"},
		{"the disk hangs when files are looked at", coldDisk{choose: hangs}, "could not be found out what is used most"},
		{"nothing can be read", coldDisk{read: broken}, "; not all could be read: input/output error"},
		{"the disk hangs", coldDisk{read: hangs}, ", and then left at that"},
	}
	for i := range tests {
		test := &tests[i]
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, withEngine(func(e jobs.Engine) jobs.Engine { test.disk.Engine = e; return &test.disk }), func(h *house) { h.warmFor = 2500 * time.Millisecond })
			h.scale()
			leader := h.leader("standard-0")
			follower := h.follower(leader, "standard-0")
			op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
			op = h.ended(op, err, platform.OperationCompleted)
			if said := h.said(op, "warm_candidate"); !strings.Contains(said, test.want) {
				t.Errorf("it says %q, want %q", said, test.want)
			}
		})
	}
}

// A cancel is heard while the cache is warmed, however slow the disk is.
func TestMeasuredCancelWhileTheCacheIsWarmed(t *testing.T) {
	disk := &coldDisk{read: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	h := newHouse(t, withEngine(func(e jobs.Engine) jobs.Engine { disk.Engine = e; return disk }), func(h *house) { h.warmFor = time.Hour })
	h.scale()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it reads", func() bool { return disk.asked.Load() > 1 })
	if err := h.jobs.Cancel(t.Context(), actor, op.ID); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	op = h.ended(op, nil, platform.OperationUndone)
	if took := time.Since(began); took > 5*time.Second || op.Reason != "Cancelled by "+actor+"." {
		t.Errorf("put back after %s: %s", took, op.Reason)
	}
	t.Logf("put back %s after the cancel", time.Since(began).Round(time.Millisecond))
	h.inOrder("after a cancel")
}
