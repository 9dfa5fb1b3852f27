package main

import (
	"fmt"
	"strconv"

	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// formOf is a fresh form for the visitor.
func formOf(c echo.Context) component.Form {
	return component.Form{CSRF: visitorOf(c).CSRF, Values: map[string]string{}}
}

// databaseNew serves GET /databases/new; ?app= fills the app in.
func (a *app) databaseNew(c echo.Context) error {
	form := formOf(c)
	if app := c.QueryParam("app"); app != "" {
		form.Values["app"] = app
	}
	return a.showDatabaseNew(c, form)
}

func (a *app) showDatabaseNew(c echo.Context, form component.Form) error {
	view, err := a.databaseNewView(c, form)
	if err != nil {
		return err
	}
	f, err := a.frame(c, "Create a database", layout.NavDatabases)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Databases", URL: "/databases"}, component.Link{Text: "Create a database"})
	return a.render(c, statusOr(c), page.DatabaseNew(f, view))
}

func (a *app) databaseNewView(c echo.Context, form component.Form) (page.DatabaseNewView, error) {
	view := page.DatabaseNewView{
		Form: form, Plans: a.catalogue.Plans, StartedAt: a.startedAt, URL: a.cfg.URL.String(), Email: visitorOf(c).Email,
	}
	var err error
	if view.Apps, err = a.appNames(c.Request().Context(), visitorOf(c).Access, platform.RoleManage); err != nil {
		return view, err
	}
	for _, i := range a.engine.Installations() {
		view.Installed = append(view.Installed, page.Installed{Major: i.Major, Version: i.Version, BinDir: i.BinDir})
		view.Found = append(view.Found, component.Check{Tone: component.ToneOK, Label: "PostgreSQL " + i.Version, Detail: i.BinDir, Mono: true})
	}
	for _, zone := range a.engine.Zones() {
		free, total, err := a.engine.Disk(zone)
		check := component.Check{Tone: component.ToneOK, Label: "Disk of zone " + zone}
		switch {
		case err != nil:
			check.Tone, check.Detail = component.ToneBad, "it cannot be read"
		case free < leastFree(total):
			check.Tone, check.Detail = component.ToneBad, fmt.Sprintf("%s free of %s; no operation starts below %s", platform.Bytes(free), platform.Bytes(total), platform.Bytes(leastFree(total)))
		default:
			check.Detail = fmt.Sprintf("%s free of %s", platform.Bytes(free), platform.Bytes(total))
		}
		view.Found = append(view.Found, check)
	}
	pooler := component.Check{Tone: component.ToneOK, Label: "PgBouncer", Detail: "clients of connection pools wait through a switch"}
	if version, _ := a.jobs.Pooler(); version != "" {
		pooler.Label += " " + version
	} else {
		pooler.Tone, pooler.Detail = component.ToneWarn, "not found: a database can have no connection pool"
	}
	view.Found = append(view.Found, pooler)
	if zones := a.engine.Zones(); len(zones) == 1 {
		view.Found = append(view.Found, component.Check{Tone: component.ToneWarn, Label: "Zones", Detail: "1: a follower is on the same machine as its leader"})
	}
	view.Found = append(view.Found, component.Check{Tone: component.ToneOK, Label: "Ports for databases", Detail: fmt.Sprintf("%d to %d on %s", a.cfg.FirstPort, a.cfg.LastPort, a.engine.Host())})
	return view, nil
}

// leastFree is what stays free of a disk (safety 4).
func leastFree(total int64) int64 { return max(1<<30, total/20) }

// databaseCreate serves POST /databases. An app that does not exist yet is
// made with it: the first database of a new installation needs no other page.
func (a *app) databaseCreate(c echo.Context) error {
	operation, name, err := a.createDatabase(c)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showDatabaseNew(c, form) })
	}
	noteSubject(c, name)
	if isAPI(c) {
		return c.JSON(202, map[string]any{"operation": operation, "database": name})
	}
	return seeOther(c, databasePath(name))
}

func (a *app) createDatabase(c echo.Context) (operation int64, name string, err error) {
	input, err := readInput(c)
	if err != nil {
		return 0, "", err
	}
	if input["app"] == "" {
		return 0, "", platform.Invalid("app", "Name the app that the database is for, such as sushi. An app that does not exist yet is created.")
	}
	if input["plan"] == "" {
		return 0, "", platform.Invalid("plan", "Choose a plan from the list.")
	}
	major := 0 // the newest one installed
	if input["major"] != "" {
		if major, err = strconv.Atoi(input["major"]); err != nil {
			return 0, "", platform.Invalid("major", "Choose a PostgreSQL version from the list.")
		}
	}
	return a.startCreateDatabase(c, input["app"], input["plan"], major)
}
