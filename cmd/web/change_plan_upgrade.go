package main

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/views/page"
)

// fillUpgrade fills in what an upgrade to the chosen plan would be, or why it
// cannot be.
func (a *app) fillUpgrade(ctx context.Context, view *page.ChangePlanView, row db.DatabaseListRow) error {
	offer, err := a.jobs.OfferUpgrade(ctx, row.Database.ID, view.Target.Name)
	if err != nil {
		f := failureOf(err, "")
		if f.Status >= 500 && !isKind(err, platform.KindUnavailable) {
			return err
		}
		view.UpgradeRefusal = f.Message
		return nil
	}
	if offer.AtOnce {
		view.Upgrade = page.UpgradeView{AtOnce: true, Expected: offer.Expected, ExpectedFrom: offer.ExpectedFrom}
		return nil
	}
	now := time.Now()
	view.Upgrade = page.UpgradeView{Window: offer.Window, ReadyAt: now.Add(preparation(view.DataBytes)), Earliest: now}
	if offer.Next != nil {
		view.Upgrade.Next = &offer.Next.At
	}
	for _, f := range offer.Followers {
		view.Upgrade.Followers = append(view.Upgrade.Followers, page.FollowerOutlook{Name: f.Name, AppName: f.AppName, NewPlan: f.NewPlan})
	}
	return nil
}

func (a *app) upgradeMethod(view *page.ChangePlanView, row db.DatabaseListRow, expected page.MethodCell) page.Method {
	m := page.Method{
		Key: methodUpgrade, Title: "Upgrade", Text: "A replacement is prepared and takes over in the maintenance window. The name stays.",
		Possible: view.UpgradeRefusal == "", State: "Yes", Outage: expected, Version: staysOn(row),
		Preparation: page.MethodCell{Value: "about " + wordsOf(preparation(view.DataBytes)), Note: "the app goes on meanwhile"},
		ExtraCost:   page.MethodCell{Value: "none", Note: "the replacement and the kept server are not billed"},
		Names:       page.MethodCell{Value: "keeps its name", Note: "the values of its config vars change"},
		UndoUntil:   page.MethodCell{Value: "the replacement is promoted", Note: noReturnWords(view, methodUpgrade)},
		Followers:   page.MethodCell{Value: "none here", Note: "any would be re-pointed by itself"},
	}
	if view.Plan.Tier.IsShared {
		m.Text = "The data is copied into a new database, at once. The name stays."
		m.Preparation = page.MethodCell{Value: "none", Note: "it begins at once; the app reads all the time"}
		m.ExtraCost = page.MethodCell{Value: "none", Note: "the old database is kept closed for 24 hours"}
		m.UndoUntil = page.MethodCell{Value: "the config vars point to it", Note: noReturnWords(view, methodUpgrade)}
		m.Followers = page.MethodCell{Value: "none", Note: "Essential has none"}
		if !m.Possible {
			m.State, m.Why = "No", view.UpgradeRefusal
		}
		return m
	}
	if m.UndoUntil.Note != "" {
		m.UndoUntil.Note += "; then 24 hours to switch back"
	} else {
		m.UndoUntil.Note = "then 24 hours to switch back"
	}
	if n := len(view.Upgrade.Followers); n > 0 {
		m.Followers = page.MethodCell{Value: plural(n, "follower") + " re-pointed", Note: "by themselves, with a restart"}
		again := 0
		for _, f := range view.Upgrade.Followers {
			if f.NewPlan != "" {
				again++
			}
		}
		if again > 0 {
			m.Followers = page.MethodCell{Value: fmt.Sprintf("%d of %d re-pointed", n-again, n), Note: plural(again, "other") + " re-created on a larger plan, by itself"}
		}
	}
	if !m.Possible {
		m.State, m.Why = "No", view.UpgradeRefusal
	}
	return m
}

// upgradeHeadings cut the plan of an upgrade into what is done now and what is
// done in the window.
func upgradeHeadings(infos []workflow.Info, app string, u page.UpgradeView) (headings map[int]string, times map[int]time.Time) {
	headings, times = map[int]string{1: "Now, while " + app + " goes on"}, map[int]time.Time{}
	for i, info := range infos {
		if info.Again {
			headings[i+1] = "When its time comes"
			if u.Next != nil {
				headings[i+1] = "In the window, " + u.Next.UTC().Format("Mon 2 Jan 15:04 UTC")
				times[i+1] = *u.Next
			}
		}
	}
	return headings, times
}
