package main

import (
	"fmt"
	"slices"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/views/component"
)

// timeline draws an operation's stored steps with what the procedure says of
// each. A stored step that this version does not know keeps its own name.
// expected is the outage that switches before this one led to expect.
func timeline(op platform.Operation, steps []platform.OperationStep, infos []workflow.Info, change *db.Changeover, usual usualTimes, expected time.Duration) component.Timeline {
	known := make(map[string]workflow.Info, len(infos))
	for _, i := range infos {
		known[i.Name] = i
	}
	t := component.Timeline{PastNoReturn: op.NoReturnAt != nil, Undoing: op.State == platform.OperationUndoing}
	didNotRun, lastRan := 0, 0
	for i, s := range steps {
		info, ok := known[s.Name]
		if !ok {
			info = workflow.Info{Name: s.Name, Title: stepWords(s.Name)}
		}
		if info.Downtime && t.Band.Deadline == 0 {
			t.Band.Deadline = info.Deadline
		}
		detail := s.Detail
		if s.State == platform.StepPending {
			detail = or(detail, info.About)
			if !op.State.Open() {
				didNotRun++
			}
		} else {
			lastRan = i + 1
		}
		t.Steps = append(t.Steps, component.TimelineStep{
			Position: i + 1, Name: s.Name, Title: info.Title, Detail: detail, Percent: shareOf(detail), State: s.State, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt,
			Usual: usual.of(s.Name), Downtime: info.Downtime, NoReturn: info.NoReturn, PutBack: s.State == platform.StepUndone,
		})
	}
	switch {
	case didNotRun == 0:
	case lastRan > 0 && lastRan+didNotRun == len(steps):
		t.NotRunFrom = lastRan + 1
		t.Skipped = fmt.Sprintf("Steps %d to %d did not run", lastRan+1, len(steps))
		if didNotRun == 1 {
			t.Skipped = fmt.Sprintf("Step %d did not run", len(steps))
		}
		if op.NoReturnAt == nil && slices.ContainsFunc(t.Steps, func(s component.TimelineStep) bool { return s.NoReturn }) {
			t.Skipped += "; the point of no return was not reached"
		}
		t.Skipped += "."
	default:
		t.Skipped = fmt.Sprintf("%d of %d steps did not run.", didNotRun, len(steps))
	}
	t.UsualFrom = usual.from
	t.Band.Expected = expected
	is, was := reading(op.Kind)
	t.Band.Text = fmt.Sprintf("%s Past %s everything is put back by itself.", is, wordsOf(t.Band.Deadline))
	if op.NoReturnAt != nil {
		t.Band.Text = was + " From the first refused write to the first accepted one."
	}
	if op.State == platform.OperationUndone && change != nil && change.RefusedAt != nil {
		t.Band.Text = was + " From the first refused write until it took writes again."
	}
	if change != nil {
		if change.HeldMS != nil {
			t.Band.Text += heldWords(*change)
		}
		t.Band.RefusedAt, t.Band.AcceptedAt, t.Band.OutageMS = change.RefusedAt, change.AcceptedAt, change.OutageMS
	}
	return t
}

// heldWords is the sentence about clients of connection pools.
func heldWords(c db.Changeover) string {
	if c.HeldAtLeast {
		return fmt.Sprintf(" Clients of the connection pools waited at least %s ms; how much longer is not known.", component.Millis(*c.HeldMS))
	}
	return fmt.Sprintf(" Clients of the connection pools waited %s ms, from the hold until they went on.", component.Millis(*c.HeldMS))
}

// reading says what can be read while writes are refused, and what could be.
func reading(kind platform.OperationKind) (is, was string) {
	if kind == platform.UpgradeEssential {
		return "The app can read all the time.", "The app could read all the time."
	}
	return "The leader is stopped, for reads too; followers can be read.", "The leader was stopped, for reads too; followers could be read."
}

// planned is the timeline of what would happen.
func planned(kind platform.OperationKind, infos []workflow.Info, usual usualTimes, expected time.Duration) component.Timeline {
	t := component.Timeline{Plan: true, UsualFrom: usual.from}
	for i, info := range infos {
		t.Steps = append(t.Steps, component.TimelineStep{
			Position: i + 1, Name: info.Name, Title: info.Title, Detail: info.About, State: platform.StepPending, Usual: usual.of(info.Name),
			Downtime: info.Downtime, NoReturn: info.NoReturn,
		})
		if info.Downtime && t.Band.Deadline == 0 {
			t.Band.Deadline = info.Deadline
		}
	}
	t.Band.Expected = expected
	is, _ := reading(kind)
	t.Band.Text = fmt.Sprintf("%s Past %s everything is put back by itself.", is, wordsOf(t.Band.Deadline))
	return t
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// currentStep is the number of the step that runs, or of the last one that ran.
func currentStep(steps []platform.OperationStep) int {
	last := 0
	for i, s := range steps {
		if s.State != platform.StepPending {
			last = i + 1
		}
	}
	return last
}

// operationStatus is an operation's state in words.
func operationStatus(op platform.Operation, steps []platform.OperationStep) component.Status {
	switch {
	case op.NeedsPerson:
		return component.Status{Tone: component.ToneBad, Word: "Needs a person", Note: op.Reason}
	case op.State == platform.OperationUndoing:
		return component.Status{Tone: component.ToneBack, Word: "Putting back"}
	case op.State == platform.OperationUndone:
		return component.Status{Tone: component.ToneBack, Word: "Put back"}
	case op.State == platform.OperationCompleted:
		return component.Status{Tone: component.ToneOK, Word: "Completed"}
	}
	return component.Status{Tone: component.ToneBusy, Word: fmt.Sprintf("Running, step %d of %d", max(currentStep(steps), 1), len(steps))}
}
