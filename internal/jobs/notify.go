package jobs

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// notify puts a notice about the attempt's operation into the feed, in the
// transaction that ends it.
func notify(ctx context.Context, tx pgx.Tx, a *workflow.Attempt, kind platform.NoticeKind, subject, body string, figures ...platform.Figure) error {
	_, err := db.CreateNotice(ctx, tx, db.NewNotice{Kind: kind, Subject: subject, Body: body, Figures: figures,
		DatabaseID: &a.Operation.DatabaseID, AppID: a.Operation.AppID, OperationID: &a.Operation.ID})
	return err
}

// switchFigures are what was measured of a switch.
func switchFigures(c db.Changeover) []platform.Figure {
	var figures []platform.Figure
	refused := "Writes refused"
	if c.HeldMS != nil {
		label := "Pooled clients waited"
		if c.HeldAtLeast {
			label += " at least"
		}
		figures = append(figures, platform.Figure{Label: label, Value: thousands(int64(*c.HeldMS + 0.5)), Unit: "ms"})
		refused = "Direct writes refused"
	}
	if c.OutageMS != nil {
		figures = append(figures, platform.Figure{Label: refused, Value: thousands(int64(*c.OutageMS + 0.5)), Unit: "ms"})
	}
	if c.OldEndLSN != nil && c.ForkLSN != nil {
		lost := platform.Figure{Label: "Lost commits", Value: "0"}
		if !proven(c) {
			lost.Value = "not known"
		}
		figures = append(figures, lost)
	}
	if c.SessionsEnded != nil {
		figures = append(figures, platform.Figure{Label: "Sessions ended", Value: thousands(int64(*c.SessionsEnded))})
	}
	if c.TransactionsEnded != nil {
		figures = append(figures, platform.Figure{Label: "Open transactions rolled back", Value: thousands(int64(*c.TransactionsEnded))})
	}
	return figures
}

// outageWords end the sentence "The time in which writes were refused …", with one
// more about clients of connection pools where there were any.
func outageWords(c db.Changeover) string {
	words := "was not measured."
	if c.OutageMS != nil {
		words = fmt.Sprintf("was %.0f ms.", *c.OutageMS)
	}
	switch {
	case c.HeldMS != nil && c.HeldAtLeast:
		words += fmt.Sprintf(" Clients of the connection pools waited, for at least %.0f ms; how much longer is not known.", *c.HeldMS)
	case c.HeldMS != nil:
		words += fmt.Sprintf(" Clients of the connection pools were refused nothing: they waited, for %.0f ms at most.", *c.HeldMS)
	}
	return words
}

// proven is whether the new timeline begins exactly where the old one ends.
func proven(c db.Changeover) bool {
	return c.OldEndLSN != nil && c.ForkLSN != nil && *c.OldEndLSN == *c.ForkLSN
}

// proofWords are a notice's paragraph on whether anything acknowledged can be
// missing; empty where the two positions were not read. what is the old one:
// "leader", "server".
func proofWords(what string, c db.Changeover) string {
	if c.OldEndLSN == nil || c.ForkLSN == nil {
		return ""
	}
	words := fmt.Sprintf("\n\nProof. The old %s's last WAL ends at %s, the new timeline begins at %s.", what, *c.OldEndLSN, *c.ForkLSN)
	if proven(c) {
		return words + " They are equal: nothing acknowledged is missing."
	}
	return words + fmt.Sprintf(" They differ: commits between the two may be missing. Keep the old %s until they are compared.", what)
}

// bytesFigure is a size, its unit apart.
func bytesFigure(label string, bytes int64) platform.Figure {
	number, unit, _ := strings.Cut(platform.Bytes(bytes), " ")
	return platform.Figure{Label: label, Value: number, Unit: unit}
}

// spanFigure is how long something took.
func spanFigure(label string, d time.Duration) platform.Figure {
	switch {
	case d < time.Minute:
		return platform.Figure{Label: label, Value: fmt.Sprintf("%.1f", d.Seconds()), Unit: "s"}
	case d < time.Hour:
		return platform.Figure{Label: label, Value: fmt.Sprintf("%.0f", d.Minutes()), Unit: "min"}
	}
	return platform.Figure{Label: label, Value: fmt.Sprintf("%.1f", d.Hours()), Unit: "h"}
}

// countFigure is a plain number.
func countFigure(label string, n int) platform.Figure {
	return platform.Figure{Label: label, Value: thousands(int64(n))}
}

// shareFigure is how much of a limit is used, in percent.
func shareFigure(label string, used, limit int64) platform.Figure {
	return platform.Figure{Label: label, Value: strconv.FormatInt(used*100/max(limit, 1), 10), Unit: "%"}
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
