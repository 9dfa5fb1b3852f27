package platform

import (
	"fmt"
	"time"
)

// WindowLength is how long a maintenance window stays open, and how long after
// its time a maintenance may still begin.
const WindowLength = 4 * time.Hour

const week = 7 * 24 * time.Hour

// Window is a weekly maintenance window: it opens at Minute (a multiple of 30)
// of the day, UTC, and stays open for WindowLength, also past midnight.
type Window struct {
	Weekday time.Weekday
	Minute  int
}

// DefaultWindow is the window of a database for which nobody chose one. It is
// always the same for one id, and those of many databases spread over the week.
func DefaultWindow(databaseID int64) Window {
	const halfHours = 7 * 48
	// The step has no common divisor with the week, so that 336 databases in a
	// row have 336 windows, and neighbours are days apart.
	slot := int(databaseID % halfHours * 209 % halfHours)
	return Window{Weekday: time.Weekday(slot / 48), Minute: slot % 48 * 30}
}

// Check is nil for a window that can be; else Invalid at field "window".
func (w Window) Check() error {
	if w.Weekday < time.Sunday || w.Weekday > time.Saturday || w.Minute < 0 || w.Minute >= 24*60 || w.Minute%30 != 0 {
		return Invalid("window", "A maintenance window opens on a day of the week at a full or a half hour, such as Sunday 02:30 UTC. Choose both from the lists.")
	}
	return nil
}

// Next is the first time at or after from at which the window opens.
func (w Window) Next(from time.Time) time.Time {
	from = from.UTC()
	day := time.Date(from.Year(), from.Month(), from.Day(), 0, w.Minute, 0, 0, time.UTC)
	at := day.AddDate(0, 0, (int(w.Weekday)-int(from.Weekday())+7)%7)
	if at.Before(from) {
		at = at.AddDate(0, 0, 7)
	}
	return at
}

// OpenAt is whether the window is open at t, and since when.
func (w Window) OpenAt(t time.Time) (since time.Time, open bool) {
	since = w.Next(t.Add(-WindowLength + time.Nanosecond))
	return since, !since.After(t)
}

// String is the window for people: "Sunday 02:00–06:00 UTC".
func (w Window) String() string {
	end := (w.Minute + int(WindowLength.Minutes())) % (24 * 60)
	return fmt.Sprintf("%s %02d:%02d–%02d:%02d UTC", w.Weekday, w.Minute/60, w.Minute%60, end/60, end%60)
}

// Local is when the window is open in a person's own time, for the opening at:
// "Sunday 03:00–07:00". It differs from one opening to another where the clocks
// change in between.
func (w Window) Local(at time.Time, where *time.Location) string {
	from, until := at.In(where), at.Add(WindowLength).In(where)
	return fmt.Sprintf("%s %s–%s", from.Weekday(), from.Format("15:04"), until.Format("15:04"))
}

// ClocksChange is whether a person's clocks are changed on the day of the
// opening at, or while it is open: worth a word beside its local time.
func ClocksChange(at time.Time, where *time.Location) bool {
	local := at.In(where)
	_, before := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, where).Zone()
	_, after := at.Add(WindowLength).In(where).Zone()
	return before != after
}

// MomentUTC is a moment for sentences: "Sun 11 Oct 2026 02:00 UTC".
func MomentUTC(t time.Time) string { return t.UTC().Format("Mon 2 Jan 2006 15:04 UTC") }
