package jobs_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// watchedPair is a leader and its follower that a control database knows of.
type watchedPair struct {
	pool             *pgxpool.Pool
	platform         *platformtest.Platform
	leader, follower *platformtest.Server
	of               platform.Database // the leader
	by               platform.Database // the follower
}

func newWatchedPair(t *testing.T) *watchedPair {
	t.Helper()
	p := &watchedPair{pool: dbtest.New(t), platform: platformtest.New(t)}
	p.leader = p.platform.Leader(t, "standard-0")
	p.follower = p.platform.Follower(t, p.leader)
	app := dbtest.App(t, p.pool, "sushi")
	p.of = dbtest.Database(t, p.pool, app.ID, p.leader.Port)
	p.by = dbtest.Follower(t, p.pool, p.of, app.ID, p.follower.Port)
	if *p.of.ServerID != p.leader.ID || *p.by.ServerID != p.follower.ID {
		t.Fatalf("servers %d and %d, want %d and %d", *p.of.ServerID, *p.by.ServerID, p.leader.ID, p.follower.ID)
	}
	exec(t, p.pool, "update databases set database_name = $1", p.leader.DatabaseName)
	return p
}

// monitor runs one until the test ends, or until stop is called.
func (p *watchedPair) monitor(t *testing.T, change func(*jobs.MonitorConfig)) (stop func()) {
	t.Helper()
	config := jobs.MonitorConfig{Pool: p.pool, Engine: p.platform.Engine, FactsEvery: 200 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 4}))}
	if change != nil {
		change(&config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { jobs.NewMonitor(config).Run(ctx); close(ended) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

func exec(t testing.TB, q db.Querier, sql string, args ...any) {
	t.Helper()
	if _, err := q.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (p *watchedPair) reading(t *testing.T, d platform.Database) db.Reading {
	t.Helper()
	r, err := db.ReadingOf(t.Context(), p.pool, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// awaitReading waits until the database's reading is so, and gives it.
func (p *watchedPair) awaitReading(t *testing.T, d platform.Database, what string, isSo func(db.Reading) bool) (r db.Reading) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if r = p.reading(t, d); isSo(r) {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s; the reading is %+v", what, r)
		}
	}
}

func isZero(l platform.Lag) bool {
	return l.Known && l.Commits == 0 && l.Bytes == 0 && l.Seconds == 0
}

func TestMeasuredMonitorReadsServers(t *testing.T) {
	p := newWatchedPair(t)
	p.monitor(t, nil)
	app, follower := p.leader.Connect(t), p.follower.ConnectAdmin(t)
	exec(t, app, "create table t (n int)")
	p.awaitReading(t, p.by, "an idle leader's follower at 0", func(r db.Reading) bool { return isZero(r.Lag) })
	r := p.awaitReading(t, p.of, "the leader's facts", func(r db.Reading) bool { return r.Answers && r.Tables == 1 })
	if r.Connections != 1 || r.DataBytes < 1<<20 || r.Version == "" || r.InRecovery || r.Problem != "" || r.Lag.Known {
		t.Errorf("the leader's reading: %+v", r)
	}
	if r := p.awaitReading(t, p.by, "the follower's facts", func(r db.Reading) bool { return r.Tables == 1 }); !r.InRecovery {
		t.Errorf("the follower's reading: %+v", r)
	}

	t.Run("lag is fresh, and kept for the plot", func(t *testing.T) {
		var oldest time.Duration
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			r := p.reading(t, p.by)
			oldest = max(oldest, time.Since(r.Lag.At))
			if !isZero(r.Lag) {
				t.Fatalf("idle, and the lag is %+v", r.Lag)
			}
		}
		t.Logf("the oldest lag seen was %v old", oldest)
		if oldest > time.Second {
			t.Errorf("a lag was %v old", oldest)
		}
		lists, err := db.LagSamples(t.Context(), p.pool, []int64{p.by.ID}, time.Now().Add(-time.Minute), time.Now(), 300)
		samples := lists[p.by.ID]
		if err != nil || len(samples) < 2 {
			t.Errorf("%d samples for the plot, %v; want at least 2", len(samples), err)
		}
	})

	t.Run("replay paused", func(t *testing.T) {
		exec(t, follower, "select pg_wal_replay_pause()")
		p.awaitReading(t, p.by, "the page says that replay is paused", func(r db.Reading) bool { return strings.Contains(r.Problem, "paused") })
		for range 300 {
			exec(t, app, "insert into t values (1)")
		}
		r := p.awaitReading(t, p.by, "300 commits and more than a second behind", func(r db.Reading) bool { return r.Lag.Commits == 300 && r.Lag.Seconds > 1 })
		if r.Lag.Bytes == 0 || !r.Lag.Known {
			t.Errorf("the lag: %+v", r.Lag)
		}
		exec(t, follower, "select pg_wal_replay_resume()")
		p.awaitReading(t, p.by, "caught up", func(r db.Reading) bool { return isZero(r.Lag) && r.Problem == "" })
	})

	t.Run("the leader does not answer", func(t *testing.T) {
		if err := p.platform.Stop(t.Context(), platformtest.Epoch, p.leader.Server); err != nil {
			t.Fatal(err)
		}
		stopped := time.Now()
		r := p.awaitReading(t, p.by, "an unknown lag", func(r db.Reading) bool { return !r.Lag.Known })
		if r.Lag.Since.IsZero() || r.Lag.Since.After(stopped.Add(time.Second)) {
			t.Errorf("unknown since %v, and the leader was stopped by %v", r.Lag.Since, stopped)
		}
		r = p.awaitReading(t, p.of, "the leader's problem", func(r db.Reading) bool { return !r.Answers && r.UnansweredSince != nil })
		if !strings.HasSuffix(r.Problem, ".") || r.Tables != 1 {
			t.Errorf("the leader's reading: %+v", r)
		}
		p.leader.Start(t)
		p.awaitReading(t, p.of, "the leader answers", func(r db.Reading) bool { return r.Answers && r.UnansweredSince == nil && r.Problem == "" })
		p.awaitReading(t, p.by, "the lag is known again", func(r db.Reading) bool { return isZero(r.Lag) })
	})

	t.Run("the follower becomes a fork", func(t *testing.T) {
		if err := p.platform.Promote(t.Context(), platformtest.Epoch, p.follower.Server); err != nil {
			t.Fatal(err)
		}
		if err := db.SetDatabaseUnfollowed(t.Context(), p.pool, p.by.ID); err != nil {
			t.Fatal(err)
		}
		platformtest.Await(t, "the fork is ready", func() (bool, error) {
			d, err := db.DatabaseByID(t.Context(), p.pool, p.by.ID)
			return d.ForkReady, err
		})
		admin := p.follower.ConnectAdmin(t)
		if at := platformtest.Query(t, admin, "select timeline_id::text from pg_control_checkpoint()"); at != "2" {
			t.Errorf("ready, and its last checkpoint is on timeline %s, want 2", at)
		}
	})
}

// holdUp is a transaction on the follower that its replay waits for.
func (p *watchedPair) holdUp(t *testing.T) (reader *pgx.Conn) {
	t.Helper()
	app, reader := p.leader.Connect(t), p.follower.Connect(t)
	exec(t, app, "create table t as select generate_series(1, 20000) n")
	p.follower.AwaitStreaming(t, p.leader)
	exec(t, reader, "set application_name = 'report'")
	exec(t, reader, "begin isolation level repeatable read")
	exec(t, reader, "select count(*) from t")
	exec(t, app, "delete from t where n > 10")
	exec(t, app, "vacuum t")
	exec(t, app, "insert into t select generate_series(1, 20000)")
	return reader
}

func (p *watchedPair) notices(t *testing.T, kind platform.NoticeKind) []db.Notice {
	t.Helper()
	list, err := db.ListNotices(t.Context(), p.pool, 0, platform.Everything(), db.NoticeFilter{DatabaseID: p.by.ID, Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func watchQuickly(c *jobs.MonitorConfig) {
	c.WatchBytes, c.WatchAge, c.WatchEvery = 100<<10, time.Millisecond, 50*time.Millisecond
}

func watchLater(d time.Duration) func(*jobs.MonitorConfig) {
	return func(c *jobs.MonitorConfig) {
		watchQuickly(c)
		c.Now = func() time.Time { return time.Now().Add(d) }
	}
}

// awaitEnded waits until the reader's session was terminated.
func awaitEnded(t *testing.T, reader *pgx.Conn) {
	t.Helper()
	platformtest.Await(t, "the reader's end", func() (bool, error) {
		_, err := reader.Exec(t.Context(), "select 1")
		if err != nil && !strings.Contains(err.Error(), "terminating connection due to administrator command") {
			return false, err
		}
		return err != nil, nil
	})
}

// The program dies between the notice of a termination and the termination: the
// next one ends the transactions without a second notice.
func TestTerminationIsToldOnceAcrossACrash(t *testing.T) {
	p := newWatchedPair(t)
	reader := p.holdUp(t)
	stop := p.monitor(t, watchQuickly)
	platformtest.Await(t, "a notice", func() (bool, error) { return len(p.notices(t, platform.NoticeFollowerHeldUp)) > 0, nil })
	stop()
	var began time.Time
	if err := p.follower.ConnectAdmin(t).QueryRow(t.Context(), "select xact_start from pg_stat_activity where pid = $1", pidOf(t, reader)).Scan(&began); err != nil {
		t.Fatal(err)
	}
	if _, err := db.CreateNotice(t.Context(), p.pool, db.NewNotice{Kind: platform.NoticeQueriesTerminated, DatabaseID: &p.by.ID, Subject: "s", Body: "b",
		Once: fmt.Sprintf("terminated:%d;%d@%d;", p.by.ID, pidOf(t, reader), began.UnixMicro())}); err != nil {
		t.Fatal(err)
	}
	p.monitor(t, watchLater(61*time.Minute))
	awaitEnded(t, reader)
	if n := len(p.notices(t, platform.NoticeQueriesTerminated)); n != 1 {
		t.Errorf("%d notices of one termination", n)
	}
}

func TestMonitorWatchesFollowers(t *testing.T) {
	p := newWatchedPair(t)
	reader := p.holdUp(t)
	notices := func(kind platform.NoticeKind) []db.Notice { return p.notices(t, kind) }
	quick, later := watchQuickly, watchLater
	stop := p.monitor(t, quick)
	platformtest.Await(t, "a notice", func() (bool, error) { return len(notices(platform.NoticeFollowerHeldUp)) > 0, nil })
	n := notices(platform.NoticeFollowerHeldUp)[0]
	if !strings.Contains(n.Body, fmt.Sprintf("connection %d (report", pidOf(t, reader))) || !strings.Contains(n.Body, "select count(*) from t") || n.Level != "warn" {
		t.Errorf("the notice: %+v", n)
	}
	stop()

	// Another program, 59 minutes later: it neither says it again nor acts.
	p.awaitLooks(t, later(59*time.Minute))
	if found := notices(platform.NoticeFollowerHeldUp); len(found) != 1 {
		t.Errorf("%d notices after a restart, want 1", len(found))
	}
	exec(t, reader, "select 1") // still there

	p.monitor(t, later(61*time.Minute))
	platformtest.Await(t, "the second notice", func() (bool, error) { return len(notices(platform.NoticeQueriesTerminated)) > 0, nil })
	awaitEnded(t, reader)
	p.awaitReading(t, p.by, "caught up", func(r db.Reading) bool { return isZero(r.Lag) })
	if a, b := len(notices(platform.NoticeFollowerHeldUp)), len(notices(platform.NoticeQueriesTerminated)); a != 1 || b != 1 {
		t.Errorf("%d and %d notices, want one of each", a, b)
	}
	if told := notices(platform.NoticeFollowerBehind); len(told) != 0 {
		t.Errorf("it is told of as slow by itself, too: %+v", told)
	}
}

// A follower that is slow by itself is told of once, and again only after it
// was half as far behind.
func TestMonitorTellsOfAFollowerThatIsBehind(t *testing.T) {
	p := newWatchedPair(t)
	app, follower := p.leader.Connect(t), p.follower.ConnectAdmin(t)
	exec(t, app, "create table t (n int)")
	p.follower.AwaitStreaming(t, p.leader)
	watch := func(c *jobs.MonitorConfig) {
		c.WatchBytes, c.WatchEvery, c.WatchSlow = 1<<20, 50*time.Millisecond, 100*time.Millisecond
	}
	told := func() []db.Notice { return p.notices(t, platform.NoticeFollowerBehind) }
	fallBehind := func(want int) {
		t.Helper()
		stop := p.monitor(t, watch)
		exec(t, follower, "select pg_wal_replay_pause()")
		exec(t, app, "insert into t select generate_series(1, 100000)")
		platformtest.Await(t, "a notice", func() (bool, error) { return len(told()) == want, nil })
		stop()                                        // one program at a time holds the engine, and its monitor with it
		p.awaitLooks(t, func(c *jobs.MonitorConfig) { // the next one says it no second time
			c.WatchBytes, c.WatchEvery, c.WatchSlow, c.Now = 1<<20, 50*time.Millisecond, time.Nanosecond, time.Now
		})
		if n := len(told()); n != want {
			t.Errorf("%d notices, want %d", n, want)
		}
		stop = p.monitor(t, watch)
		exec(t, follower, "select pg_wal_replay_resume()")
		p.awaitReading(t, p.by, "caught up", func(r db.Reading) bool { return isZero(r.Lag) })
		platformtest.Await(t, "it may be told of again", func() (again bool, err error) {
			err = p.pool.QueryRow(t.Context(), "select behind_told_at is null from readings where database_id = $1", p.by.ID).Scan(&again)
			return again, err
		})
		stop()
	}
	fallBehind(1)
	if n := told()[0]; n.Level != platform.NoticeWarn || len(n.Figures) != 3 || n.Figures[0].Unit == "" {
		t.Errorf("the notice %+v", n)
	}
	fallBehind(2)
}

// awaitLooks runs a monitor until it has looked at the followers three times.
func (p *watchedPair) awaitLooks(t *testing.T, change func(*jobs.MonitorConfig)) {
	t.Helper()
	looks := make(chan struct{}, 1000)
	stop := p.monitor(t, func(c *jobs.MonitorConfig) {
		change(c)
		now := c.Now
		c.Now = func() time.Time { looks <- struct{}{}; return now() } // asked once a look at a follower that is held up
	})
	for range 4 { // the first is that of the old samples
		select {
		case <-looks:
		case <-time.After(20 * time.Second):
			t.Fatal("the monitor did not look within 20 s")
		}
	}
	stop()
}

func pidOf(t *testing.T, conn *pgx.Conn) uint32 { t.Helper(); return conn.PgConn().PID() }
