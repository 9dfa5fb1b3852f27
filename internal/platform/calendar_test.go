package platform_test

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/platform"
)

func TestCalendarFindsTheNextFreeOpening(t *testing.T) {
	window := platform.Window{Weekday: time.Sunday, Minute: 120}
	blackout := func(from, until string) platform.Blackout {
		return platform.Blackout{From: at(t, from), Until: at(t, until), Reason: "sale"}
	}
	for _, c := range []struct {
		what      string
		blackouts []platform.Blackout
		taken     []string
		required  string
		next      string // "" for none
		through   bool
		outside   bool
	}{
		{what: "nothing in the way", next: "2026-12-13 02:00"},
		{what: "a blackout in between", blackouts: []platform.Blackout{blackout("2026-12-12 00:00", "2026-12-14 00:00")}, next: "2026-12-20 02:00"},
		{what: "a blackout that begins while the window is open", blackouts: []platform.Blackout{blackout("2026-12-13 05:59", "2026-12-13 07:00")}, next: "2026-12-20 02:00"},
		{what: "a blackout that begins when it has closed", blackouts: []platform.Blackout{blackout("2026-12-13 06:00", "2026-12-13 07:00")}, next: "2026-12-13 02:00"},
		{what: "a blackout that ends when it opens", blackouts: []platform.Blackout{blackout("2026-12-12 00:00", "2026-12-13 02:00")}, next: "2026-12-13 02:00"},
		{what: "two blackouts over the year's end", blackouts: []platform.Blackout{blackout("2026-12-10 00:00", "2026-12-28 00:00"), blackout("2026-12-30 00:00", "2027-01-04 00:00")}, next: "2027-01-10 02:00"},
		{what: "another maintenance of the app", taken: []string{"2026-12-13 02:00"}, next: "2026-12-20 02:00"},
		{what: "another one that begins before the window has closed", taken: []string{"2026-12-13 05:30", "2026-12-19 22:30"}, next: "2026-12-27 02:00"},
		{what: "another one when the window has closed", taken: []string{"2026-12-13 06:00"}, next: "2026-12-13 02:00"},
		{what: "a required date far enough", required: "2026-12-31 00:00", next: "2026-12-13 02:00"},
		{what: "a required date past a blackout", blackouts: []platform.Blackout{blackout("2026-12-12 00:00", "2026-12-14 00:00")}, required: "2026-12-21 00:00", next: "2026-12-20 02:00"},
		{what: "blackouts give way to the required date, at the latest opening before it", blackouts: []platform.Blackout{blackout("2026-12-10 00:00", "2027-01-04 00:00")}, required: "2026-12-31 00:00", next: "2026-12-27 02:00", through: true},
		{what: "they give way only where nothing else is left", blackouts: []platform.Blackout{blackout("2026-12-18 00:00", "2027-01-04 00:00")}, required: "2026-12-31 00:00", next: "2026-12-13 02:00"},
		{what: "another maintenance never gives way", taken: []string{"2026-12-27 02:00"}, blackouts: []platform.Blackout{blackout("2026-12-10 00:00", "2027-01-04 00:00")}, required: "2026-12-31 00:00", next: "2026-12-20 02:00", through: true},
		{what: "the window does not open before the required date", required: "2026-12-12 00:00", next: "2026-12-11 20:00", outside: true},
		{what: "nor is there a window's time left", required: "2026-12-10 14:00", next: "2026-12-10 12:00", outside: true},
		{what: "and another one is there", required: "2026-12-12 00:00", taken: []string{"2026-12-11 20:00"}, next: "2026-12-11 16:00", outside: true},
		{what: "no opening for more than a year", blackouts: []platform.Blackout{blackout("2026-01-01 00:00", "2029-01-01 00:00")}},
	} {
		calendar := platform.Calendar{Window: window, Blackouts: c.blackouts}
		for _, text := range c.taken {
			calendar.Taken = append(calendar.Taken, at(t, text))
		}
		if c.required != "" {
			calendar.RequiredBy = at(t, c.required)
		}
		slot, ok := calendar.Next(at(t, "2026-12-10 12:00"))
		switch {
		case ok != (c.next != ""):
			t.Errorf("%s: %+v %t", c.what, slot, ok)
		case ok && !slot.At.Equal(at(t, c.next)):
			t.Errorf("%s: %s, want %s", c.what, slot.At, c.next)
		case (slot.Through != nil) != c.through || slot.OutsideWindow != c.outside:
			t.Errorf("%s: %+v", c.what, slot)
		}
	}
}

