package main

import (
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// followerNew serves GET /databases/:database/followers/new; ?plan= and ?app=
// fill the form in.
func (a *app) followerNew(c echo.Context) error {
	form := formOf(c)
	for _, field := range []string{"plan", "app"} {
		if v := c.QueryParam(field); v != "" {
			form.Values[field] = v
		}
	}
	return a.showFollowerNew(c, form)
}

func (a *app) showFollowerNew(c echo.Context, form component.Form) error {
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	d, plan := row.Database, a.plan(row.Database.Plan)
	view := page.FollowerNewView{
		Form: form, LeaderName: d.Name, AppName: d.AppName, LeaderPlan: plan, LeaderZone: row.Zone, DataBytes: row.Reading.DataBytes,
		Choices: a.catalogue.FollowerChoices(plan, row.Reading.DataBytes), Zones: a.zoneChoices(row),
	}
	if err := platform.CanFollow(d, plan, time.Now()); err != nil {
		view.Refusal = failureOf(err, "").Message
	}
	if view.Apps, err = a.appNames(c.Request().Context(), visitorOf(c).Access, platform.RoleOperate); err != nil {
		return err
	}
	if row.Reading.DataBytes > 0 {
		// What a base backup copies in a second on a plain disk; the operation's
		// page shows the real pace.
		const bytesPerSecond = 100 << 20
		view.CopyEstimate = fmt.Sprintf("about %s for %s", wordsOf(time.Duration(row.Reading.DataBytes/bytesPerSecond+2)*time.Second), platform.Bytes(row.Reading.DataBytes))
	}
	f, err := a.frame(c, "Create a follower of "+d.Name, layout.NavDatabases)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Databases", URL: "/databases"}, appLink(d.AppName), databaseLink(d.Name), component.Link{Text: "Create a follower"})
	return a.render(c, statusOr(c), page.FollowerNew(f, view))
}

// zoneChoices are the places for a follower: away from its leader wherever
// there is more than one.
func (a *app) zoneChoices(leader db.DatabaseListRow) []page.ZoneChoice {
	zones := a.engine.Zones()
	var choices []page.ZoneChoice
	recommended := false
	for _, name := range zones {
		choice := page.ZoneChoice{Name: name}
		free, total, err := a.engine.Disk(name)
		choice.FreeBytes = free
		switch {
		case err != nil:
			choice.Refusal = "Its disk cannot be read."
		case free-leader.Reading.DataBytes < leastFree(total):
			choice.Refusal = fmt.Sprintf("It has %s free; the data is %s and %s stay free.", platform.Bytes(free), platform.Bytes(leader.Reading.DataBytes), platform.Bytes(leastFree(total)))
		}
		if !recommended && choice.Refusal == "" && (len(zones) == 1 || name != leader.Zone) {
			choice.Recommended, recommended = true, true
		}
		choices = append(choices, choice)
	}
	return choices
}

// followerCreate serves POST /databases/:database/followers.
func (a *app) followerCreate(c echo.Context) error {
	operation, name, err := a.createFollower(c)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showFollowerNew(c, form) })
	}
	noteDetail(c, "Follower "+name)
	if isAPI(c) {
		return accepted(c, operation, name)
	}
	return seeOther(c, databasePath(name))
}

func (a *app) createFollower(c echo.Context) (operation int64, name string, err error) {
	input, err := readInput(c)
	if err != nil {
		return 0, "", err
	}
	ctx := c.Request().Context()
	row, err := a.findDatabase(c)
	if err != nil {
		return 0, "", err
	}
	if input["plan"] == "" {
		return 0, "", platform.Invalid("plan", "Choose a plan for the follower. %s, the leader's own, is recommended.", row.Database.Plan)
	}
	appID := row.Database.AppID
	if name := input["app"]; name != "" && name != row.Database.AppName {
		app, err := a.appFor(c, name, platform.RoleOperate)
		if err != nil {
			return 0, "", err
		}
		appID = app.ID
	}
	op, err := a.jobs.StartCreateFollower(ctx, visitorOf(c).Email, row.Database.ID, appID, input["plan"], input["zone"])
	if err != nil {
		return 0, "", err
	}
	name, err = a.databaseName(ctx, op.DatabaseID)
	return op.ID, name, err
}
