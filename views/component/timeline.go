package component

import (
	"time"

	"changeover/internal/platform"
)

// TimelineStep is one step of an operation as its timeline shows it.
type TimelineStep struct {
	Position int // 1 for the first
	Name     string
	Title    string // "Wait until 0 commits behind"
	Detail   string // what it found, or why it waits: "3.2 MB behind"
	State    platform.StepState
	// StartedAt and FinishedAt are nil until known.
	StartedAt, FinishedAt *time.Time
	// Usual is what the step took the last times; 0 where nothing is known.
	// It is shown while the step is pending.
	Usual time.Duration
	// Percent is how far the running step is; nil where it cannot be told.
	Percent *int
	// Downtime marks the steps in which writes are refused: they stand in the band.
	Downtime bool
	// NoReturn marks the step before which the point of no return is drawn.
	NoReturn bool
	// PutBack marks a row that tells of an undo ("Lift the fence").
	PutBack bool
}

// Band is the head of the span in which writes are refused.
type Band struct {
	// RefusedAt is when writes began to be refused; nil before that.
	RefusedAt *time.Time
	// AcceptedAt is when they were accepted again; nil before that.
	AcceptedAt *time.Time
	// OutageMS is the measured outage in milliseconds, when it is known.
	OutageMS *float64
	// Expected is the estimate shown before; 0 where there is none.
	Expected time.Duration
	// Deadline is after how long everything is put back by itself.
	Deadline time.Duration
	Text     string // one line: "Reads go on. …"
}

// Timeline is an operation's steps with the band around those that refuse writes.
type Timeline struct {
	ID    string // element id; "timeline" when empty
	Steps []TimelineStep
	Band  Band
	// Heading cuts the list into parts in a plan of what will happen: keyed by
	// the position of the first step of the part.
	Headings map[int]string
	// HeadingTimes are the moments that headings name in UTC: the reader's own
	// time stands beside them.
	HeadingTimes map[int]time.Time
	// Plan is true before the start: nothing has run, durations read "about".
	Plan bool
	// Undoing is true while steps are being put back.
	Undoing bool
	// PastNoReturn is whether the point of no return is behind us.
	PastNoReturn bool
	// NotRunFrom is the position of the first of the last steps when none of them
	// will run any more: they are folded under Skipped. 0 when all are shown.
	NotRunFrom int
	// Skipped is a closing line: "Steps 9 to 14 did not run; …".
	Skipped string
	// UsualFrom is where the times of pending steps come from: "the last 3
	// times here".
	UsualFrom string
}

// StripPart is one piece of the strip of milliseconds of a measured outage.
type StripPart struct {
	Name     string // "Fence"
	MS       float64
	NoReturn bool // the double line stands before this part
}

// Outage is a measured switch: the figures, the strip and the proof.
type Outage struct {
	RefusedMS             float64
	RefusedAt, AcceptedAt time.Time
	// SessionsEnded and TransactionsEnded are nil where they are not known.
	SessionsEnded, TransactionsEnded *int
	// HeldMS is how long clients of connection pools waited; nil where none was held.
	HeldMS *float64
	// HeldAtLeast is set where it is not known how much longer.
	HeldAtLeast bool
	// LongestWaitMS is the longest wait of a client; nil where not measured.
	LongestWaitMS *float64
	ExpectedMS    float64 // 0 where there was no estimate
	Strip         []StripPart
	Proof         *Proof
	Undone        bool // the old leader writes again
}

// Proof is what shows that nothing acknowledged is missing: the end of the old
// timeline and the fork point, equal.
type Proof struct {
	OldTimeline, NewTimeline int
	OldEnd, ForkPoint        string // LSNs
}

// Holds is whether the new timeline begins exactly where the old one ends.
func (p Proof) Holds() bool { return p.OldEnd != "" && p.OldEnd == p.ForkPoint }

// span is a run of steps that stand together: in the band, or under a heading.
type span struct {
	heading string
	at      time.Time // that the heading names; zero for none
	band    bool
	steps   []TimelineStep
}

// spans cuts the steps where the band begins and ends and where a heading stands.
func (t Timeline) spans() []span {
	var out []span
	for _, s := range t.ran() {
		heading := t.Headings[s.Position]
		if len(out) == 0 || heading != "" || out[len(out)-1].band != s.Downtime {
			out = append(out, span{heading: heading, at: t.HeadingTimes[s.Position], band: s.Downtime})
		}
		out[len(out)-1].steps = append(out[len(out)-1].steps, s)
	}
	return out
}

// ran are the steps that ran or may still run; notRun the others.
func (t Timeline) ran() []TimelineStep {
	if t.NotRunFrom == 0 {
		return t.Steps
	}
	return t.Steps[:t.NotRunFrom-1]
}

func (t Timeline) notRun() []TimelineStep { return t.Steps[len(t.ran()):] }

// took is what stands right of a step: measured, ticking or usual.
func (s TimelineStep) took() (ms string, known bool) {
	switch {
	case s.StartedAt != nil && s.FinishedAt != nil:
		return Millis(Milliseconds(s.FinishedAt.Sub(*s.StartedAt))), true
	case s.State == platform.StepPending && s.Usual > 0:
		return Millis(Milliseconds(s.Usual)), true
	}
	return "", false
}

func (s TimelineStep) word() string {
	switch s.State {
	case platform.StepDone:
		return "done"
	case platform.StepRunning:
		return "running now"
	case platform.StepFailed:
		return "failed"
	case platform.StepUndone:
		return "put back"
	case platform.StepKept:
		return "kept"
	}
	return "not yet"
}

// refused is whether writes are refused at this moment.
func (b Band) refused() bool { return b.RefusedAt != nil && b.AcceptedAt == nil }

// over is whether writes were refused and are accepted again.
func (b Band) over() bool { return b.OutageMS != nil || b.AcceptedAt != nil }

// outageMS is the measured outage, from the times where no figure was stored.
func (b Band) outageMS() float64 {
	if b.OutageMS != nil {
		return *b.OutageMS
	}
	if b.RefusedAt != nil && b.AcceptedAt != nil {
		return Milliseconds(b.AcceptedAt.Sub(*b.RefusedAt))
	}
	return 0
}