func TestCalendarListsOpenings(t *testing.T) {
	c := platform.Calendar{Window: platform.Window{Weekday: time.Sunday, Minute: 120},
		Blackouts: []platform.Blackout{{From: at(t, "2026-10-18 00:00"), Until: at(t, "2026-10-19 00:00")}}}
	var list []string
	for _, slot := range c.Openings(at(t, "2026-10-11 02:00"), 3) {
		list = append(list, slot.At.Format("01-02 15:04"))
	}
	if got := strings.Join(list, ", "); got != "10-11 02:00, 10-25 02:00, 11-01 02:00" {
		t.Error(got)
	}
	c.RequiredBy = at(t, "2026-10-30 00:00")
	if list := c.Openings(at(t, "2026-10-11 02:00"), 3); len(list) != 2 {
		t.Errorf("before the required date: %+v", list)
	}
}

func TestCalendarChecksATime(t *testing.T) {
	now := at(t, "2026-10-08 12:00")
	c := platform.Calendar{Window: platform.Window{Weekday: time.Sunday},
		Blackouts:  []platform.Blackout{{From: at(t, "2026-10-09 12:00"), Until: at(t, "2026-10-11 00:00"), Reason: "autumn sale"}},
		Taken:      []time.Time{at(t, "2026-10-14 02:00")},
		RequiredBy: at(t, "2026-10-31 00:00")}
	for when, word := range map[string]string{
		"2026-10-08 11:59": "has passed", "2026-12-08 12:01": "60 days ahead", "2026-10-31 00:00": "by Sat 31 Oct 2026 00:00 UTC",
		"2026-10-09 08:01": "autumn sale", "2026-10-10 23:59": "autumn sale", "2026-10-13 22:01": "never two of one app", "2026-10-14 05:59": "never two of one app",
		"2026-10-08 12:00": "", "2026-10-09 08:00": "", "2026-10-11 00:00": "", "2026-10-13 22:00": "", "2026-10-14 06:17": "",
	} {
		err := c.Check(at(t, when), now)
		switch {
		case word == "" && err != nil:
			t.Errorf("%s: %v", when, err)
		case word != "" && (platform.KindOf(err) != platform.KindInvalid || !strings.Contains(err.Error(), word)):
			t.Errorf("%s: %v, want %q", when, err, word)
		}
	}
}

func TestBlackoutIsRefused(t *testing.T) {
	now := at(t, "2026-10-08 12:00")
	good := platform.Blackout{From: at(t, "2026-10-09 12:00"), Until: at(t, "2026-10-11 00:00"), Reason: "autumn sale"}
	if err := good.Check(now); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*platform.Blackout){
		"reason": func(b *platform.Blackout) { b.Reason = " " },
		"words":  func(b *platform.Blackout) { b.Reason = strings.Repeat("é", 201) },
		"order":  func(b *platform.Blackout) { b.Until = b.From },
		"past":   func(b *platform.Blackout) { b.From, b.Until = at(t, "2026-10-01 00:00"), at(t, "2026-10-08 12:00") },
		"from":   func(b *platform.Blackout) { b.From = time.Time{} },
		"length": func(b *platform.Blackout) { b.Until = at(t, "2027-10-09 12:00") },
	} {
		b := good
		change(&b)
		if err := b.Check(now); platform.KindOf(err) != platform.KindInvalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestMaintenanceIsDue(t *testing.T) {
	scheduled := at(t, "2026-12-31 22:00")
	for _, c := range []struct {
		what string
		now  string
		told bool
		want platform.MaintenanceDue
	}{
		{"days before", "2026-12-28 22:00", false, platform.MaintenanceDue{Wait: 48 * time.Hour}},
		{"the day before", "2026-12-30 22:00", false, platform.MaintenanceDue{TellTomorrow: true}},
		{"the day before, told", "2026-12-30 22:00", true, platform.MaintenanceDue{Wait: 24 * time.Hour}},
		{"a minute before", "2026-12-31 21:59", true, platform.MaintenanceDue{Wait: time.Minute}},
		{"now", "2026-12-31 22:00", true, platform.MaintenanceDue{Run: true}},
		{"the next year, still in its window", "2027-01-01 01:59", false, platform.MaintenanceDue{Run: true}},
		{"its window has closed", "2027-01-01 02:00", true, platform.MaintenanceDue{Missed: true}},
	} {
		m := platform.Maintenance{ScheduledAt: &scheduled}
		if c.told {
			m.ToldTomorrowFor = &scheduled
		}
		if got := m.Due(at(t, c.now)); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
	}
	if got := (platform.Maintenance{}).Due(scheduled); got != (platform.MaintenanceDue{}) {
		t.Errorf("without a time: %+v", got)
	}
	if got := (platform.Maintenance{AtOnce: true}).Due(scheduled); !got.Run {
		t.Errorf("at once: %+v", got)
	}
}
