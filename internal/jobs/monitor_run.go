package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5/pgxpool"
)

// MonitorConfig is what the monitor works with. The times and sizes are the
// specification's where they are zero; tests shrink them.
type MonitorConfig struct {
	Pool *pgxpool.Pool
	// Engine tells how to connect to a server, and what goes on in a pool.
	Engine monitorEngine
	Log    *slog.Logger
	// Catalogue has the limits of the plans; without it nobody is told of one, and
	// no database is full.
	Catalogue platform.Catalogue
	// Now is the clock of the watch; time.Now when nil.
	Now func() time.Time

	SampleEvery time.Duration // positions of leaders and followers; 500 ms, so that a page's lag is never 1 s old
	FactsEvery  time.Duration // sizes, connections, rates; 5 s
	PoolsEvery  time.Duration // what goes on in the connection pools; 1 s
	// PoolSampleEvery is the time between two points of the plot of a pool's waits; 5 s.
	PoolSampleEvery time.Duration

	StaleAfter  time.Duration // a sample older than this is no answer; 3 s
	KeepSamples time.Duration // of the plot; 24 h

	WatchEvery    time.Duration // 10 s
	WatchBytes    int64         // behind by more: a notice names what holds replay up; 1024 MB
	WatchPatience time.Duration // no better after this: it is terminated; 1 h
	WatchAge      time.Duration // transactions younger than this are not named; 10 s
	WatchSlow     time.Duration // behind for so long without anybody's query in the way: a notice says so; 1 min
}

// Monitor reads all servers that run, again and again, and writes what it finds
// to the control database. Only the process that holds the engine runs it.
type Monitor struct {
	MonitorConfig

	mu       sync.Mutex
	watched  map[int64]*watched          // by database
	trackers map[int64]*postgres.Tracker // by the leader's server
	readying map[int64]bool              // forks that a checkpoint is under way on
	lastKept time.Time                   // newest sample of the plot
	pooled   map[int64]*pooled           // by pool; only readPools touches it
}

// watched is one database with its server, and what is known of it here.
type watched struct {
	db.DatabaseWithServer
	leaderServerID int64 // of a follower; 0 for a leader
	followed       bool
	lag            platform.Lag      // newest, of a follower
	position       postgres.Position // newest, of a follower
	behindSince    time.Time         // since when it is too far behind; zero while it is not
	lostSlots      []string          // of a leader: WAL that their followers need is gone
	stop           context.CancelFunc
}

// sampled is whether the positions of the server are needed.
func (w *watched) sampled() bool { return w.followed || w.leaderServerID != 0 }

// isSame is whether w can go on being read as it is when the table now says n.
func (w *watched) isSame(n *watched) bool {
	return w.Server.ID == n.Server.ID && w.Database.DatabaseName == n.Database.DatabaseName && w.Server.Port == n.Server.Port && w.leaderServerID == n.leaderServerID && w.followed == n.followed
}

// NewMonitor makes a monitor. It does nothing before Run.
func NewMonitor(c MonitorConfig) *Monitor {
	if c.Now == nil {
		c.Now = time.Now
	}
	for _, d := range []struct {
		field    *time.Duration
		standard time.Duration
	}{
		{&c.SampleEvery, 500 * time.Millisecond}, {&c.FactsEvery, 5 * time.Second}, {&c.PoolsEvery, time.Second}, {&c.PoolSampleEvery, 5 * time.Second}, {&c.StaleAfter, 3 * time.Second},
		{&c.KeepSamples, 24 * time.Hour}, {&c.WatchEvery, 10 * time.Second}, {&c.WatchPatience, time.Hour}, {&c.WatchAge, 10 * time.Second}, {&c.WatchSlow, time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.standard
		}
	}
	if c.WatchBytes == 0 {
		c.WatchBytes = 1024 << 20
	}
	return &Monitor{MonitorConfig: c, watched: map[int64]*watched{}, trackers: map[int64]*postgres.Tracker{}, readying: map[int64]bool{}}
}

