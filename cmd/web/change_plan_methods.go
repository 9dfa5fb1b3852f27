package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/views/page"
)

// fillMethods fills in the three columns. Upgrade and copy are not built yet,
// and their columns say so; their figures are left out, not made up.
func (a *app) fillMethods(ctx context.Context, view *page.ChangePlanView, row db.DatabaseListRow, followers []db.DatabaseListRow, picked *db.DatabaseListRow) error {
	usual, err := db.StepDurations(ctx, a.pool, platform.FollowerChangeover, row.Database.ID, 3)
	if err != nil {
		return err
	}
	infos := a.jobs.Steps(platform.FollowerChangeover)
	if picked != nil {
		// The follower is there: what would make it is not done.
		infos = slices.DeleteFunc(slices.Clone(infos), func(i workflow.Info) bool {
			return i.Name == "reserve_server" || i.Name == "copy_leader" || i.Name == "start_follower" || i.Name == "attach"
		})
	}
	outages, err := a.outagesBefore(ctx, row.Database.ID, math.MaxInt64)
	if err != nil {
		return err
	}
	usually := median(outages)
	view.Timeline = planned(infos, usual, usually)
	expected := page.MethodCell{Value: "not measured yet", Note: "everything is put back after " + wordsOf(view.Timeline.Band.Deadline)}
	if len(outages) > 0 {
		view.ExpectedMS = float64(usually) / float64(time.Millisecond)
		parts := make([]string, len(outages))
		for i, d := range outages {
			parts[i] = fmt.Sprintf("%.0f", float64(d)/float64(time.Millisecond))
		}
		view.ExpectedFrom = fmt.Sprintf("from %s of this data: %s ms", switches(len(outages)), strings.Join(parts, ", "))
		expected = page.MethodCell{Value: fmt.Sprintf("%.0f ms", view.ExpectedMS), Note: view.ExpectedFrom}
	}
	upgrade := page.Method{
		Key: "upgrade", Title: "Upgrade", Text: "A replacement is prepared and takes over in the maintenance window. The name stays.",
		State: "Not available yet", Why: "This version of Changeover does not do it yet. Use follower changeover.",
	}
	duplicate := page.Method{
		Key: "copy", Title: "Copy", Text: "Dump and load into a new database. The way out of Essential and across major versions.",
		State: "Not available yet", Why: "This version of Changeover does not do it yet. Use pg_dump and pg_restore by hand.",
	}
	for _, m := range []*page.Method{&upgrade, &duplicate} {
		none := page.MethodCell{Value: "–"}
		m.Version, m.Outage, m.Preparation, m.ExtraCost, m.Followers, m.Names, m.UndoUntil = none, none, none, none, none, none, none
	}
	view.Methods = []page.Method{upgrade, a.changeoverMethod(view, row, followers, picked, expected), duplicate}
	return nil
}

func (a *app) changeoverMethod(view *page.ChangePlanView, row db.DatabaseListRow, followers []db.DatabaseListRow, picked *db.DatabaseListRow, expected page.MethodCell) page.Method {
	m := page.Method{
		Key: "changeover", Title: "Follower changeover", Text: "A follower on the new plan becomes the leader, at once.",
		Possible: view.Refusal == "", State: "Yes", Outage: expected,
		Version:   page.MethodCell{Value: "stays " + or(row.Reading.Version, fmt.Sprint(row.Database.Major)), Note: "the newest minor version installed"},
		ExtraCost: page.MethodCell{Value: monthly(view.Plan), Note: "the old leader, until it is destroyed"},
		Names:     page.MethodCell{Value: "new name", Note: "DATABASE_URL moves, the old leader gets a colour"},
		UndoUntil: page.MethodCell{Value: "the follower is unfollowed", Note: noReturnWords(view)},
		Followers: page.MethodCell{Value: "none here", Note: "any would stay with the old leader"},
	}
	if picked != nil {
		m.Preparation = page.MethodCell{Value: "none", Note: picked.Database.Name + " is there"}
	} else {
		const bytesPerSecond = 100 << 20
		m.Preparation = page.MethodCell{Value: "about " + wordsOf(time.Duration(view.DataBytes/bytesPerSecond+5)*time.Second), Note: "the app goes on meanwhile"}
	}
	if n := len(followers); n > 0 && (picked == nil || n > 1) {
		m.Followers = page.MethodCell{Value: "stay with the old leader", Note: "one button re-creates each"}
	}
	if m.Possible {
		m.Recommended, m.RecommendedWhy = true, "The only method of this version that can be used here."
		return m
	}
	m.State, m.Why = "No", view.Refusal
	if view.Plan.Tier.CanFollow && row.Database.State == platform.DatabaseAvailable && !row.Database.ForkReady {
		m.State, m.WouldHelp = "Not yet", "It becomes possible after the first full checkpoint, by itself."
	}
	return m
}

func noReturnWords(view *page.ChangePlanView) string {
	for _, s := range view.Timeline.Steps {
		if s.NoReturn {
			return fmt.Sprintf("step %d of %d", s.Position, len(view.Timeline.Steps))
		}
	}
	return ""
}

func switches(n int) string {
	if n == 1 {
		return "1 switch"
	}
	return fmt.Sprintf("%d switches", n)
}

// outagesBefore are the measured outages of the last three switches of this
// data that were started before an operation, newest first: those from this
// database and the one by which it became the leader.
func (a *app) outagesBefore(ctx context.Context, databaseID, operationID int64) ([]time.Duration, error) {
	operations, err := db.OperationsOf(ctx, a.pool, databaseID, mostHistory)
	if err != nil {
		return nil, err
	}
	var outages []time.Duration
	for _, op := range operations {
		if op.ID >= operationID || op.Kind != platform.FollowerChangeover || op.State != platform.OperationCompleted || len(outages) == 3 {
			continue
		}
		change, err := db.ChangeoverOf(ctx, a.pool, op.ID)
		if err != nil {
			return nil, err
		}
		if change.OutageMS != nil {
			outages = append(outages, time.Duration(*change.OutageMS*float64(time.Millisecond)))
		}
	}
	return outages, nil
}
