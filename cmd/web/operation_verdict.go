package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"
)

// verdict tells what came of an operation that did not simply succeed: what
// happened, what was taken back, what to do. holder is what stopped the
// follower then and still runs; nil without one.
func verdict(d drawnOperation, database platform.Database, target *platform.Database, view page.OperationShowView, holder *platform.Backend, may bool) *page.Verdict {
	op := d.op
	if op.NeedsPerson {
		return &page.Verdict{
			Tone: component.ToneBad, Title: op.Kind.Title() + " needs a person", Text: "It cannot go on by itself and cannot be undone.", Why: op.Reason,
			Means: fmt.Sprintf("%s may refuse writes until this is solved.", database.Name),
			ToDo:  "Remove the reason. The program tries again by itself every few seconds.",
			Now:   component.Status{Tone: component.ToneBad, Word: "Waiting for a person"},
		}
	}
	if op.State != platform.OperationUndone {
		return nil
	}
	v := &page.Verdict{Tone: component.ToneBack, Now: component.Status{Tone: component.ToneOK, Word: "As before"}}
	v.Title, v.Why = whatHappened(d)
	v.Text = "Everything that it had changed was taken back." + takenBack(d)
	switch op.Kind {
	case platform.FollowerChangeover:
		v.Text = fmt.Sprintf("%s writes to %s, on %s as before.%s", database.AppName, database.Name, database.Plan, takenBack(d))
		v.Means = "DATABASE_URL is unchanged. The old leader was never replaced, so no acknowledged commit was lost."
		v.ToDo = "Remove the reason, then start another changeover from the database's page."
		if view.CanRetry && target != nil {
			v.Means += fmt.Sprintf(" The follower %s is kept, and billed until it is destroyed.", target.Name)
			v.ToDo = fmt.Sprintf("Remove the reason, then retry: it goes on from step %d and needs no new preparation.", view.RetryFrom)
		}
		if op.CancelRequestedBy != "" && view.CanRetry {
			v.ToDo = fmt.Sprintf("Nothing has to be done. Retry when it suits: it goes on from step %d.", view.RetryFrom)
		}
	case platform.CreateDatabase, platform.CreateEssential, platform.CreateFollower:
		v.Means = "Nothing half-made remains, and nothing is billed."
		v.ToDo = "Remove the reason, then create it again."
	default:
		v.Means = fmt.Sprintf("%s is as it was before.", database.Name)
		v.ToDo = "Remove the reason, then start it again."
	}
	if holder != nil && target != nil {
		pid := fmt.Sprintf("pid %d", holder.PID)
		v.Why += fmt.Sprintf(" %s of %s ran on the follower then, and stopped it from replaying.", pid, holder.Source())
		if view.CanRetry {
			v.ToDo = fmt.Sprintf("Cancel that query or wait for its end, then retry: it goes on from step %d and needs no new preparation.", view.RetryFrom)
		}
		v.Now = component.Status{Tone: component.ToneWarn, Word: fmt.Sprintf("%s still runs, %s", pid, wordsOf(ageOf(*holder)))}
		if may {
			path := fmt.Sprintf("%s/activity/%d", databasePath(target.Name), holder.PID)
			v.Acts = []component.Button{
				{Text: "Cancel " + pid, Post: true, URL: path + "/cancel", TestID: "cancel-holder"},
				{Text: "Terminate", Post: true, Danger: true, URL: path + "/terminate", TestID: "terminate-holder"},
			}
		}
	}
	return v
}

// whatHappened is a title for an operation that was put back, and why it was.
func whatHappened(d drawnOperation) (title, why string) {
	reason, kind := d.op.Reason, d.op.Kind.Title()
	step := ""
	for i, s := range d.steps {
		if s.State == platform.StepFailed {
			step = d.timeline.Steps[i].Title + ": "
		}
	}
	switch head, rest, cut := strings.Cut(reason, " passed: "); {
	case cut && strings.HasPrefix(head, "The deadline of "):
		within := strings.TrimPrefix(head, "The deadline of ")
		if limit, err := time.ParseDuration(within); err == nil {
			within = wordsOf(limit)
		}
		return "The deadline of " + within + " passed, and everything was put back", step + rest
	case d.op.CancelRequestedBy != "":
		return kind + " was cancelled, and everything was put back", fmt.Sprintf("%s cancelled it.", d.op.CancelRequestedBy)
	}
	return kind + " was put back", step + reason
}

// takenBack says how many steps were taken back.
func takenBack(d drawnOperation) string {
	n := 0
	for _, s := range d.steps {
		if s.State == platform.StepUndone {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return " 1 step was taken back."
	}
	return fmt.Sprintf(" %d steps were taken back.", n)
}

// heldUpBy is the oldest transaction on the follower that ran already when the
// changeover gave up waiting for the follower, and runs still.
func (a *app) heldUpBy(ctx context.Context, d drawnOperation, target *platform.Database) *platform.Backend {
	if d.op.State != platform.OperationUndone || d.op.CancelRequestedBy != "" || target == nil || !target.IsFollower() || target.State != platform.DatabaseAvailable {
		return nil
	}
	var waited *time.Time
	for _, s := range d.steps {
		if s.State == platform.StepFailed && (s.Name == "wait_until_caught_up" || s.Name == "wait_until_zero_behind") {
			waited = s.FinishedAt
		}
	}
	if waited == nil {
		return nil
	}
	backends, err := a.activityNow(ctx, *target, db.LiveOperation(d.op.ID))
	if err != nil {
		return nil // the database's page says that it does not answer
	}
	var oldest *platform.Backend
	for i, b := range backends {
		if b.State != "idle" && ageOf(b) > time.Since(*waited) && (oldest == nil || ageOf(b) > ageOf(*oldest)) {
			oldest = &backends[i]
		}
	}
	return oldest
}

// ageOf is how long a connection has been at what it does.
func ageOf(b platform.Backend) time.Duration { return max(b.RunningFor, b.TransactionAge) }
