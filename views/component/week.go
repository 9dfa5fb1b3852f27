package component

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// WeekKind is what a span of the week's picture is.
type WeekKind string

// The kinds. Idle is a window in which nothing is due.
const (
	WeekDue      WeekKind = "due"
	WeekIdle     WeekKind = "idle"
	WeekDone     WeekKind = "done"
	WeekBlackout WeekKind = "blackout"
)

// WeekSpan is one span of the week.
type WeekSpan struct {
	Kind        WeekKind
	From, Until time.Time
	Title       string // "sushi-staging"
	Text        string // "switch at 02:00"
	URL         string // may be empty
	// Name is the database's, for the list that stands in for the picture.
	Name string
}

// Week is seven days from From, midnight UTC.
type Week struct {
	From, Now time.Time
	Spans     []WeekSpan
}

// Sizes of the picture, in pixels. A window of four hours holds two lines.
const (
	weekHour  = 12.5
	weekDays  = 7
	weekLanes = 3
)

// weekBox is a piece of a span on one day.
type weekBox struct {
	WeekSpan
	day, lane   int
	lanes       int // that share the width of the day where this piece is
	top, height float64
	begins      bool // the span begins in this piece: it holds the words
}

func (b weekBox) x() string {
	return share100((float64(b.day)+float64(b.lane)/float64(b.lanes))/weekDays + weekGap)
}

func (b weekBox) width() string { return share100(1/(weekDays*float64(b.lanes)) - 2*weekGap) }

func (b weekBox) y() string       { return px(b.top) }
func (b weekBox) heightS() string { return px(b.height) }

const weekGap = 0.003

// boxes cuts the spans at midnight and puts those that overlap beside each
// other. Windows in which nothing is due make one box where they overlap. Left
// counts, by day, the switches for which there is no room.
func (w Week) boxes() (drawn []weekBox, left [weekDays]int) {
	var busy, idle []WeekSpan
	for _, s := range w.Spans {
		switch s.Kind {
		case WeekBlackout:
			for _, piece := range w.pieces(s) {
				piece.lanes = 1
				drawn = append(drawn, piece)
			}
		case WeekIdle:
			idle = append(idle, s)
		default:
			busy = append(busy, s)
		}
	}
	byDay := [weekDays][]weekBox{}
	for _, list := range [][]WeekSpan{busy, together(idle)} {
		slices.SortStableFunc(list, func(a, b WeekSpan) int { return a.From.Compare(b.From) })
		for _, s := range list {
			for _, piece := range w.pieces(s) {
				if piece.lane = freeLane(byDay[piece.day], piece); piece.lane < weekLanes {
					byDay[piece.day] = append(byDay[piece.day], piece)
				} else if piece.begins && s.Kind != WeekIdle {
					left[piece.day]++
				}
			}
		}
	}
	for _, day := range byDay {
		shareWidth(day)
		drawn = append(drawn, day...)
	}
	return drawn, left
}

// together makes one span of windows that overlap.
func together(idle []WeekSpan) []WeekSpan {
	idle = slices.Clone(idle)
	slices.SortStableFunc(idle, func(a, b WeekSpan) int { return a.From.Compare(b.From) })
	var list []WeekSpan
	var count int
	for _, s := range idle {
		if n := len(list); n > 0 && s.From.Before(list[n-1].Until) {
			count++
			list[n-1] = WeekSpan{Kind: WeekIdle, From: list[n-1].From, Until: later(list[n-1].Until, s.Until), Title: Plural(count, "window"), Text: "nothing due"}
			continue
		}
		list, count = append(list, s), 1
	}
	return list
}

// freeLane is the first lane in which nothing of a day is in the way.
func freeLane(day []weekBox, piece weekBox) int {
	lane := 0
	for slices.ContainsFunc(day, func(b weekBox) bool { return b.lane == lane && b.meets(piece) }) {
		lane++
	}
	return lane
}

// words is the second line, short where the box is narrow.
func (b weekBox) words() string {
	if b.lanes > 1 {
		return strings.TrimPrefix(b.Text, "switch ")
	}
	return b.Text
}

func (b weekBox) meets(o weekBox) bool { return b.top < o.top+o.height && o.top < b.top+b.height }

// shareWidth lets boxes that hang together by overlapping share the width of the day.
func shareWidth(day []weekBox) {
	for i := range day {
		day[i].lanes = day[i].lane + 1
	}
	for changed := true; changed; {
		changed = false
		for i := range day {
			for k := range day {
				if day[i].meets(day[k]) && day[i].lanes < day[k].lanes {
					day[i].lanes, changed = day[k].lanes, true
				}
			}
		}
	}
}

// pieces cuts a span at midnight.
func (w Week) pieces(s WeekSpan) []weekBox {
	var out []weekBox
	first := true
	for day := range weekDays {
		dawn := w.From.Add(time.Duration(day) * 24 * time.Hour)
		dusk := dawn.Add(24 * time.Hour)
		from, until := later(s.From, dawn), earlier(s.Until, dusk)
		if !from.Before(until) {
			continue
		}
		out = append(out, weekBox{
			WeekSpan: s, day: day, begins: first, top: from.Sub(dawn).Hours() * weekHour, height: until.Sub(from).Hours() * weekHour,
		})
		first = false
	}
	return out
}

// nowAt is the day and the height of the line "now"; ok is false in another week.
func (w Week) nowAt() (day int, top float64, ok bool) {
	since := w.Now.Sub(w.From)
	if since < 0 || since >= weekDays*24*time.Hour {
		return 0, 0, false
	}
	day = int(since.Hours() / 24)
	return day, (since - time.Duration(day)*24*time.Hour).Hours() * weekHour, true
}

// day is a day's midnight, UTC.
func (w Week) day(i int) time.Time { return w.From.AddDate(0, 0, i) }

// dayWord is "Thu 8 Oct", of today "Thu 8 Oct, today".
func (w Week) dayWord(i int) (word string, today bool) {
	d := w.day(i)
	if d.Format(time.DateOnly) == w.Now.UTC().Format(time.DateOnly) {
		return d.Format("Mon 2 Jan") + ", today", true
	}
	return d.Format("Mon 2 Jan"), false
}

// WeekDay is a day of the list that stands in for the picture.
type WeekDay struct {
	Word  string
	Spans []WeekSpan // but for windows with nothing due
	Idle  int        // how many of those
}

// list is the week in words.
func (w Week) list() []WeekDay {
	days := make([]WeekDay, weekDays)
	for i := range days {
		days[i].Word, _ = w.dayWord(i)
		for _, s := range w.Spans {
			switch begins := later(s.From, w.From); {
			case begins.Before(w.day(i)) || !begins.Before(w.day(i+1)):
			case s.Kind == WeekIdle:
				days[i].Idle++
			default:
				days[i].Spans = append(days[i].Spans, s)
			}
		}
		slices.SortStableFunc(days[i].Spans, func(a, b WeekSpan) int { return a.From.Compare(b.From) })
	}
	return days
}

// spanWords is a span in the list.
func spanWords(s WeekSpan) string {
	if s.Kind == WeekBlackout {
		return "Blackout from " + s.From.UTC().Format("2 Jan 15:04") + " to " + s.Until.UTC().Format("2 Jan 15:04") + " UTC: " + s.Text
	}
	return s.Title + ": " + s.Text
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}

func share100(part float64) string { return strconv.FormatFloat(part*100, 'f', 3, 64) + "%" }

func px(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
