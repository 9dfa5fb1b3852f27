// Package workflow owns how an operation's steps are run: in order, one runner
// at a time, again after a crash, undone in reverse, only forward after the
// point of no return. It knows no servers and no procedures; it must not import
// anything of ours but platform.
package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Step is one named step of a procedure. Do looks, then acts, so that running
// it twice is harmless: a crash between acting and recording will run it twice.
type Step[S any] struct {
	Name  string // stored: never rename one
	Title string // the page's and the documentation's heading
	About string // one line of what it will do, shown until it runs; may be empty
	// Downtime marks a step during which writes are refused. Steps of such a
	// stretch are recorded while they run or after it, never in its way.
	Downtime bool
	// AppDown marks a step after the point of no return until which the app is
	// kept down: a stop of the program waits for it.
	AppDown bool
	// Deadline bounds the step; on the first step of a Downtime stretch it bounds
	// the whole stretch up to the point of no return. Past it all is undone.
	Deadline time.Duration
	// NoReturn marks the step before which the point of no return is recorded
	// durably. From there the operation only goes forward.
	NoReturn bool
	// Again marks the step from which the operation begins again when a later one
	// fails before the point of no return: what came after it is taken back in
	// reverse, as far as this step, and what came before it stays. A cancel and
	// AbortAll still take everything back.
	Again bool
	// Optional marks a step that nothing later depends on: an operation that was
	// started by a version without it goes on without it.
	Optional bool
	Do       func(S, context.Context) error
	// Undo takes Do's effect back, also one that was only half made. Nil where
	// there is nothing to take back.
	Undo func(S, context.Context) error
}

// Info is what pages and documentation need of a step.
type Info struct {
	Name, Title, About string
	Downtime, NoReturn bool
	Again              bool // the operation begins again here after a failure further on
	Deadline           time.Duration
}

// Infos lists the steps for drawing a timeline before, while and after they run.
func Infos[S any](steps []Step[S]) []Info {
	infos := make([]Info, len(steps))
	for i, s := range steps {
		infos[i] = Info{Name: s.Name, Title: s.Title, About: s.About, Downtime: s.Downtime, NoReturn: s.NoReturn, Again: s.Again, Deadline: s.Deadline}
	}
	return infos
}

type waitError struct {
	after  time.Duration
	reason string
}

func (w *waitError) Error() string { return w.reason }

// Wait says that the step is not done yet: look again after d. The reason is
// what the page shows: "3.2 MB behind".
func Wait(d time.Duration, format string, args ...any) error {
	return &waitError{d, fmt.Sprintf(format, args...)}
}

type abortError struct {
	reason string
	all    bool
}

func (a *abortError) Error() string { return a.reason }

// Abort says that the step cannot succeed by being tried again: undo.
func Abort(format string, args ...any) error {
	return &abortError{reason: fmt.Sprintf(format, args...)}
}

// AbortAll is Abort where beginning again cannot help either: everything is
// taken back, whatever step is marked with Again.
func AbortAll(format string, args ...any) error {
	return &abortError{reason: fmt.Sprintf(format, args...), all: true}
}

type keptError struct{ detail string }

func (k *keptError) Error() string { return k.detail }

// Kept is what an Undo returns when it deliberately leaves the step's result in
// place (a follower that is ready); a retry then does not make it again.
func Kept(format string, args ...any) error { return &keptError{fmt.Sprintf(format, args...)} }

// Errors that end a run without an undo.
var (
	// ErrOvertaken: a newer attempt owns the operation. Stop at once, touch nothing.
	ErrOvertaken = errors.New("a newer attempt has taken this operation over")
	// ErrHeld: another runner holds the operation.
	ErrHeld = errors.New("another runner holds this operation")
	// ErrCancelled: somebody asked to cancel before the point of no return could
	// be recorded. A cancel that was accepted is always kept.
	ErrCancelled = errors.New("somebody asked to cancel")
	// ErrEnded: there is nothing left to run.
	ErrEnded = errors.New("the operation has ended")
)

// Snooze is returned by Run when a step waits so long that holding a runner for
// it would be a waste: run the operation again after the duration.
type Snooze struct{ After time.Duration }

func (s *Snooze) Error() string { return "wait " + s.After.String() }
