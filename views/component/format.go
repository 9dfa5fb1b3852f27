package component

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"changeover/internal/platform"
)

// None stands where something does not apply. Zero is written "0".
const None = "–"

// Number is n with a comma at every thousand: "18,204".
func Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Dollars is a catalogue price in whole dollars: "$1,200".
func Dollars(cents int64) string { return "$" + Number(cents/100) }

// Cost is an amount to the cent: "$12.53".
func Cost(cents float64) string {
	whole := int64(math.Round(cents))
	return fmt.Sprintf("$%s.%02d", Number(whole/100), whole%100)
}

// Millis is a duration in milliseconds as a person reads it: "142", "2,312", "0.4".
func Millis(ms float64) string {
	if ms > 0 && ms < 1 {
		return strconv.FormatFloat(ms, 'f', 1, 64)
	}
	return Number(int64(math.Round(ms)))
}

// Milliseconds is d in milliseconds, for Millis.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Span is a duration for a person: "0.004 s", "3.204 s", "48 s", "14 min 02 s",
// "3 h 05 min", "4 days".
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.3f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// About is an estimate without false precision: "18 ms", "0.2 s", "40 s", "34 min".
func About(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(1, d.Milliseconds()))
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < 90*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}

// Ago is how long t is past: "just now", "41 s ago", "12 minutes ago", "3 days ago".
func Ago(t time.Time) string {
	d := time.Since(t)
	plural := func(n int, word string) string {
		if n == 1 {
			return "1 " + word + " ago"
		}
		return strconv.Itoa(n) + " " + word + "s ago"
	}
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%.0f s ago", d.Seconds())
	case d < time.Hour:
		return plural(int(d.Minutes()), "minute")
	case d < 24*time.Hour:
		return plural(int(d.Hours()), "hour")
	}
	return plural(int(d.Hours()/24), "day")
}

// ShortName is a database's name without the product's prefix: "shaped-12345".
func ShortName(name string) string { return strings.TrimPrefix(name, "postgresql-") }

// Plural is "1 follower", "2 followers".
func Plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return Number(int64(n)) + " " + word + "s"
}

// OfBytes is used and limit in the limit's unit: "38.4", "64 GB". What is far
// below it keeps its own: "7.3 MB", "64 GB".
func OfBytes(used, limit int64) (string, string) {
	of := platform.Bytes(limit)
	number, unit, _ := strings.Cut(of, " ")
	shift := map[string]uint{"bytes": 0, "kB": 10, "MB": 20, "GB": 30, "TB": 40}[unit]
	value := float64(used) / float64(int64(1)<<shift)
	digits := 1
	if value >= 100 || value == math.Trunc(value) {
		digits = 0
	} else if value < 0.1 {
		return platform.Bytes(used), number + " " + unit
	}
	return strconv.FormatFloat(value, 'f', digits, 64), number + " " + unit
}

// Memory is a plan's memory: "4 GB", or "shared" where the plan has none of its own.
func Memory(bytes int64) string {
	if bytes == 0 {
		return "shared"
	}
	return platform.Bytes(bytes)
}

// LagCommits is the commits of a lag in words: "125 commits", "unknown".
func LagCommits(l platform.Lag) string {
	if !l.Known {
		return "unknown"
	}
	return Plural(int(l.Commits), "commit")
}

// LagRest is the bytes and seconds of a lag: "1.8 MB, 0.4 s".
func LagRest(l platform.Lag) string {
	if !l.Known {
		return "since " + l.Since.UTC().Format("15:04:05")
	}
	seconds := strconv.FormatFloat(l.Seconds, 'f', 1, 64) + " s"
	if l.Seconds >= 60 {
		seconds = About(time.Duration(l.Seconds * float64(time.Second)))
	}
	return platform.Bytes(l.Bytes) + ", " + seconds
}

// LagTone is what a lag means: near, far or unknown.
func LagTone(l platform.Lag) Tone {
	switch {
	case !l.Known:
		return ToneWarn
	case l.Commits > platform.CaughtUpCommits:
		return ToneWarn
	}
	return ToneNeutral
}

// Query is the part of a statement that fits a line, blanks folded.
func Query(q string, n int) string {
	q = strings.Join(strings.Fields(q), " ")
	if r := []rune(q); len(r) > n {
		return string(r[:n]) + "…"
	}
	return q
}

// percent is part of whole in an SVG attribute: "12.30%".
func percent(part, whole float64) string {
	if whole <= 0 {
		return "0%"
	}
	return strconv.FormatFloat(part/whole*100, 'f', 2, 64) + "%"
}
