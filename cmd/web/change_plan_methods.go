package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/views/page"
)

// The methods' keys, as links and forms send them.
const (
	methodUpgrade    = "upgrade"
	methodChangeover = "changeover"
)

// chosenMethod is the method that was asked for, else the one to look at first:
// whoever names a follower means a changeover.
func chosenMethod(method, follower string) string {
	switch {
	case method == methodUpgrade || method == methodChangeover:
		return method
	case follower != "":
		return methodChangeover
	}
	return methodUpgrade
}

// fillMethods fills in the three columns and the steps of the chosen one. Copy
// is not built yet, and its column says so; its figures are left out, not made up.
func (a *app) fillMethods(ctx context.Context, view *page.ChangePlanView, row db.DatabaseListRow, around aroundPlan, picked *db.DatabaseListRow) error {
	kind, refusal := platform.Upgrade, view.UpgradeRefusal
	switch {
	case view.Method == methodChangeover:
		kind, refusal = platform.FollowerChangeover, view.FollowerRefusal
	case view.Plan.Tier.IsShared:
		kind = platform.UpgradeEssential
	}
	view.Refusal = refusal
	infos := a.jobs.Steps(kind)
	usual, err := a.usual(ctx, kind, row.Database.ID, infos)
	if err != nil {
		return err
	}
	if picked != nil {
		// The follower is there: what would make it is not done.
		infos = slices.DeleteFunc(slices.Clone(infos), func(i workflow.Info) bool {
			return i.Name == "reserve_server" || i.Name == "copy_leader" || i.Name == "start_follower" || i.Name == "attach"
		})
	}
	outages := around.outages
	usually := median(outages)
	view.Timeline = planned(kind, infos, usual, usually)
	if kind == platform.Upgrade {
		view.Timeline.Headings, view.Timeline.HeadingTimes = upgradeHeadings(infos, row.Database.AppName, view.Upgrade)
	}
	expected := page.MethodCell{Value: "not measured yet", Note: "everything is put back after " + wordsOf(view.Timeline.Band.Deadline)}
	if len(outages) == 0 {
		others, err := db.LastOutages(ctx, a.pool, mostUsual)
		if err != nil {
			return err
		}
		if len(others) > 0 {
			expected.Note = fmt.Sprintf("%s of other databases: %s ms; %s", switches(len(others)), eachMS(others), expected.Note)
		}
	} else {
		view.ExpectedMS = float64(usually) / float64(time.Millisecond)
		view.ExpectedFrom = fmt.Sprintf("from %s of this data: %s ms", switches(len(outages)), eachMS(outages))
		expected = page.MethodCell{Value: fmt.Sprintf("%.0f ms", view.ExpectedMS), Note: view.ExpectedFrom}
	}
	if view.Upgrade.AtOnce { // it grows with the data: not what it was the last time
		view.ExpectedMS, view.ExpectedFrom = float64(view.Upgrade.Expected)/float64(time.Millisecond), view.Upgrade.ExpectedFrom
		expected = page.MethodCell{Value: "about " + wordsOf(view.Upgrade.Expected), Note: view.ExpectedFrom}
	}
	duplicate := page.Method{
		Key: "copy", Title: "Copy", Text: "Dump and load into a new database. The way out of Essential and across major versions.",
		State: "Not available yet", Why: "This version of Changeover does not do it yet. Use pg_dump and pg_restore by hand.",
	}
	none := page.MethodCell{}
	duplicate.Version, duplicate.Outage, duplicate.Preparation, duplicate.ExtraCost = none, none, none, none
	duplicate.Followers, duplicate.Names, duplicate.UndoUntil = none, none, none
	upgrade, changeover := a.upgradeMethod(view, row, expected), a.changeoverMethod(view, row, around.followers, picked, expected)
	switch {
	case upgrade.Possible && view.Upgrade.AtOnce:
		upgrade.Recommended, upgrade.RecommendedWhy = true, "It keeps the name, and nothing has to be dumped and loaded by hand."
	case upgrade.Possible:
		upgrade.Recommended, upgrade.RecommendedWhy = true, "The least to do: the name stays, followers move by themselves, and it can be switched back for a day."
	case changeover.Possible:
		changeover.Recommended, changeover.RecommendedWhy = true, "The only method that can be used here now."
	}
	view.Methods = []page.Method{upgrade, changeover, duplicate}
	return nil
}

