// Package platformtest gives tests real PostgreSQL servers: a leader and its
// followers in a temporary state directory, ended and removed when the test
// ends. It must not be imported by anything but tests.
package platformtest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/engine/local"
)

// Epoch is what the helpers act with; a test's own acts take it or a higher one.
const Epoch = 1

// Platform is an engine in a state directory of its own.
type Platform struct {
	*local.Engine
	// Home is the state directory, short enough for a socket.
	Home    string
	servers atomic.Int64
	mu      sync.Mutex
	taken   map[int]bool
}

// Server is a running server and the ways into it.
type Server struct {
	engine.Server
	engine.Credentials
	Password string
	// URL is what an app would be given.
	URL string
	// Slot is, for a follower, its slot on the leader.
	Slot     string
	platform *Platform
}

// New is an engine in a temporary state directory. Everything in it is stopped
// and removed when the test ends. For a TestMain, which has no *testing.T, use Open.
func New(t testing.TB) *Platform {
	t.Helper()
	return NewWith(t, os.Getenv("CHANGEOVER_PGBOUNCER"))
}

// NewWith is New with the PgBouncer of that path; "" is the one that is installed.
func NewWith(t testing.TB, pgbouncer string) *Platform {
	t.Helper()
	p, closePlatform, err := open(io.Discard, pgbouncer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closePlatform(); err != nil {
			t.Errorf("end of the platform: %v", err)
		}
	})
	return p
}

// Open is New with the engine's log going to log; the caller must call close.
func Open(log io.Writer) (p *Platform, closePlatform func() error, err error) {
	return open(log, os.Getenv("CHANGEOVER_PGBOUNCER"))
}

func open(log io.Writer, pgbouncer string) (p *Platform, closePlatform func() error, err error) {
	home, err := os.MkdirTemp("/tmp", "co-test-")
	if err != nil {
		return nil, nil, err
	}
	if err := os.Chmod(home, 0o755); err != nil {
		return nil, nil, err
	}
	e, err := local.Open(local.Config{Home: home, Zones: []local.Zone{{Name: "a", Dir: home}, {Name: "b", Dir: home + "/b"}},
		ExtraBinDirs: filepath.SplitList(os.Getenv("CHANGEOVER_POSTGRES_BIN")), PgBouncer: pgbouncer, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		_ = os.RemoveAll(home)
		return nil, nil, err
	}
	p = &Platform{Engine: e, Home: home, taken: map[int]bool{}}
	return p, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := e.KillAll(ctx); err != nil {
			return err
		}
		return os.RemoveAll(home)
	}, nil
}

