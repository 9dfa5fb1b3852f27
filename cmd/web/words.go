package main

import (
	"fmt"
	"time"

	"changeover/views/component"

	"github.com/labstack/echo/v4"
)

// wordsOf is a duration for a person: "0.3 s", "14 min", "3 h".
func wordsOf(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// plural is "1 follower", "2 followers".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// flashOK leaves a sentence about what was just done for the next page.
func (a *app) flashOK(c echo.Context, text string) {
	a.flash(c, component.ToneOK, text, component.Link{})
}
