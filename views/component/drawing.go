package component

import (
	"time"

	"changeover/internal/platform"
)

// Topology is the picture of a leader, its followers and the apps that use them.
type Topology struct {
	Apps      []TopologyApp
	Leader    TopologyNode
	Followers []TopologyNode
}

// TopologyApp is an app that uses the leader or a follower.
type TopologyApp struct {
	Name          string
	Formation     string // "web=2 worker=1"; empty for none
	MaintenanceOn bool
	Connections   *int   // nil where it cannot be told
	To            string // the node's Name; empty means the leader
	Pool          string // the page of its connection pool; empty: it has none
}

// TopologyNode is one database in the picture.
type TopologyNode struct {
	Name, Plan, Zone string
	Version          string // "17.6"; leader only
	Label            string // a follower's attachment: "WHITE"; may be empty
	Status           Status
	Current          bool // the database whose page this is
	Unseen           bool // the reader does not see its page: no link
	Replaced         bool // a leader whose place another has taken
	Connections      int
	ConnectionLimit  int
	DataBytes        int64
	StorageBytes     int64
	CommitsPerSecond float64
	WALPerSecond     float64 // bytes
	// Lag is nil for the leader and for a follower that does not stream yet.
	Lag *platform.Lag
	// Progress is shown on the arrow in place of the lag: "copied 12.1 of 38.4 GB".
	Progress string
	Answers  bool
}

// Standing is the small drawing "Where things stand" of an operation.
type Standing struct {
	AppName, AppNote string // "sushi", "maintenance mode"
	From, To         StandingNode
	// Arrow is what stands beside the arrow: "3.2 MB behind, 41 commits".
	Arrow string
	// Switched is whether To is the leader now: it then stands first.
	Switched bool
	// Refused is whether writes are refused now; Late whether To is too far behind.
	Refused, Late bool
}

// StandingNode is one server of Standing; an empty Name leaves it out.
type StandingNode struct {
	Name, Plan, Word string // Word: "Leader, fenced", "Follower, zone b"
	Fenced, Leads    bool
}

// LagPlot is the lag of one or more followers over a span.
type LagPlot struct {
	DatabaseName string
	Range        string // "1h", "6h", "24h", "7d"
	Unit         string // "commits", "bytes", "seconds"
	From, To     time.Time
	Series       []LagSeries
	Switches     []SwitchMark
	Summary      string // "AMBER was above 200 for 14 minutes today"
}

// LagSeries is one follower's lag, oldest point first.
type LagSeries struct {
	Name   string // the database
	Label  string // "WHITE", or the short name
	Points []LagPoint
}

// LagPoint is one sample. Known is false for a gap (the leader did not answer).
type LagPoint struct {
	At      time.Time
	Commits int64
	Bytes   int64
	Seconds float64
	Known   bool
}

// SwitchMark is a switch on the plot's time axis.
type SwitchMark struct {
	At       time.Time
	OutageMS float64
	URL      string // its operation
}