// Plan finds a plan of the shipped catalogue.
func Plan(t testing.TB, name string) platform.Plan {
	t.Helper()
	catalogue, err := platform.ShippedCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := catalogue.Plan(name)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// NewServer is the description of a server that does not exist yet: a fresh id
// and a free port, zone a, the newest major.
func (p *Platform) NewServer(t testing.TB, plan string) engine.Server {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	port, err := p.FreePort(p.taken)
	if err != nil {
		t.Fatal(err)
	}
	p.taken[port] = true
	return engine.Server{ID: p.servers.Add(1), Zone: "a", Port: port, Major: p.Installations()[0].Major, Plan: Plan(t, plan)}
}

// NewCredentials are random; the password is given beside its verifier.
func NewCredentials(t testing.TB) (c engine.Credentials, password string) {
	t.Helper()
	password = platform.RandomToken(32)
	verifier, err := engine.Verifier(password)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Credentials{DatabaseName: platform.RandomToken(12), RoleName: platform.RandomToken(12), Verifier: verifier}, password
}

// Leader makes and starts an empty leader on plan, such as "standard-0".
func (p *Platform) Leader(t testing.TB, plan string) *Server {
	t.Helper()
	s := p.NewServer(t, plan)
	credentials, password := NewCredentials(t)
	if err := p.Create(t.Context(), Epoch, s, credentials); err != nil {
		t.Fatalf("create: %v", err)
	}
	leader := p.server(s, credentials, password)
	leader.Start(t)
	return leader
}

// Shared makes and starts an empty shared cluster.
func (p *Platform) Shared(t testing.TB) *Server {
	t.Helper()
	catalogue, err := platform.ShippedCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewServer(t, "essential-0")
	s.Plan, s.Shared = catalogue.Shared, true
	if err := p.CreateShared(t.Context(), Epoch, s); err != nil {
		t.Fatalf("create: %v", err)
	}
	cluster := p.server(s, engine.Credentials{DatabaseName: "postgres"}, "")
	cluster.Start(t)
	return cluster
}

// Member makes a database on plan in a shared cluster; what is given is the
// cluster as that database's app sees it.
func (p *Platform) Member(t testing.TB, cluster *Server, plan string) *Server {
	t.Helper()
	credentials, password := NewCredentials(t)
	of := Plan(t, plan)
	err := p.CreateDatabase(t.Context(), Epoch, cluster.Server, engine.SharedDatabase{Credentials: credentials, Connections: of.Connections, TempBytes: of.TempBytes()})
	if err != nil {
		t.Fatalf("create a database: %v", err)
	}
	return p.server(cluster.Server, credentials, password)
}

// Follower makes a follower of leader on leader's plan, in zone b, and returns
// when it streams.
func (p *Platform) Follower(t testing.TB, leader *Server) *Server {
	t.Helper()
	s := p.NewServer(t, leader.Plan.Name)
	s.Zone = "b"
	slot := SlotName(s.ID)
	if err := p.Copy(t.Context(), Epoch, s, leader.Server, slot); err != nil {
		t.Fatalf("copy: %v", err)
	}
	p.AwaitCopy(t, s)
	follower := p.server(s, leader.Credentials, leader.Password)
	follower.Slot = slot
	follower.Start(t)
	follower.AwaitStreaming(t, leader)
	return follower
}

// SlotName is the slot that the server of that id has on its leader.
func SlotName(id int64) string { return "follower_" + strconv.FormatInt(id, 10) }

// AwaitCopy returns when the copy into s is done.
func (p *Platform) AwaitCopy(t testing.TB, s engine.Server) {
	t.Helper()
	Await(t, "the copy", func() (bool, error) {
		progress, err := p.CopyProgress(t.Context(), s)
		if err == nil && progress.Failure != "" {
			err = fmt.Errorf("the copy failed: %s", progress.Failure)
		}
		return progress.Done, err
	})
}

func (p *Platform) server(s engine.Server, c engine.Credentials, password string) *Server {
	return &Server{Server: s, Credentials: c, Password: password, platform: p, URL: URL(p.Host(), s.Port, c, password)}
}

// URL is the address an app is given.
func URL(host string, port int, c engine.Credentials, password string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(c.RoleName, password), Host: host + ":" + strconv.Itoa(port), Path: "/" + c.DatabaseName, RawQuery: "sslmode=require"}
	return u.String()
}

// Start starts s and fails the test with its log where it does not.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.platform.Start(t.Context(), Epoch, s.Server); err != nil {
		t.Fatalf("start: %v\n%s", err, s.platform.Log(s.Server, 30))
	}
}

// DataDir is the server's data directory.
func (s *Server) DataDir() string { return s.platform.DataDir(s.Server) }

// DataDir is where s has its data directory.
func (p *Platform) DataDir(s engine.Server) string {
	dir := p.Home
	if s.Zone != "a" {
		dir = filepath.Join(dir, s.Zone)
	}
	return filepath.Join(dir, "servers", strconv.FormatInt(s.ID, 10), "data")
}

// Pids are the processes of the server.
func (s *Server) Pids(t testing.TB) []int {
	t.Helper()
	pids, err := s.platform.Processes(s.Server)
	if err != nil {
		t.Fatal(err)
	}
	return pids
}
