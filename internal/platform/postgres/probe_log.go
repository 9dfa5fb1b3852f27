package postgres

import "time"

// outageLog turns attempts, which come one after the other, into an outage. A
// stretch begins with the start of a refused or held write and ends with the
// acknowledgement of the next accepted one; a held write ends its own. The
// longest stretch is the outage: a checkpoint may hold a write for a moment
// before the switch, and that is not the switch.
type outageLog struct {
	attempts, refused int
	lastError         error
	open              time.Time // start of the stretch that has no end yet
	longest           Outage
	acceptedBegan     time.Time // start of the newest accepted write
}

func (l *outageLog) add(began, ended time.Time, err error, heldFor time.Duration) {
	l.attempts++
	if err != nil {
		l.refused++
		l.lastError = err
		if l.open.IsZero() {
			l.open = began
		}
		return
	}
	l.acceptedBegan = began
	if l.open.IsZero() && ended.Sub(began) > heldFor {
		l.open = began
	}
	if l.open.IsZero() {
		return
	}
	if ended.Sub(l.open) > l.longest.Duration() {
		l.longest = Outage{RefusedAt: l.open, AcceptedAt: ended}
	}
	l.open = time.Time{}
}

func (l *outageLog) acceptedSince(t time.Time) bool {
	return !l.acceptedBegan.Before(t) && !l.acceptedBegan.IsZero()
}

func (l *outageLog) outage() Outage {
	o := l.longest
	if !l.open.IsZero() {
		o = Outage{RefusedAt: l.open} // it goes on
	}
	o.Attempts, o.Refused, o.LastError = l.attempts, l.refused, l.lastError
	return o
}
