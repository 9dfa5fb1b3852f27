package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
)

// usualTimes is what the steps of a kind of operation took the last times.
type usualTimes struct {
	took map[string][]time.Duration // by step
	from string                     // whose times they are, in words; empty without any
}

// mostUsual is how many operations are looked back at.
const mostUsual = 3

func (u usualTimes) of(step string) time.Duration { return median(u.took[step]) }

// sameStep is a step of another kind of switch that does the same.
var sameStep = map[string]string{
	"unfollow": "promote_replacement", "promote_replacement": "unfollow", "promote": "point_config_vars", "point_config_vars": "promote",
}

// usual is what the steps took the last times on this database. On one that
// has none yet the steps of the outage stand in from other kinds of switches
// here, else from other databases of this machine, and it is said: what does
// not grow with the data is much the same there. The other steps then have no
// time rather than a wrong one.
func (a *app) usual(ctx context.Context, kind platform.OperationKind, databaseID int64, infos []workflow.Info) (usualTimes, error) {
	took, err := db.StepDurations(ctx, a.pool, []platform.OperationKind{kind}, databaseID, mostUsual)
	if err != nil {
		return usualTimes{}, err
	}
	if n := mostTimes(took); n > 0 {
		return usualTimes{took, lastTimes(n) + " here"}, nil
	}
	if !kind.Switches() {
		return usualTimes{}, nil
	}
	switches := []platform.OperationKind{platform.FollowerChangeover, platform.Upgrade, platform.SwitchBack}
	for _, from := range []struct {
		databaseID int64
		words      string
	}{{databaseID, " here"}, {0, " on other databases"}} {
		others, err := db.StepDurations(ctx, a.pool, switches, from.databaseID, mostUsual)
		if err != nil {
			return usualTimes{}, err
		}
		took := map[string][]time.Duration{}
		for _, info := range infos {
			if times := slices.Concat(others[info.Name], others[sameStep[info.Name]]); info.Downtime && len(times) > 0 {
				took[info.Name] = times
			}
		}
		if n := mostTimes(took); n > 0 {
			return usualTimes{took, lastTimes(n) + from.words}, nil
		}
	}
	return usualTimes{}, nil
}

func mostTimes(took map[string][]time.Duration) (n int) {
	for _, all := range took {
		n = max(n, len(all))
	}
	return n
}

// lastTimes is "the last time", "the last 3 times".
func lastTimes(n int) string {
	if n == 1 {
		return "the last time"
	}
	return fmt.Sprintf("the last %d times", n)
}
