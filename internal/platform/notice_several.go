package platform

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// NoticeDatabases stands in the text of a notice about several databases for
// those that its reader sees.
const NoticeDatabases = "{databases}"

// What to do where servers were found stopped and run again, and where one does not.
const (
	RestartedToDo = "What to do. Nothing, if the app connects anew by itself."
	StoppedToDo   = "What to do. Open the page of what does not run: it says what is known, and the server's log says why it does not start. It is started again every few seconds, and another notice comes when it runs."
)

// mostParts is how many databases that run again a notice names; those that do
// not run are all named.
const mostParts = 100

// NoticePart is one of the databases of a notice about several: it was found
// stopped and runs again after a time, or does not.
type NoticePart struct {
	Database, App string
	Runs          bool
	After         time.Duration // where it runs again
}

// SeveralNotice is a notice about several databases as somebody reads it who
// sees these parts of it: subject, body and figures. Body is the notice's own
// text, in which NoticeDatabases is replaced; level is the notice's own, and
// more where one of the parts does not run.
func SeveralNotice(level NoticeLevel, body string, parts []NoticePart) (NoticeLevel, string, string, []Figure) {
	var running, stopped []NoticePart
	longest := time.Duration(0)
	for _, p := range parts {
		if p.Runs {
			running, longest = append(running, p), max(longest, p.After)
		} else {
			stopped = append(stopped, p)
		}
	}
	subject := "Restarted: " + partsWords(running)
	var figures []Figure
	if len(running) > 0 {
		figures = append(figures, Figure{Label: "Run again", Value: fmt.Sprint(len(running))}, Figure{Label: "All of these after", Value: fmt.Sprintf("%.1f", longest.Seconds()), Unit: "s"})
	}
	toDo, means := RestartedToDo, "What it means. The connections of these databases ended, and open transactions were rolled back."
	if len(stopped) > 0 {
		level, toDo = NoticeBad, StoppedToDo
		figures = append([]Figure{{Label: "Do not run", Value: fmt.Sprint(len(stopped))}}, figures...)
		means += " Apps cannot reach those that do not run."
		subject = "Not running: " + partsWords(stopped)
		if len(running) > 0 {
			subject = fmt.Sprintf("Restarted: %s; %d do not run", partsWords(running), len(stopped))
			if len(stopped) == 1 {
				subject = fmt.Sprintf("Restarted: %s; %s does not run", partsWords(running), stopped[0].Database)
			}
		}
	}
	paragraphs := strings.Split(strings.ReplaceAll(body, NoticeDatabases, partsWords(parts)), "\n\n")
	lists := slices.DeleteFunc([]string{partsList("These do not run:", stopped, len(stopped)), partsList("These run again:", running, mostParts)}, func(s string) bool { return s == "" })
	return level, subject, strings.Join(slices.Insert(paragraphs, min(1, len(paragraphs)), lists...), "\n\n") + "\n\n" + means + "\n\n" + toDo, figures
}

// partsWords is "postgresql-a", "3 databases of sushi", "12 databases of 5 apps".
func partsWords(parts []NoticePart) string {
	if len(parts) == 1 {
		return parts[0].Database
	}
	apps := map[string]bool{}
	for _, p := range parts {
		apps[p.App] = true
	}
	of := fmt.Sprintf("%d apps", len(apps))
	if len(apps) == 1 {
		of = parts[0].App
	}
	return fmt.Sprintf("%d databases of %s", len(parts), of)
}

func partsList(head string, parts []NoticePart, most int) string {
	if len(parts) == 0 {
		return ""
	}
	lines := []string{head}
	for i, p := range parts {
		if i == most {
			lines = append(lines, fmt.Sprintf("- and %d more", len(parts)-most))
			break
		}
		line := "- " + p.Database + " of " + p.App
		if p.Runs {
			line += fmt.Sprintf(", after %.1f s", p.After.Seconds())
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
