package main

import (
	"math"
	"strconv"
	"strings"
)

// shareOf is how far a step is whose detail is bytes of bytes, such as "3.2 MB of
// 1.1 GB", in percent; nil for a detail that says something else.
func shareOf(detail string) *int {
	done, all, ok := strings.Cut(detail, " of ")
	if !ok {
		return nil
	}
	a, okDone := bytesIn(done)
	b, okAll := bytesIn(all)
	if !okDone || !okAll || b <= 0 {
		return nil
	}
	percent := int(math.Min(100*a/b, 100))
	return &percent
}

// bytesIn reads what platform.Bytes has written.
func bytesIn(text string) (float64, bool) {
	number, unit, _ := strings.Cut(text, " ")
	factor, known := map[string]float64{"byte": 1, "bytes": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}[unit]
	n, err := strconv.ParseFloat(strings.ReplaceAll(number, ",", ""), 64)
	return n * factor, known && err == nil
}
