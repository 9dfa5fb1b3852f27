// Package component owns the small parts that pages are made of: states, tags,
// meters, facts, timelines, forms, drawings. It imports only internal/platform
// and templ, never the web, the database or the procedures.
package component

import "time"

// Tone is what a state means for the reader. It chooses the colour and the
// icon; the word always stands beside them.
type Tone string

// The tones. Busy is "moves now", back is "was put back".
const (
	ToneNeutral Tone = ""
	ToneOK      Tone = "ok"
	ToneBusy    Tone = "busy"
	ToneWarn    Tone = "warn"
	ToneBad     Tone = "bad"
	ToneBack    Tone = "back"
	ToneOff     Tone = "off"  // cancelled, not possible
	ToneWait    Tone = "wait" // scheduled, waits for a time
	ToneInfo    Tone = "info"
)

// Status is a state for a person: a word with its tone, and a short note below.
type Status struct {
	Tone Tone
	Word string // "Available", "Changeover put back"
	Note string // "12 minutes ago", "step 8 of 14"; may be empty
}

// Link is a place to go. An empty URL shows Text alone.
type Link struct {
	Text string
	URL  string
}

// Button is one act: a link (Method empty) or a POST to URL.
type Button struct {
	Text   string
	URL    string
	Post   bool // true: a POST without fields; false: a link
	Danger bool // outlined red
	TestID string
	// Name and Value are sent with a POST, when Name is set.
	Name, Value string
}

// Fact is one row of a facts list. An empty Value shows as "–" (does not
// apply). Time, when set, is shown in the reader's zone in place of Value.
type Fact struct {
	Label string
	Value string
	Note  string // second line
	URL   string // makes the value a link
	Mono  bool
	Time  time.Time
	// Links, when set, are shown in place of Value, with commas between.
	Links  []Link
	TestID string
	// Band draws the small band before Value: a span in which writes are refused.
	Band bool
}

// Check is one line of a preflight or of "what was found".
type Check struct {
	Tone   Tone   // ok, warn (to know) or bad (in the way)
	Label  string // "Long transactions"
	Detail string // "none longer than 5 s"
	Mono   bool   // Detail is a path, a name or SQL
}

// RoleKind is what a database is to the others.
type RoleKind string

// The roles.
const (
	RoleLeader   RoleKind = "leader"
	RoleFollower RoleKind = "follower"
	RoleFork     RoleKind = "fork"
	RoleReplaced RoleKind = "replaced" // the old leader after a changeover
)

// Role is what a database is to the others, and to whom.
type Role struct {
	Kind RoleKind
	Note string // "2 followers", "of shaped-12345"
}

// Word is the role's name.
func (r Role) Word() string {
	switch r.Kind {
	case RoleFollower:
		return "Follower"
	case RoleFork:
		return "Fork"
	case RoleReplaced:
		return "Replaced"
	}
	return "Leader"
}

// Connected is one client of a server, for the lists "Connected now" and
// "Still connected". CanEnd shows the buttons to cancel and to terminate.
type Connected struct {
	PID          int // 0 where the row stands for Count clients
	Name         string
	Note         string // "idle in transaction for 14 min"
	Count        int
	DatabaseName string // whose activity the buttons act on
	CanEnd       bool
}
