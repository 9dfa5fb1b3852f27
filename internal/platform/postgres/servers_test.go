package postgres

import (
	"testing"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
)

// pair is a leader and its follower, with an app's role and database in them.
type pair struct {
	platform         *platformtest.Platform
	leader, follower *platformtest.Server
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := platformtest.New(t)
	leader := p.Leader(t, "standard-0")
	return &pair{platform: p, leader: leader, follower: p.Follower(t, leader)}
}

// catchUp waits until the follower has replayed what the leader has written.
func (p *pair) catchUp(t *testing.T) {
	t.Helper()
	p.follower.AwaitStreaming(t, p.leader)
}

// stopLeader gives the beginning of the shutdown checkpoint's record.
func (p *pair) stopLeader(t *testing.T) platform.LSN {
	t.Helper()
	check(t, p.platform.Stop(t.Context(), platformtest.Epoch, p.leader.Server))
	status, err := p.platform.Status(t.Context(), p.leader.Server)
	check(t, err)
	return status.Control.CheckpointLSN
}

// connectAs is a connection of the app under another application_name.
func connectAs(t *testing.T, s *platformtest.Server, application string) *pgx.Conn {
	t.Helper()
	conn := s.Connect(t)
	run(t, conn, "set application_name = '"+application+"'")
	return conn
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, q Querier, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := q.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// eventually waits until what is true; it fails the test after 20 s.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestRealServers runs what leaves a leader and its follower as they were.
func TestRealServers(t *testing.T) {
	p := newPair(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *pair)
	}{
		{"lag", testLag}, {"activity", testActivity}, {"synchronous wait", testSynchronousWait},
		{"synchronous candidate", testSynchronousCandidate},
		{"replay held up", testReplayHeldUp}, {"preflight", testPreflight}, {"proof and slots", testProofAndSlots},
	} {
		t.Run(test.name, func(t *testing.T) {
			app := p.leader.Connect(t)
			run(t, app, "drop table if exists t", "create table t (n int)")
			check(t, app.Close(t.Context()))
			eventually(t, "nobody is connected", func() bool {
				sessions, _, err := Sessions(t.Context(), p.leader.ConnectAdmin(t))
				return err == nil && sessions == 0
			})
			p.catchUp(t)
			test.run(t, p)
		})
	}
}
