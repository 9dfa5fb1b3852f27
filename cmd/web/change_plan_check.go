package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"
)

const (
	// preflightWithin is how long the servers may take for the dry look.
	preflightWithin = 5 * time.Second
	// answerPatience is how long the answer to a form waits for it: that page is at
	// no address and cannot ask again.
	answerPatience = 2 * time.Second
)

// fillPreflight makes the dry look; what cannot be looked at is in the way. Where
// the servers take longer than patience, the page says so and asks again by
// itself: nobody waits for a server with nothing to see.
func (a *app) fillPreflight(view *page.ChangePlanView, row db.DatabaseListRow, picked *db.DatabaseListRow, patience time.Duration) {
	var followerID *int64
	key := fmt.Sprintf("preflight of %d for %s to %s", row.Database.ID, view.Method, view.Target.Name)
	if picked != nil {
		followerID = &picked.Database.ID
		key += fmt.Sprintf(" by %d", *followerID)
	}
	var checks []platform.Check
	var at time.Time
	var err error
	if away(row.Reading) {
		at, err = row.Reading.At, noAnswer(nil, row.Database.Name) // it is known already: no page waits for it
	} else if picked != nil && away(picked.Reading) {
		at, err = picked.Reading.At, noAnswer(nil, picked.Database.Name)
	} else {
		atOnce, target := view.Upgrade.AtOnce, view.Target
		checks, at, err = lookAt(a, key, "", preflightWithin, func(ctx context.Context) ([]platform.Check, error) {
			if atOnce {
				return a.jobs.PreflightMove(ctx, row.Database.ID)
			}
			return a.jobs.Preflight(ctx, row.Database.ID, followerID, target)
		})(patience)
	}
	if notYet(err) {
		// The button stays: the operation checks all of it before it changes anything,
		// and what was typed beside it must not come and go with an answer.
		view.Asking = true
		return
	}
	view.CheckedAt = at // an answer may stand for some seconds
	if err != nil {
		message := failureOf(err, "").Message
		if controlAway(err) || errors.Is(err, context.DeadlineExceeded) {
			// This page was made from the control database, so it is not that one.
			message = fmt.Sprintf("The server of %s, or of its follower, does not answer.", row.Database.Name)
		}
		a.log.Warn("preflight failed", "database", row.Database.Name, "error", err)
		view.Checks = append(view.Checks, component.Check{Tone: component.ToneBad, Label: "The check itself", Detail: message})
		view.Refusal = or(view.Refusal, "The servers could not be checked. Check again in a few seconds.")
		return
	}
	for _, check := range checks {
		view.Checks = append(view.Checks, component.Check{Tone: checkTone(check.State), Label: check.Title, Detail: check.Detail})
		if check.State == platform.CheckStop {
			view.Refusal = or(view.Refusal, check.Title+": "+check.Detail)
		}
	}
}

func checkTone(s platform.CheckState) component.Tone {
	switch s {
	case platform.CheckKnow:
		return component.ToneWarn
	case platform.CheckStop:
		return component.ToneBad
	}
	return component.ToneOK
}
