package platform

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Blackout is a time in which no maintenance of an app, or of any, may be
// scheduled: from From until, not including, Until.
type Blackout struct {
	ID        int64
	AppID     *int64 // nil: of every app
	AppName   string // empty for every app
	From      time.Time
	Until     time.Time
	Reason    string
	CreatedBy string
	CreatedAt time.Time
}

// blackoutLongest keeps a slip of the year from holding maintenances for ever.
const blackoutLongest = 92 * 24 * time.Hour

// blackoutReason is the longest reason, in characters: it stands in notices.
const blackoutReason = 200

// Check is nil for a blackout that can be; else Invalid at the field.
func (b Blackout) Check(now time.Time) error {
	switch {
	case strings.TrimSpace(b.Reason) == "":
		return Invalid("reason", "Say why nothing may be switched then, such as autumn sale. It is shown wherever a maintenance had to make way.")
	case utf8.RuneCountInString(b.Reason) > blackoutReason:
		return Invalid("reason", "The reason is longer than %d characters. Make it shorter.", blackoutReason)
	case b.From.IsZero():
		return Invalid("from", "Choose the day and the time at which the blackout begins.")
	case !b.Until.After(b.From):
		return Invalid("until", "The blackout must end after it begins. Choose a later end.")
	case !b.Until.After(now):
		return Invalid("until", "The blackout would have ended already. Choose a later end.")
	case b.Until.Sub(b.From) > blackoutLongest:
		return Invalid("until", "A blackout lasts at most 92 days, so that what must be renewed is not forgotten. Choose an earlier end.")
	}
	return nil
}

// Covers is whether a maintenance that begins at would touch the blackout.
func (b Blackout) Covers(at time.Time) bool {
	return at.Before(b.Until) && at.Add(WindowLength).After(b.From)
}

// Says is the blackout for a sentence: "autumn sale, Fri 9 Oct 2026 12:00 UTC to …".
func (b Blackout) Says() string {
	return b.Reason + ", " + MomentUTC(b.From) + " to " + MomentUTC(b.Until)
}
