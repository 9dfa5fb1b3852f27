package jobs_test

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5/pgxpool"
)

// An operation goes on although its job is not run when it is due: somebody holds
// the job's row, so that River passes it over, or it was put off and nobody moves
// it, since the one among River's clients that does was killed.
func TestOperationGoesOnWithoutItsJob(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")

	t.Run("held by somebody", func(t *testing.T) {
		h.handOver()
		op, err := h.jobs.StartFence(t.Context(), actor, leader.ID, h.app.Name)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := h.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		// For as long as it takes: the program's own sessions are ended after a minute.
		if _, err := tx.Exec(t.Context(), `set local idle_in_transaction_session_timeout = 0`); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `select from river_job where state = 'available' for update`); err != nil {
			t.Fatal(err)
		}
		h.takeBack()
		h.ended(op, nil, platform.OperationCompleted)
	})
	t.Run("put off", func(t *testing.T) {
		h.handOver()
		op, err := h.jobs.StartUnfence(t.Context(), actor, leader.ID, h.app.Name)
		if err != nil {
			t.Fatal(err)
		}
		h.tell(`update river_job set state = 'scheduled', scheduled_at = now() where state = 'available'`)
		h.tell(`delete from river_leader`)
		h.tell(`insert into river_leader (elected_at, expires_at, leader_id) values (now(), now() + interval '1 hour', 'killed')`)
		h.takeBack()
		h.ended(op, nil, platform.OperationCompleted)
	})
	t.Run("put off and held by somebody", func(t *testing.T) {
		h.handOver()
		op, err := h.jobs.StartFence(t.Context(), actor, leader.ID, h.app.Name)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := h.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		if _, err := tx.Exec(t.Context(), `set local idle_in_transaction_session_timeout = 0`); err != nil {
			t.Fatal(err)
		}
		h.tell(`update river_job set state = 'scheduled', scheduled_at = now() where state = 'available'`)
		if _, err := tx.Exec(t.Context(), `select from river_job where state = 'scheduled' for update`); err != nil {
			t.Fatal(err)
		}
		h.takeBack()
		h.ended(op, nil, platform.OperationCompleted)
	})
}

// slowStarter is an engine with one server that does not get ready until it is
// released, as one that recovers for long: its postmaster is there meanwhile.
type slowStarter struct {
	jobs.Engine
	slow     atomic.Int64
	begun    atomic.Bool
	looked   atomic.Int64 // how often its postmaster was seen while it was not ready
	released chan struct{}
}

func (e *slowStarter) Start(ctx context.Context, epoch int64, s engine.Server) error {
	if s.ID == e.slow.Load() {
		e.begun.Store(true)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.released:
		}
	}
	return e.Engine.Start(ctx, epoch, s)
}

func (e *slowStarter) Status(ctx context.Context, s engine.Server) (engine.Status, error) {
	status, err := e.Engine.Status(ctx, s)
	if s.ID == e.slow.Load() && e.begun.Load() {
		status.Running = true
		e.looked.Add(1)
	}
	return status, err
}

// A server that takes long to start keeps no other one from being started, whether
// it dies before or after. That it runs again is told when it does, not as soon as
// its postmaster is there.
func TestSlowStartKeepsNoOtherServerWaiting(t *testing.T) {
	t.Parallel()
	starter := &slowStarter{released: make(chan struct{})}
	h := newHouse(t, withEngine(func(e jobs.Engine) jobs.Engine { starter.Engine = e; return starter }))
	slow, other := h.leader("standard-0"), h.leader("standard-0")
	starter.slow.Store(h.serverOf(slow).ID)
	h.kill9(slow)
	for range 2 {
		h.kill9(other)
		waitUntil(t, "the other server takes writes again", func() bool { return h.write(other) == nil })
	}
	told := func() bool {
		list, err := db.ListNotices(t.Context(), h.pool, 0, platform.Everything(), db.NoticeFilter{DatabaseID: slow.ID, Kind: platform.NoticeServerRestarted})
		if err != nil {
			t.Fatal(err)
		}
		return len(list) > 0
	}
	seen := starter.looked.Load()
	waitUntil(t, "it is looked at several times", func() bool { return starter.looked.Load() > seen+3 })
	if told() {
		t.Error("it is told that it runs again, and it is not ready yet")
	}
	close(starter.released)
	waitUntil(t, "it is told that it runs again", told)
	if err := h.write(slow); err != nil {
		t.Error(err)
	}
}

// The runners could not be started, though the control database answers: they
// are started again, by whoever holds the engine then.
func TestEngineIsGivenBackWhenRunnersDoNotStart(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would close a connection that nobody has
	h := newHouse(t, withoutRunner)
	h.tell(`alter table river_queue rename to river_queue_away`)
	j, err := newJobs(h.pool, h.engine.Engine, h.sealer, 0, nil, func(c *jobs.Config) { c.Elect = true })
	if err != nil {
		t.Fatal(err)
	}
	holds := func() bool {
		var n int
		err := h.pool.QueryRow(t.Context(), `select count(*) from pg_locks where locktype = 'advisory' and classid = 25448 and objid = 0
			and database = (select oid from pg_database where datname = current_database())`).Scan(&n)
		return err == nil && n > 0
	}
	if err := j.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	waitUntil(t, "it holds the engine", holds)
	waitUntil(t, "it has given the engine back", func() bool { return !holds() })
	h.tell(`alter table river_queue_away rename to river_queue`)
	op, err := h.jobs.StartCreateDatabase(t.Context(), actor, h.app.ID, "standard-0", h.engine.Installations()[0].Major)
	h.ended(op, err, platform.OperationCompleted)
}

// Whoever starts an operation needs one connection to the control database, not
// a second one while it has the first: of many that ask at once none waits for all
// the others.
func TestStartNeedsOneConnection(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")
	h.handOver()
	config := h.pool.Config().Copy()
	config.MaxConns = 1
	one, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	j, err := newJobs(one, h.engine.Engine, h.sealer, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	start := map[string]func() (platform.Operation, error){
		"destroy": func() (platform.Operation, error) { return j.StartDestroy(ctx, actor, leader.ID, h.app.Name) },
		"fence":   func() (platform.Operation, error) { return j.StartFence(ctx, actor, leader.ID, h.app.Name) },
		"follower": func() (platform.Operation, error) {
			return j.StartCreateFollower(ctx, actor, leader.ID, h.app.ID, "standard-0", "")
		},
		"upgrade": func() (platform.Operation, error) {
			return j.StartUpgrade(ctx, actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: "standard-2", When: jobs.UpgradeInWindow})
		},
	}
	for name, fn := range start {
		_, err := fn() // most are refused, which is not what is asked here
		if ctx.Err() != nil {
			t.Fatalf("%s waits for a second connection: %v", name, err)
		}
	}
}
