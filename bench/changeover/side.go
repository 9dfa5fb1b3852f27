package main

import (
	"context"
	"time"

	"changeover/bench/ledger"
)

// side is one of the two that are compared: the program, or the script by hand.
type side interface {
	name() string
	// urls are the leader's and the follower's own, as they are before a switch.
	urls() (leader, follower string)
	// source is where the app learns what to write to.
	source(ctx context.Context) (string, error)
	// prepare makes the follower that the next switch goes to.
	prepare(ctx context.Context) error
	// changeOver makes the follower the leader and returns when all is done, with
	// what each step took, in order.
	changeOver(ctx context.Context) (outcome, error)
	// close ends every process of the side.
	close(ctx context.Context) error
}

// outcome is what a side itself tells of a switch.
type outcome struct {
	steps []step
	// claimedMS is the outage that the side measured itself, 0 when it did not.
	claimedMS float64
}

// step is one step of a switch; inOutage is whether the app is down in it.
type step struct {
	name     string
	took     time.Duration
	inOutage bool
}

// contestant is a side with its writers and what was measured of it so far.
type contestant struct {
	side
	writers  *ledger.Writers
	switches []measured
	final    ledger.Audit
}

// measured is one switch as its writers and the watch saw it.
type measured struct {
	report  ledger.Report
	audit   ledger.Audit
	moments ledger.Moments
	outcome outcome
	total   time.Duration // from the request to everything done
}
