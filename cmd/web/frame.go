package main

import (
	"net/http"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// frame is everything around a page's own content. It asks the control
// database once, so its answer's time is what the page shows as latency.
func (a *app) frame(c echo.Context, title string, active layout.Nav, topics ...string) (layout.Frame, error) {
	f := a.emptyFrame(c, title)
	start := time.Now()
	rail, err := db.RailOf(c.Request().Context(), a.pool, visitorOf(c).UserID, visitorOf(c).Access)
	if err != nil {
		return f, err
	}
	f.ControlLatency = time.Since(start)
	f.Active = active
	a.fillRail(&f, rail)
	f.Flash = a.takeFlash(c)
	if !visitorOf(c).NeedsFactor { // whose live connection would be refused
		f.Topics = append(topics, "rail")
	}
	f.RenderedAt = time.Now()
	return f, nil
}

// fillRail puts the counts and what is running into the frame.
func (a *app) fillRail(f *layout.Frame, rail db.Rail) {
	f.Apps, f.Databases, f.Maintenances, f.UnreadNotices = rail.Apps, rail.Databases, rail.Maintenances, rail.UnreadNotices
	for _, r := range rail.Running {
		f.Running = append(f.Running, layout.RunningOperation{
			ID: r.ID, Title: r.Kind.Title(), Database: r.DatabaseName, Reason: or(r.StepDetail, r.Reason),
			Step: r.Step, Steps: r.Steps, StepTitle: a.stepTitle(r.Kind, r.Step), Percent: percent(r.Step-1, r.Steps), Undoing: r.State == "undoing", NeedsPerson: r.NeedsPerson,
		})
	}
}

// stepTitle is the title of a kind's step, 1 for the first; empty for one that
// this program does not know.
func (a *app) stepTitle(kind platform.OperationKind, step int) string {
	infos := a.jobs.Steps(kind)
	if step < 1 || step > len(infos) {
		return ""
	}
	return infos[step-1].Title
}

func percent(done, all int) int {
	if all <= 0 || done < 0 {
		return 0
	}
	return min(100*done/all, 100)
}

// emptyFrame is a frame that asks nobody anything.
func (a *app) emptyFrame(c echo.Context, title string) layout.Frame {
	v := visitorOf(c)
	return layout.Frame{
		Title: title, Email: v.Email, Initials: initials(v.Email), CSRF: v.CSRF, Version: a.version,
		Asset: a.asset, Theme: theme(c), Answer: c.Request().Method == http.MethodPost, AnswerTo: formPage(c),
		Breadcrumbs: []component.Link{{Text: title}},
	}
}

// formPage is the address of the page whose form is answered, as its script has
// sent it along; empty where it has not.
func formPage(c echo.Context) string {
	if c.Request().Method != http.MethodPost || isAPI(c) || c.FormValue("form_page") == "" {
		return ""
	}
	return localPath(c.FormValue("form_page"))
}

// bareFrame is the frame of the pages before signing in.
func (a *app) bareFrame(c echo.Context, title string) layout.Frame {
	f := a.emptyFrame(c, title)
	f.Flash = a.takeFlash(c)
	return f
}

// errorFrame is the frame of an error's page. What is around the error is left
// out where the control database may be what failed.
func (a *app) errorFrame(c echo.Context, view page.ErrorView) layout.Frame {
	title, status := view.Heading(), view.Status
	if visitorOf(c).UserID != 0 && status < http.StatusInternalServerError {
		if f, err := a.frame(c, title, layout.NavNone); err == nil {
			return f
		}
	}
	f := a.emptyFrame(c, title)
	f.ControlAway = status == http.StatusServiceUnavailable
	return f
}

// theme is the reader's choice of light or dark; empty follows the system.
func theme(c echo.Context) string {
	if cookie, err := c.Cookie("theme"); err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		return cookie.Value
	}
	return ""
}

func initials(email string) string {
	name, _, _ := strings.Cut(email, "@")
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '-' || r == '_' || r == '+' })
	out := ""
	for _, p := range parts {
		if r := []rune(p); len(out) < 2 {
			out += strings.ToUpper(string(r[0]))
		}
	}
	return out
}

// crumbs are the way to a page, the page itself last.
func crumbs(links ...component.Link) []component.Link { return links }

func databaseLink(name string) component.Link {
	return component.Link{Text: name, URL: databasePath(name)}
}

func appLink(name string) component.Link { return component.Link{Text: name, URL: appPath(name)} }
