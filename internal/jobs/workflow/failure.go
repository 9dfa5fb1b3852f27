package workflow

import (
	"time"

	"changeover/internal/platform"
)

// failure is why steps must be taken back: all of them, or as far as an Again step.
type failure struct {
	reason string
	all    bool
}

func cancelledBy(who string) *failure { return &failure{"Cancelled by " + who + ".", true} }

// fail marks the step as the one that failed.
func (r *run[S]) fail(i int, reason string) *failure {
	r.a.recorder.end(i, platform.StepFailed, reason)
	return &failure{reason: reason}
}

func (r *run[S]) deadline(i int) time.Duration {
	for i > 0 && r.p.Steps[i].Downtime && r.p.Steps[i-1].Downtime {
		i--
	}
	return r.p.Steps[i].Deadline
}

// isSentence is whether err was written for a person and repeats itself: such an
// answer does not change by asking again.
func isSentence(err error) bool {
	kind := platform.KindOf(err)
	return kind == platform.KindInvalid || kind == platform.KindConflict || kind == platform.KindForbidden || kind == platform.KindNotFound
}

func trimEnd(err error) string {
	s := err.Error()
	for len(s) > 0 && s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}
