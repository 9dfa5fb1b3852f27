package platform

import (
	"strings"
	"testing"
	"time"
)

// FuzzWindow: a window that can be read is one that a database may have, and
// everything else is refused at the field that is wrong.
func FuzzWindow(f *testing.F) {
	for _, s := range [][2]string{{"0", "03:30"}, {"monday", "00:00"}, {" Saturday ", "23:30"}, {"7", "03:30"}, {"-1", "24:00"}, {"", ""}, {"1", "3:30"}, {"1", "03:15"}, {"1", "03:30:00"}, {"\xff", "\x00"}, {strings.Repeat("x", 5000), "99:99"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, weekday, clock string) {
		w, err := ParseWindow(weekday, clock)
		if err != nil {
			field := "weekday"
			if w, other := ParseWindow("0", clock); other != nil {
				if _, day := ParseWindow(weekday, "00:00"); day == nil {
					field = "time"
				}
			} else if w.Weekday != time.Sunday {
				t.Errorf("Sunday is %s", w.Weekday)
			}
			wantRefusal(t, err, field)
			return
		}
		if w.Weekday < time.Sunday || w.Weekday > time.Saturday || w.Minute < 0 || w.Minute >= 24*60 || w.Minute%30 != 0 {
			t.Errorf("%q %q is %+v", weekday, clock, w)
		}
	})
}

// FuzzMoment: a day and a half hour are read as they were typed, in UTC.
func FuzzMoment(f *testing.F) {
	for _, s := range [][2]string{{"2026-10-14", "03:30"}, {"2024-02-29", "00:00"}, {"2025-02-29", "00:00"}, {"0000-01-01", "00:00"}, {"9999-12-31", "23:30"}, {"2026-1-1", "3:30"}, {"", ""}, {"2026-10-14T00:00", "03:30Z"}, {"\xff", "\x00"}, {strings.Repeat("9", 3000), "-1:00"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, date, clock string) {
		at, err := ParseMoment("date", date, "clock", clock)
		if err != nil {
			field := "clock"
			if _, err := ParseMoment("date", date, "clock", "00:00"); err != nil {
				field = "date"
			}
			wantRefusal(t, err, field)
			return
		}
		if at.Location() != time.UTC || at.Minute()%30 != 0 || at.Second() != 0 || at.Format(time.DateOnly) != strings.TrimSpace(date) {
			t.Errorf("%q %q is %s", date, clock, at)
		}
	})
}
