// Package engine owns the words between the procedures and whatever makes and
// destroys servers, and what they agree on; each kind of engine is a package
// below it. It must not import jobs, db or the web.
package engine

import (
	"errors"
	"fmt"

	"changeover/internal/platform"
)

// Installation is one PostgreSQL that was found on this machine.
type Installation struct {
	Major   int
	Version string // "15.18"
	BinDir  string
}

// Server is all that an engine needs to know of a server.
type Server struct {
	ID     int64
	Zone   string
	Port   int
	Major  int
	Plan   platform.Plan
	Fenced bool // the mark in the control database
	// Shared is a cluster that holds databases of many owners. What would stop,
	// fence, promote or remove it for one of them is refused.
	Shared bool
}

// Credentials are what a new cluster is made with. Verifier is the SCRAM-SHA-256
// verifier of the app role's password; the password itself is never given.
type Credentials struct {
	DatabaseName string
	RoleName     string
	Verifier     string
}

// SharedDatabase is one database of a shared cluster, with its role and what it
// may use there.
type SharedDatabase struct {
	Credentials
	Connections int   // sessions at once
	TempBytes   int64 // temporary files of one session
}

// DatabaseCopy is what a snapshot shows of one database of a shared cluster, and
// where that goes: an empty database that EmptyDatabase has made, of the same or
// another shared cluster.
type DatabaseCopy struct {
	From, To               Server
	FromDatabase, Database string
	RoleName               string // the app's, the same on both sides
	Snapshot               string // exported by a session that lives until the copy has ended
}

// ControlState is pg_control's cluster state.
type ControlState string

// The cluster states that decisions are made on, in pg_controldata's words.
const (
	ShutDown           ControlState = "shut down"
	ShutDownInRecovery ControlState = "shut down in recovery"
	InProduction       ControlState = "in production"
	InArchiveRecovery  ControlState = "in archive recovery"
	InCrashRecovery    ControlState = "in crash recovery"
)

// ControlData is what pg_controldata says of a data directory.
type ControlData struct {
	SystemIdentifier uint64
	State            ControlState
	CheckpointLSN    platform.LSN // start of the latest checkpoint record
	Timeline         int
}

// Status is what the engine sees of a server, from outside.
type Status struct {
	Exists        bool // the data directory is there and complete
	Running       bool // a postmaster of this directory lives
	PID           int
	StandbySignal bool // standby.signal is in the directory
	Control       ControlData
}

// Progress is how far a copy of a leader's files has come, in bytes.
type Progress struct {
	Running     bool
	Done        bool
	CopiedBytes int64
	TotalBytes  int64
	// Failure is the copying program's last lines when it ended without success.
	Failure string
}

// ErrStaleEpoch means that a newer attempt already acted on the server: the
// caller must stop at once and undo nothing.
var ErrStaleEpoch = errors.New("a newer attempt has taken this server over")

// StartError is a server that did not come up; Log is the end of its log.
type StartError struct {
	ServerID int64
	Log      string
}

func (e *StartError) Error() string {
	return fmt.Sprintf("the server did not start. Its log ends with: %s", e.Log)
}

// Pool is a connection pool: a PgBouncer of its own, in front of one server. Its
// port is what apps connect to, and stays, whichever server is behind it.
type Pool struct {
	ID         int64
	Port       int
	ServerPort int // of the server that it leads to
	Credentials
	Size    int // connections to the server
	Clients int // connections of clients
}

// PoolStatus is what the engine sees of a pool.
type PoolStatus struct {
	Running bool
	// ServerPort is where it leads to by its files; 0 where there are none.
	ServerPort int
}
