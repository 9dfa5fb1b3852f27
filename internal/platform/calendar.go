package platform

import "time"

// Limits of when a maintenance can be.
const (
	// ScheduleAhead is how far ahead a maintenance can be moved by hand.
	ScheduleAhead = 60 * 24 * time.Hour
	// lookAhead is how many openings are looked at for a free one.
	lookAhead = 60
)

// Calendar is all that the time of a maintenance depends on.
type Calendar struct {
	Window    Window
	Blackouts []Blackout  // of the app and of every app
	Taken     []time.Time // when the app's other maintenances begin: never two at a time
	// RequiredBy is until when it must have begun; zero where it need not.
	RequiredBy time.Time
}

// Slot is a time for a maintenance.
type Slot struct {
	At time.Time
	// Through is the blackout that had to give way to the required date; nil for none.
	Through *Blackout
	// OutsideWindow is set where the window does not open before the required date.
	OutsideWindow bool
}

// Next is the first opening of the window at or after from that no blackout
// covers and that no other maintenance of the app has. Where a required date
// leaves none, blackouts give way: it is then the latest opening before that
// date; and where the window does not open before it, the last four hours
// before it, or from. ok is false only without a required date, where
// blackouts cover more than a year of openings.
func (c Calendar) Next(from time.Time) (slot Slot, ok bool) {
	latest := Slot{}
	at := c.Window.Next(from)
	for range lookAhead {
		if c.isTooLate(at) {
			break
		}
		blackout := c.BlackoutAt(at)
		switch {
		case c.isTaken(at):
		case blackout == nil:
			return Slot{At: at}, true
		default:
			latest = Slot{At: at, Through: blackout}
		}
		at = at.Add(week)
	}
	switch {
	case c.RequiredBy.IsZero():
		return Slot{}, false
	case !latest.At.IsZero():
		return latest, true
	}
	at = c.RequiredBy.Add(-WindowLength)
	for c.isTaken(at) && at.After(from) {
		at = at.Add(-30 * time.Minute)
	}
	if at.Before(from) {
		at = from
	}
	return Slot{At: at, Through: c.BlackoutAt(at), OutsideWindow: true}, true
}

// Openings are the next n times that Next would give one after the other, for a
// form to choose from.
func (c Calendar) Openings(from time.Time, n int) (list []Slot) {
	for len(list) < n {
		slot, ok := c.Next(from)
		if !ok || slot.Through != nil || slot.OutsideWindow {
			break
		}
		list = append(list, slot)
		from = slot.At.Add(time.Second)
	}
	return list
}

// Check says whether a maintenance may be moved to a time that a person chose,
// in the window or not; else Invalid at field "at".
func (c Calendar) Check(at, now time.Time) error {
	if at.Before(now) {
		return Invalid("at", "%s has passed. Choose a later time, or run the maintenance now.", MomentUTC(at))
	}
	if at.After(now.Add(ScheduleAhead)) {
		return Invalid("at", "A maintenance can be moved at most 60 days ahead, to %s. Choose an earlier time, or cancel it.", MomentUTC(now.Add(ScheduleAhead)))
	}
	if c.isTooLate(at) {
		return Invalid("at", "The maintenance must have begun by %s. Choose an earlier time.", MomentUTC(c.RequiredBy))
	}
	if b := c.BlackoutAt(at); b != nil {
		return Invalid("at", "%s is in a blackout (%s). Choose another time, or remove the blackout.", MomentUTC(at), b.Says())
	}
	if c.isTaken(at) {
		return Invalid("at", "Another maintenance of the same app is due within four hours of %s, and there are never two of one app at a time. Choose another time, or move the other one.", MomentUTC(at))
	}
	return nil
}

func (c Calendar) isTooLate(at time.Time) bool {
	return !c.RequiredBy.IsZero() && !at.Before(c.RequiredBy)
}

// BlackoutAt is the blackout that a maintenance at that time would touch; nil for none.
func (c Calendar) BlackoutAt(at time.Time) *Blackout {
	for i := range c.Blackouts {
		if c.Blackouts[i].Covers(at) {
			return &c.Blackouts[i]
		}
	}
	return nil
}

// isTaken is whether another maintenance of the app begins so near that both
// could run at the same time.
func (c Calendar) isTaken(at time.Time) bool {
	for _, t := range c.Taken {
		if at.Sub(t).Abs() < WindowLength {
			return true
		}
	}
	return false
}