// Run monitors until ctx ends and returns when all of it has ended.
func (m *Monitor) Run(ctx context.Context) {
	var all sync.WaitGroup
	loops := []struct {
		what  string
		every time.Duration
		look  func(context.Context) error
	}{
		{"publish lag", m.SampleEvery, m.publishLag},
		{"look at connection pools", m.PoolsEvery, m.readPools},
		{"ready forks", 2 * time.Second, func(ctx context.Context) error { m.readyForks(ctx, &all); return nil }},
		{"watch followers", m.WatchEvery, m.watchFollowers},
		{"forget old samples", 10 * time.Minute, m.forgetSamples},
		{"add up notices", 10 * time.Minute, func(ctx context.Context) error { return db.FoldNoticeSums(ctx, m.Pool) }},
	}
	for _, l := range loops {
		all.Go(func() { m.every(ctx, l.what, l.every, l.look) })
	}
	m.every(ctx, "list servers", time.Second, func(ctx context.Context) error { return m.refresh(ctx, &all) })
	all.Wait()
}

// every looks at once and then at each whole multiple of the period, so that
// all servers are sampled in the same moment: two positions taken half a second
// apart would show a lag that is none.
func (m *Monitor) every(ctx context.Context, what string, period time.Duration, look func(context.Context) error) {
	for failed := false; ; {
		err := look(ctx)
		if err != nil && ctx.Err() == nil && !failed {
			m.Log.Warn(what+" failed; it is tried again", "error", err)
		}
		failed = err != nil
		now := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-time.After(now.Truncate(period).Add(period).Sub(now)):
		}
	}
}

// refresh starts and ends the reading of servers as the control database has them.
func (m *Monitor) refresh(ctx context.Context, all *sync.WaitGroup) error {
	list, err := db.ListRunning(ctx, m.Pool)
	if err != nil {
		return err
	}
	wanted := wantedOf(list)
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, w := range m.watched {
		if n := wanted[id]; n == nil || !w.isSame(n) {
			w.stop()
			delete(m.watched, id)
			if t := m.trackers[w.leaderServerID]; t != nil {
				t.Forget(id)
			}
			if n == nil || !n.followed || n.Server.ID != w.Server.ID {
				delete(m.trackers, w.Server.ID)
			}
		}
	}
	for id, n := range wanted {
		if w := m.watched[id]; w != nil {
			w.DatabaseWithServer = n.DatabaseWithServer // its state or plan may have changed
			continue
		}
		own, stop := context.WithCancel(ctx)
		n.stop = stop
		m.watched[id] = n
		r := &reader{monitor: m, databaseID: id, poke: make(chan struct{}, 1),
			config: m.Engine.Admin(engineServerOf(n.Server), n.Database.DatabaseName)}
		all.Go(func() { r.facts(own) })
		if n.sampled() {
			m.seed(ctx, n)
			all.Go(func() { r.samples(own) })
		}
	}
	return nil
}

// wantedOf says of each database whether it leads or follows another of the list.
func wantedOf(list []db.DatabaseWithServer) map[int64]*watched {
	wanted := make(map[int64]*watched, len(list))
	for _, d := range list {
		wanted[d.Database.ID] = &watched{DatabaseWithServer: d}
	}
	for _, w := range wanted {
		if w.Database.FollowingID == nil {
			continue
		}
		if leader := wanted[*w.Database.FollowingID]; leader != nil {
			w.leaderServerID, leader.followed = leader.Server.ID, true
		}
	}
	return wanted
}

// engineServerOf is all that an engine needs in order to say how to connect.
func engineServerOf(s platform.Server) engine.Server {
	return engine.Server{ID: s.ID, Zone: s.Zone, Port: s.Port, Major: s.Major, Fenced: s.Fenced, Shared: s.Shared}
}

// forgetSamples deletes what the plot no longer shows, a little at a time.
func (m *Monitor) forgetSamples(ctx context.Context) error {
	const atOnce = 1000 // rows a follower, or a pool
	for _, forget := range []func(context.Context, db.Querier, time.Time, int) (int64, error){db.DeleteOldLagSamples, db.DeleteOldPoolSamples} {
		for {
			n, err := forget(ctx, m.Pool, m.Now().Add(-m.KeepSamples), atOnce)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
		}
	}
	return nil
}
