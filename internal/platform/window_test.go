package platform_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the test machine may have none

	"changeover/internal/platform"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWindowOpens(t *testing.T) {
	sunday2 := platform.Window{Weekday: time.Sunday, Minute: 120}
	saturday23 := platform.Window{Weekday: time.Saturday, Minute: 23*60 + 30}
	for _, c := range []struct {
		what   string
		window platform.Window
		from   string
		next   string
		open   bool
	}{
		{"later this week", sunday2, "2026-10-08 13:40", "2026-10-11 02:00", false},
		{"this very minute", sunday2, "2026-10-11 02:00", "2026-10-11 02:00", true},
		{"while it is open, the next one is a week later", sunday2, "2026-10-11 02:01", "2026-10-18 02:00", true},
		{"its last minute", sunday2, "2026-10-11 05:59", "2026-10-18 02:00", true},
		{"it has closed", sunday2, "2026-10-11 06:00", "2026-10-18 02:00", false},
		{"over the year's end", sunday2, "2026-12-28 00:00", "2027-01-03 02:00", false},
		{"the last week of the year", saturday23, "2026-12-31 12:00", "2027-01-02 23:30", false},
		{"open past midnight", saturday23, "2026-10-11 01:00", "2026-10-17 23:30", true},
		{"open past the year's end", platform.Window{Weekday: time.Thursday, Minute: 22 * 60}, "2027-01-01 01:59", "2027-01-07 22:00", true},
		{"on a leap day", platform.Window{Weekday: time.Tuesday, Minute: 0}, "2028-02-28 23:59", "2028-02-29 00:00", false},
		{"over a leap day", platform.Window{Weekday: time.Wednesday, Minute: 0}, "2028-02-28 12:00", "2028-03-01 00:00", false},
		{"over the end of February in a common year", platform.Window{Weekday: time.Wednesday, Minute: 0}, "2027-02-28 12:00", "2027-03-03 00:00", false},
		{"the clocks change in Berlin, not in UTC", sunday2, "2026-10-24 12:00", "2026-10-25 02:00", false},
	} {
		from := at(t, c.from)
		if next := c.window.Next(from); !next.Equal(at(t, c.next)) {
			t.Errorf("%s: after %s it opens at %s, want %s", c.what, c.from, next, c.next)
		}
		since, open := c.window.OpenAt(from)
		if open != c.open {
			t.Errorf("%s: open at %s: %t, want %t", c.what, c.from, open, c.open)
		}
		if open && (since.After(from) || from.Sub(since) >= platform.WindowLength) {
			t.Errorf("%s: it is open at %s, since %s", c.what, c.from, since)
		}
	}
}

// Whatever zone a moment is given in, the window is one of UTC.
func TestWindowIsUTC(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	w := platform.Window{Weekday: time.Sunday, Minute: 30}
	from := time.Date(2026, 10, 11, 1, 0, 0, 0, berlin) // Saturday 23:00 UTC
	if next := w.Next(from); !next.Equal(at(t, "2026-10-11 00:30")) {
		t.Errorf("it opens at %s", next)
	}
}

// Every half hour of the week is found again from every hour before it.
func TestEveryWindowIsFound(t *testing.T) {
	begin := at(t, "2027-12-26 00:00")
	for slot := range 7 * 48 {
		w := platform.Window{Weekday: time.Weekday(slot / 48), Minute: slot % 48 * 30}
		if err := w.Check(); err != nil {
			t.Fatal(err)
		}
		want := begin.Add(time.Duration(slot) * 30 * time.Minute) // the year's end is in it
		for hours := range 7 * 24 {
			from := want.Add(-time.Duration(hours) * time.Hour)
			if next := w.Next(from); !next.Equal(want) {
				t.Fatalf("%s after %s: %s, want %s", w, from, next, want)
			}
		}
	}
}

func TestWindowIsRefused(t *testing.T) {
	for _, w := range []platform.Window{{Weekday: 7}, {Weekday: -1}, {Minute: -30}, {Minute: 1440}, {Minute: 15}} {
		if err := w.Check(); platform.KindOf(err) != platform.KindInvalid {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

func TestDefaultWindowsSpreadOverTheWeek(t *testing.T) {
	seen, days := map[platform.Window]bool{}, map[time.Weekday]int{}
	for id := int64(1); id <= 336; id++ {
		w := platform.DefaultWindow(id)
		if err := w.Check(); err != nil || w != platform.DefaultWindow(id) {
			t.Fatalf("%d: %v %v", id, w, err)
		}
		seen[w] = true
		if id <= 21 {
			days[w.Weekday]++
		}
	}
	if len(seen) != 336 {
		t.Errorf("336 databases have %d windows", len(seen))
	}
	for day := time.Sunday; day <= time.Saturday; day++ {
		if days[day] < 2 || days[day] > 4 {
			t.Errorf("of 21 databases %d have their window on a %s", days[day], day)
		}
	}
}

func TestWindowForPeople(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	w := platform.Window{Weekday: time.Sunday, Minute: 120}
	if s := w.String(); s != "Sunday 02:00–06:00 UTC" {
		t.Error(s)
	}
	if s := (platform.Window{Weekday: time.Wednesday, Minute: 21 * 60}).String(); s != "Wednesday 21:00–01:00 UTC" {
		t.Error(s)
	}
	for _, c := range []struct {
		at      string
		where   *time.Location
		local   string
		changes bool
	}{
		{"2026-10-18 02:00", berlin, "Sunday 04:00–08:00", false},
		{"2026-10-25 02:00", berlin, "Sunday 03:00–07:00", true}, // clocks go back at 01:00 UTC
		{"2026-11-01 02:00", berlin, "Sunday 03:00–07:00", false},
		{"2027-03-28 02:00", berlin, "Sunday 04:00–08:00", true},    // forward at 01:00 UTC
		{"2027-03-28 00:00", berlin, "Sunday 01:00–06:00", true},    // while it is open: five hours on the clock
		{"2026-11-01 02:00", newYork, "Saturday 22:00–01:00", true}, // the next day in UTC, the change just within
		{"2027-01-03 02:00", newYork, "Saturday 21:00–01:00", false},
		{"2027-01-03 02:00", time.UTC, "Sunday 02:00–06:00", false},
	} {
		if s := w.Local(at(t, c.at), c.where); s != c.local {
			t.Errorf("%s in %s: %s, want %s", c.at, c.where, s, c.local)
		}
		if changes := platform.ClocksChange(at(t, c.at), c.where); changes != c.changes {
			t.Errorf("%s in %s: the clocks change: %t", c.at, c.where, changes)
		}
	}
}
