package switching

import (
	"context"
	"time"

	"changeover/bench/ledger"
)

// Side is one of the two that are compared: the program, or the script by hand.
type Side interface {
	Name() string
	// URLs are those of the server that takes writes and of the one that is to
	// take its place, as they are before a switch.
	URLs() (old, new string)
	// Source is where the app learns what to write to.
	Source(ctx context.Context) (string, error)
	// Prepare makes the server to which the next switch goes.
	Prepare(ctx context.Context) error
	// Switch puts it in the other one's place and returns when all is done, with
	// what each step took, in order.
	Switch(ctx context.Context) (Outcome, error)
	// Close ends every process of the side.
	Close(ctx context.Context) error
}

// Outcome is what a side itself tells of a switch.
type Outcome struct {
	Steps []Step
	// ClaimedMS is the outage that the side measured itself, in milliseconds; 0
	// when it did not.
	ClaimedMS float64
}

// Step is one step of a switch; InOutage is whether the app is down in it.
type Step struct {
	Name     string
	Took     time.Duration
	InOutage bool
	Began    time.Time // zero where the side does not tell
}

// contestant is a side with its writers and what was measured of it so far.
type contestant struct {
	Side
	writers  *ledger.Writers
	pooled   bool
	switches []measured
	final    ledger.Audit
}

// measured is one switch as its writers and the watch saw it.
type measured struct {
	report  ledger.Report
	gap     ledger.Gap // the longest of the report
	audit   ledger.Audit
	moments ledger.Moments
	outcome Outcome
	total   time.Duration // from the request to everything done
}
