// Package platform owns the nouns and the rules of Changeover: apps, databases,
// plans, followers, operations and the errors that people read. It imports only
// the standard library and nothing of ours.
package platform

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of error a person is looking at; the web maps it to a status.
type Kind int

// The kinds of error. KindInternal is what every foreign error is taken for.
const (
	KindInternal Kind = iota
	KindInvalid
	KindNotFound
	KindConflict
	KindForbidden
	KindUnavailable
	KindTooMany
)

// Error is a sentence for a person. Message says what is wrong and what to do
// next; Field names the form field it belongs to, if any; Link is a page that
// shows more (for a conflict: the operation that is in the way); After is how long to
// wait before the next try, where that is known.
type Error struct {
	Kind    Kind
	Message string
	Field   string
	Link    string
	After   time.Duration
	Err     error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + " (" + e.Err.Error() + ")"
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Invalid reports what was typed into field as not acceptable.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Kind: KindInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// NotFound reports that something named does not exist, or is not the asker's.
func NotFound(format string, args ...any) *Error {
	return &Error{Kind: KindNotFound, Message: fmt.Sprintf(format, args...)}
}

// Conflict reports that something else is in the way right now.
func Conflict(format string, args ...any) *Error {
	return &Error{Kind: KindConflict, Message: fmt.Sprintf(format, args...)}
}

// Forbidden reports that the asker may see it but not do it.
func Forbidden(format string, args ...any) *Error {
	return &Error{Kind: KindForbidden, Message: fmt.Sprintf(format, args...)}
}

// Unavailable reports that something we depend on does not answer.
func Unavailable(err error, format string, args ...any) *Error {
	return &Error{Kind: KindUnavailable, Message: fmt.Sprintf(format, args...), Err: err}
}

// TooMany reports that the asker has used up the attempts there are, and that
// there is another one after wait.
func TooMany(wait time.Duration, format string, args ...any) *Error {
	return &Error{Kind: KindTooMany, After: wait, Message: fmt.Sprintf(format, args...)}
}

// KindOf is the kind of the first *Error in err's chain, else KindInternal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}
