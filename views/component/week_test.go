package component

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// What overlaps stands side by side, what does not has the whole width of its
// day, and windows with nothing due are one box where they overlap.
func TestWeekBoxes(t *testing.T) {
	from := time.Date(2026, 10, 22, 0, 0, 0, 0, time.UTC)
	span := func(kind WeekKind, day int, hour float64, title string) WeekSpan {
		at := from.AddDate(0, 0, day).Add(time.Duration(hour * float64(time.Hour)))
		return WeekSpan{Kind: kind, From: at, Until: at.Add(4 * time.Hour), Title: title}
	}
	w := Week{From: from, Now: from.Add(30 * time.Hour), Spans: []WeekSpan{
		span(WeekDue, 0, 2, "a"), span(WeekIdle, 0, 3, "b"), span(WeekIdle, 0, 5, "c"), span(WeekIdle, 0, 12, "d"),
		span(WeekDue, 1, 21, "across"),
		span(WeekDue, 3, 8, "e"), span(WeekDue, 3, 8, "f"), span(WeekDue, 3, 9, "g"), span(WeekDue, 3, 10, "h"), span(WeekDue, 3, 12.5, "i"),
		{Kind: WeekBlackout, From: from.AddDate(0, 0, 5), Until: from.AddDate(0, 0, 9), Title: "Blackout"},
		span(WeekDue, 8, 1, "next week"),
	}}
	drawn, left := w.boxes()
	var got []string
	for _, b := range drawn {
		got = append(got, fmt.Sprintf("%d %s %d/%d %v+%v %v", b.day, b.Title, b.lane+1, b.lanes, b.top/weekHour, b.height/weekHour, b.begins))
	}
	slices.Sort(got)
	want := []string{
		"0 2 windows 2/2 3+6 true", "0 a 1/2 2+4 true", "0 d 1/1 12+4 true",
		"1 across 1/1 21+3 true", "2 across 1/1 0+1 false",
		"3 e 1/3 8+4 true", "3 f 2/3 8+4 true", "3 g 3/3 9+4 true", "3 i 1/3 12.5+4 true",
		"5 Blackout 1/1 0+24 true", "6 Blackout 1/1 0+24 false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if left != [weekDays]int{3: 1} { // h
		t.Errorf("left out: %v", left)
	}
	if words := leftWords(w, left); !strings.Contains(words, "1 on Sun 25 Oct") {
		t.Errorf("%q", words)
	}
	if day, top, ok := w.nowAt(); day != 1 || top != 6*weekHour || !ok {
		t.Errorf("now: day %d, %v, %v", day, top, ok)
	}
}
