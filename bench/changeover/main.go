// Command changeover measures follower changeovers of the real program beside
// the same switch made by a script, in one run and in turns: what eight writers
// with direct connections see of it, and whether anything that was acknowledged
// is missing afterwards. docs/benchmarks.md tells what is measured and how.
//
// The last line of its output is one JSON object. The exit status is 0 whenever
// it measured, whatever the figures are.
package main

import (
	"context"
	"net/url"

	"changeover/bench/switching"
)

func main() { benchmark.Main() }

var benchmark = switching.Benchmark{
	Name: "changeover", Title: "Follower changeover",
	New: func(p *switching.Product) switching.Side { return &side{Product: p} },
}

// side goes from leader to follower and back, each on the other plan.
type side struct {
	*switching.Product
	follower switching.Database
	fenced   string // the last leader, until it is destroyed
}

// URLs are the leader's and the follower's.
func (s *side) URLs() (leader, follower string) { return s.Leader.URL, s.follower.URL }

// Prepare destroys the old leader of the last switch and makes a follower on
// the other plan.
func (s *side) Prepare(ctx context.Context) error {
	if s.fenced != "" {
		if _, err := s.API.Start(ctx, "/databases/"+s.fenced+"/destroy", url.Values{"confirm": {s.App}}); err != nil {
			return err
		}
		s.fenced = ""
	}
	if err := s.WaitUntilFollowable(ctx); err != nil {
		return err
	}
	made, err := s.API.Start(ctx, "/databases/"+s.Leader.Name+"/followers", url.Values{"app": {s.App}, "plan": {switching.Plans[1-s.Plan]}})
	if err != nil {
		return err
	}
	s.follower, err = s.Reveal(ctx, made.Database)
	return err
}

// Switch changes over to the follower.
func (s *side) Switch(ctx context.Context) (switching.Outcome, error) {
	done, err := s.API.Start(ctx, "/databases/"+s.Leader.Name+"/changeover",
		url.Values{"follower": {s.follower.Name}, "confirm_jobs": {"true"}})
	if err != nil {
		return switching.Outcome{}, err
	}
	s.fenced, s.Leader, s.follower = s.Leader.Name, s.follower, switching.Database{}
	s.Plan = 1 - s.Plan
	return switching.OutcomeOf(done), nil
}