// preparation is how long the copy of the data is expected to take.
func preparation(dataBytes int64) time.Duration {
	const bytesPerSecond = 100 << 20
	return time.Duration(dataBytes/bytesPerSecond+5) * time.Second
}

// staysOn is the cell of a method that keeps the major version.
func staysOn(row db.DatabaseListRow) page.MethodCell {
	return page.MethodCell{Value: "stays " + or(row.Reading.Version, fmt.Sprint(row.Database.Major)), Note: "the newest minor version installed"}
}

func (a *app) changeoverMethod(view *page.ChangePlanView, row db.DatabaseListRow, followers []db.DatabaseListRow, picked *db.DatabaseListRow, expected page.MethodCell) page.Method {
	m := page.Method{
		Key: methodChangeover, Title: "Follower changeover", Text: "A follower on the new plan becomes the leader, at once.",
		Possible: view.FollowerRefusal == "", State: "Yes", Outage: expected, Version: staysOn(row),
		ExtraCost: page.MethodCell{Value: monthly(view.Plan), Note: "the old leader, until it is destroyed"},
		Names:     page.MethodCell{Value: "new name", Note: "DATABASE_URL moves, the old leader gets a colour"},
		UndoUntil: page.MethodCell{Value: "the follower is unfollowed", Note: noReturnWords(view, methodChangeover)},
		Followers: page.MethodCell{Value: "none here", Note: "any would stay with the old leader"},
	}
	if expected.Note != "" {
		m.Outage.Note += "; and the app is scaled down meanwhile"
	}
	if picked != nil {
		m.Preparation = page.MethodCell{Value: "none", Note: picked.Database.Name + " is there"}
	} else {
		m.Preparation = page.MethodCell{Value: "about " + wordsOf(preparation(view.DataBytes)), Note: "the app goes on meanwhile"}
	}
	if n := len(followers); n > 0 && (picked == nil || n > 1) {
		m.Followers = page.MethodCell{Value: "stay with the old leader", Note: "one button re-creates each"}
	}
	if m.Possible {
		return m
	}
	m.State, m.Why = "No", view.FollowerRefusal
	if view.Plan.Tier.IsShared { // never, so that there is nothing to expect
		none := page.MethodCell{Value: "–"}
		m.Version, m.Outage, m.Preparation, m.ExtraCost, m.Followers, m.Names, m.UndoUntil = none, none, none, none, none, none, none
		return m
	}
	if view.Plan.Tier.CanFollow && !row.Database.ForkReady {
		m.State, m.WouldHelp = "Not yet", "It becomes possible after the first full checkpoint, by itself."
	}
	return m
}

// noReturnWords says which step the point of no return is before; only the
// chosen method's steps are drawn.
func noReturnWords(view *page.ChangePlanView, method string) string {
	if view.Method != method || view.Unusable() != "" {
		return ""
	}
	for _, s := range view.Timeline.Steps {
		if s.NoReturn {
			return fmt.Sprintf("step %d of %d", s.Position, len(view.Timeline.Steps))
		}
	}
	return ""
}

// eachMS is "138, 142, 151".
func eachMS(all []time.Duration) string {
	parts := make([]string, len(all))
	for i, d := range all {
		parts[i] = fmt.Sprintf("%.0f", float64(d)/float64(time.Millisecond))
	}
	return strings.Join(parts, ", ")
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
		if op.ID >= operationID || !op.Kind.Switches() || op.State != platform.OperationCompleted || len(outages) == 3 {
			continue
		}
		if op.OutageMS != nil {
			outages = append(outages, time.Duration(*op.OutageMS*float64(time.Millisecond)))
		}
	}
	return outages, nil
}
