package platform

import "time"

// DatabaseState is where a database is in its life.
type DatabaseState string

// The states of a database. Fenced means: in recovery on purpose, takes no
// write from anybody (safety 1).
const (
	DatabaseCreating   DatabaseState = "creating"
	DatabaseAvailable  DatabaseState = "available"
	DatabaseFenced     DatabaseState = "fenced"
	DatabaseDestroying DatabaseState = "destroying"
	DatabaseDestroyed  DatabaseState = "destroyed"
)

// Database is an add-on: one real PostgreSQL cluster, billed to one app.
type Database struct {
	ID      int64
	Name    string // postgresql-<word>-<5 digits>
	AppID   int64  // the app it is billed to
	AppName string
	Plan    string
	State   DatabaseState
	Major   int // PostgreSQL major version
	// ServerID is the server that is the database now; nil before one exists.
	ServerID *int64
	// FollowingID is the leader it follows; nil for a leader.
	FollowingID *int64
	// ReadableAt is when a follower first caught up; nil until then, and for leaders.
	ReadableAt   *time.Time
	ForkedFromID *int64
	// ForkReady is false for a fresh fork until its first full checkpoint.
	ForkReady bool
	// ReplacedByID is the database that took this one's place in a changeover.
	ReplacedByID *int64
	FencedAt     *time.Time
	// FullAt is since when it refuses what would make it larger, since its data
	// has reached its plan's storage; nil while it takes every write.
	FullAt       *time.Time
	DatabaseName string // name of the database inside the cluster, random
	RoleName     string // the app's role, random
	CreatedAt    time.Time
	DestroyedAt  *time.Time
}

// IsFollower is whether the database follows another one.
func (d Database) IsFollower() bool { return d.FollowingID != nil }

// Server is one PostgreSQL server: a data directory, a port, a zone.
type Server struct {
	ID         int64
	DatabaseID int64 // 0 for a shared cluster
	// Shared is a cluster that holds databases of many apps and belongs to none.
	Shared bool
	Zone   string
	Port   int
	Major  int
	Plan   string
	// Fenced is the engine's mark in the control database; either it or the
	// file in the data directory is enough to start in recovery (safety 1.3).
	Fenced bool
	// LeaderID is the server it streams from; nil for a leader and for a fenced server.
	LeaderID    *int64
	State       ServerState
	CreatedAt   time.Time
	DestroyedAt *time.Time
}

// ServerState is what the engine is meant to make true of a server.
type ServerState string

// The intended states of a server. Made means its directory is being filled:
// it must not be started by the engine on its own.
const (
	ServerMaking    ServerState = "making"
	ServerRunning   ServerState = "running"
	ServerStopped   ServerState = "stopped" // an operation holds it stopped
	ServerDestroyed ServerState = "destroyed"
)

// Lag is how far a follower is behind its leader, by the formulas of safety 7.
type Lag struct {
	At      time.Time
	Known   bool // false: the leader or the follower does not answer; the rest is as of Since
	Since   time.Time
	Commits int64
	Bytes   int64
	Seconds float64
}

// CaughtUp is whether the follower is near enough to be read and switched to.
func (l Lag) CaughtUp() bool { return l.Known && l.Commits <= CaughtUpCommits }
