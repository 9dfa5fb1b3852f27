// Package layout owns the frame around every page: rail, top bar, search, what
// is running. It imports only views/component and templ.
package layout

import (
	"time"

	"changeover/views/component"
)

// Nav is an item of the rail.
type Nav string

// The items of the rail.
const (
	NavNone         Nav = ""
	NavApps         Nav = "apps"
	NavDatabases    Nav = "databases"
	NavMaintenances Nav = "maintenances"
	NavNotices      Nav = "notices"
	NavAudit        Nav = "audit"
	NavSettings     Nav = "settings"
	NavPlans        Nav = "plans"
)

// Frame is everything around a page's own content.
type Frame struct {
	// Title is the page's name, without the product's: "postgresql-shaped-12345".
	Title string
	// Breadcrumbs lead here; the last one is this page and needs no URL.
	Breadcrumbs []component.Link
	Active      Nav
	// Apps, Databases and Maintenances (those to come) are the counts in the rail.
	Apps, Databases, Maintenances int
	UnreadNotices                 int
	Running                       []RunningOperation
	// Email is who is signed in; Initials stand in the account button.
	Email, Initials string
	// CSRF is the session's token, sent as csrf_token with every POST.
	CSRF string
	// ControlLatency is how long the control database took to answer;
	// ControlAway is set when it does not answer.
	ControlLatency time.Duration
	ControlAway    bool
	Version        string // "1.4.0"
	// Asset turns a name below static/ into its content-hashed URL.
	Asset func(name string) string
	Flash *Flash
	// Topics are what the page watches over /live: "database:12", "rail".
	// Empty means that the page is not live.
	Topics []string
	// Shape names what of the page no live fragment brings up to date; empty where
	// fragments bring all of it.
	Shape string
	// Answer is set where the page is the answer to a form, which has no address of
	// its own and cannot be asked for again; AnswerTo is the form's page then, empty
	// where that is not known.
	Answer   bool
	AnswerTo string
	// RenderedAt is when the page's data was read.
	RenderedAt time.Time
	// Freshness stands in the top bar in place of the data's age, where the page is
	// of one moment, FreshAt: "Ended" for "Ended 6 minutes ago".
	Freshness string
	FreshAt   time.Time
	// Theme is "", "light" or "dark"; the cookie "theme" holds the choice.
	Theme string
	// Query is what was searched for.
	Query string
	// Wide pages fill the width (the mailbox) and bring their own padding.
	Wide bool
}

// RunningOperation is an operation in the rail.
type RunningOperation struct {
	ID          int64
	Title       string // "Follower changeover"
	Database    string
	Reason      string // "Waiting for 0 commits"
	Figure      string // "3.2 MB", "61 %"; may be empty
	Step, Steps int
	StepTitle   string // "Copy the data"; empty before the first
	Percent     int    // of the whole operation, 0 to 100
	Undoing     bool
	NeedsPerson bool
}

// Flash is a sentence about what was just done.
type Flash struct {
	Tone component.Tone
	Text string
	Link component.Link // may be empty
}
