package platform

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseMoment(t *testing.T) {
	for _, c := range []struct {
		date, clock string
		want        time.Time
		field       string // where it is refused
	}{
		{"2026-10-14", "03:30", time.Date(2026, 10, 14, 3, 30, 0, 0, time.UTC), ""},
		{" 2026-12-31 ", " 23:30 ", time.Date(2026, 12, 31, 23, 30, 0, 0, time.UTC), ""},
		{"2028-02-29", "00:00", time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC), ""},
		{"2026-02-29", "00:00", time.Time{}, "date"},
		{"14.10.2026", "00:00", time.Time{}, "date"},
		{"0001-01-01", "00:00", time.Time{}, "date"},
		{"9999-01-01", "00:00", time.Time{}, "date"},
		{"", "00:00", time.Time{}, "date"},
		{"2026-10-14", "", time.Time{}, "time"},
		{"2026-10-14", "3:30 pm", time.Time{}, "time"},
		{"2026-10-14", "24:00", time.Time{}, "time"},
		{"2026-10-14", "03:15", time.Time{}, "time"},
	} {
		got, err := ParseMoment("date", c.date, "time", c.clock)
		if fieldOf(err) != c.field || !got.Equal(c.want) {
			t.Errorf("%q %q: %v %v, want %v or an error at %q", c.date, c.clock, got, err, c.want, c.field)
		}
	}
}

func TestParseWindow(t *testing.T) {
	for _, c := range []struct {
		day, clock string
		want       Window
		field      string
	}{
		{"0", "02:00", Window{time.Sunday, 120}, ""},
		{"6", "23:30", Window{time.Saturday, 1410}, ""},
		{"monday", "01:00", Window{time.Monday, 60}, ""},
		{"7", "02:00", Window{}, "weekday"},
		{"-1", "02:00", Window{}, "weekday"},
		{"", "02:00", Window{}, "weekday"},
		{"Sonntag", "02:00", Window{}, "weekday"},
		{"0", "02:10", Window{time.Sunday, 0}, "time"},
		{"0", "", Window{time.Sunday, 0}, "time"},
	} {
		got, err := ParseWindow(c.day, c.clock)
		if fieldOf(err) != c.field || got != c.want {
			t.Errorf("%q %q: %v %v, want %v or an error at %q", c.day, c.clock, got, err, c.want, c.field)
		}
	}
	if all := HalfHours(); len(all) != 48 || all[0] != "00:00" || all[47] != "23:30" {
		t.Errorf("%v", all)
	}
}

func fieldOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Field
	}
	return ""
}

// Whatever is typed, a moment or a window that is taken keeps its rules, and
// what is refused is refused with a sentence at its field.
func FuzzParseMoment(f *testing.F) {
	f.Add("2026-10-14", "03:30")
	f.Add("2026-02-30", "24:00")
	f.Add("+2026-10-14", "3:3")
	f.Add("\x00", "٠٣:٣٠")
	f.Fuzz(func(t *testing.T, date, clock string) {
		at, err := ParseMoment("date", date, "time", clock)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindInvalid || e.Field != "date" && e.Field != "time" || len([]rune(e.Message)) > 300 {
				t.Fatalf("%v", err)
			}
			return
		}
		if at.Location() != time.UTC || at.Minute()%30 != 0 || at.Second() != 0 || at.Nanosecond() != 0 {
			t.Errorf("%v", at)
		}
		again, err := ParseMoment("date", at.Format(time.DateOnly), "time", at.Format("15:04"))
		if err != nil || !again.Equal(at) {
			t.Errorf("%v became %v, %v", at, again, err)
		}
	})
}

func FuzzParseWindow(f *testing.F) {
	f.Add("0", "02:00")
	f.Add("sunday", "23:30")
	f.Add("00", " ")
	f.Fuzz(func(t *testing.T, day, clock string) {
		w, err := ParseWindow(day, clock)
		if err != nil {
			if field := fieldOf(err); field != "weekday" && field != "time" {
				t.Fatalf("%v", err)
			}
			return
		}
		if err := w.Check(); err != nil {
			t.Errorf("%q %q: %v", day, clock, err)
		}
		if !strings.HasSuffix(w.String(), "UTC") {
			t.Errorf("%s", w)
		}
	})
}
