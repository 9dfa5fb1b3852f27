package page

import (
	"time"

	"changeover/internal/platform"
	"changeover/views/component"
)

func sampleRunning() component.Timeline {
	t := sampleTimeline(6, platform.StepRunning)
	at := time.Now().Add(-2318 * time.Millisecond)
	t.Band.RefusedAt, t.Steps[6].StartedAt = &at, &at
	return t
}

func sampleDone() component.Timeline {
	t := sampleTimeline(13, platform.StepDone)
	ms := 142.0
	t.Band.OutageMS = &ms
	t.Band.Text = "From the first refused write to the first accepted one."
	return t
}

// sampleUndone is a changeover that was put back after its deadline.
func sampleUndone() component.Timeline {
	t := sampleTimeline(6, platform.StepFailed)
	ms := 30071.0
	t.Band.OutageMS = &ms
	t.Band.Text = "From the fence until the old leader wrote again."
	t.Steps[6].Detail = "41 commits, 0.6 MB behind at the deadline; nothing was replayed for 29.8 s"
	t.Steps[5].State = platform.StepUndone
	t.Steps[4].State = platform.StepUndone
	t.Steps[3].State = platform.StepUndone
	t.Steps[1].State = platform.StepKept
	t.Steps = t.Steps[:7]
	t.Skipped = "Steps 8 to 13 did not run; the point of no return was not reached."
	return t
}

func sampleVerdict() Verdict {
	return Verdict{
		Tone: component.ToneBack, Title: "The deadline of 30 s passed, and everything was put back",
		Text:  "The follower still had 41 commits to replay. sushi writes to postgresql-shaped-12345 again, on standard-0 as before.",
		Why:   "A query on the follower stopped it from replaying: pid 8817, nightly_export, running since 14:02.",
		Means: "No release was made and no config var was changed. The follower is kept and still follows.",
		ToDo:  "Cancel that query or wait for it, then retry. A retry starts at step 6 and needs no new preparation.",
		Now:   component.Status{Tone: component.ToneWarn, Word: "pid 8817 still runs, 30 min 12 s"},
		Acts:  []component.Button{{Text: "Cancel pid 8817", URL: "#", Danger: true}},
	}
}

// samplePreparing is a changeover that copies its follower.
func samplePreparing() component.Timeline {
	t := sampleTimeline(1, platform.StepRunning)
	at, percent := time.Now().Add(-93*time.Second), 31
	t.Steps[1].StartedAt, t.Steps[1].Percent, t.Steps[1].Detail = &at, &percent, "12.0 of 38.4 GB at 165 MB/s, about 3 min more"
	return t
}

// samplePast is a changeover that only goes forward.
func samplePast() component.Timeline {
	t := sampleTimeline(8, platform.StepRunning)
	at := time.Now().Add(-96 * time.Millisecond)
	t.Band.RefusedAt, t.Steps[8].StartedAt = &at, &at
	return t
}

// sampleUndoing is a changeover whose steps are being put back.
func sampleUndoing() component.Timeline {
	t := sampleUndone()
	t.Undoing, t.Skipped, t.Band.OutageMS = true, "", nil
	at := time.Now().Add(-30104 * time.Millisecond)
	t.Band.RefusedAt, t.Band.Text = &at, "The old leader is being opened again."
	t.Steps[5].State = platform.StepRunning
	t.Steps[5].FinishedAt = nil
	for i := range 5 {
		t.Steps[i].State = platform.StepDone
	}
	return t
}

// sampleVerdictBad is an operation that cannot go on without a person.
func sampleVerdictBad() Verdict {
	return Verdict{
		Tone: component.ToneBad, Title: "A person is needed: postgresql-shaped-12345 does not start",
		Text:  "Its log ends with: could not bind IPv4 address.",
		Why:   "Another program has taken port 20001.",
		Means: "sushi cannot write. Nothing acknowledged is missing.",
		ToDo:  "Stop that program, then retry.",
		Acts:  []component.Button{{Text: "Retry the start", URL: "#"}},
	}
}
