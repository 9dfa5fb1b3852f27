package platform

import (
	"strconv"
	"strings"
	"time"
)

// ParseMoment reads a day such as 2026-10-14 and a full or half hour such as
// 03:30, UTC, as a form sends them; else Invalid at the field given for it.
func ParseMoment(dateField, date, clockField, clock string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, strings.TrimSpace(date))
	if err != nil || day.Year() < 2000 || day.Year() > 2999 {
		return time.Time{}, Invalid(dateField, "%q is no date. Choose one from the calendar, or type it as year, month and day, such as 2026-10-14.", cutText(date))
	}
	minute, err := parseHalfHour(clockField, clock)
	if err != nil {
		return time.Time{}, err
	}
	return day.Add(time.Duration(minute) * time.Minute), nil
}

// ParseInstant reads a time as programs send it, RFC 3339, and makes it UTC; else
// Invalid at field. Years are those of ParseMoment.
func ParseInstant(field, text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(text))
	if at = at.UTC(); err != nil || at.Year() < 2000 || at.Year() > 2999 {
		return time.Time{}, Invalid(field, "%q is no time. Send one such as 2026-10-14T03:30:00Z.", cutText(text))
	}
	return at, nil
}

// ParseWindow reads a day of the week ("0" is Sunday, or its English name) and a
// full or half hour, UTC; else Invalid at field "weekday" or "time".
func ParseWindow(weekday, clock string) (Window, error) {
	w := Window{Weekday: -1}
	weekday = strings.TrimSpace(weekday)
	for day := time.Sunday; day <= time.Saturday; day++ {
		if weekday == strconv.Itoa(int(day)) || strings.EqualFold(weekday, day.String()) {
			w.Weekday = day
		}
	}
	if w.Weekday < time.Sunday {
		return Window{}, Invalid("weekday", "%q is no day of the week. Choose one from the list.", cutText(weekday))
	}
	var err error
	w.Minute, err = parseHalfHour("time", clock)
	return w, err
}

// parseHalfHour is the minute of the day.
func parseHalfHour(field, clock string) (int, error) {
	at, err := time.Parse("15:04", strings.TrimSpace(clock))
	if err != nil {
		return 0, Invalid(field, "%q is no time of the day. Choose a full or a half hour from the list, such as 03:30; it is UTC.", cutText(clock))
	}
	if at.Minute()%30 != 0 {
		return 0, Invalid(field, "Maintenances begin at a full or a half hour, and %s is neither. Choose one from the list.", at.Format("15:04"))
	}
	return at.Hour()*60 + at.Minute(), nil
}

// HalfHours are all times that a form offers: "00:00", "00:30", …
func HalfHours() []string {
	list := make([]string, 0, 48)
	for at := (time.Time{}); len(list) < 48; at = at.Add(30 * time.Minute) {
		list = append(list, at.Format("15:04"))
	}
	return list
}

// cutText keeps a sentence about what somebody typed short.
func cutText(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
