package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

func maintenancePath(id int64) string { return "/maintenances/" + strconv.FormatInt(id, 10) }

// findMaintenance is the maintenance that the path names.
func (a *app) findMaintenance(c echo.Context) (platform.Maintenance, error) {
	id, err := number(c, "id")
	if err != nil {
		return platform.Maintenance{}, err
	}
	m, err := db.MaintenanceByID(c.Request().Context(), a.pool, id)
	if err == nil {
		noteSubject(c, m.Title()+" of "+m.DatabaseName)
	}
	return m, err
}

// maintenanceShow serves GET /maintenances/:id: JSON for programs, for people
// the list with its row opened, and once it has ended its operation.
func (a *app) maintenanceShow(c echo.Context) error {
	m, err := a.findMaintenance(c)
	switch {
	case err != nil:
		return err
	case isAPI(c):
		return c.JSON(200, toMaintenanceJSON(m))
	case !m.State.Open():
		return seeOther(c, operationPath(m.OperationID))
	}
	return seeOther(c, fmt.Sprintf("/maintenances?open=%d#maintenance-%d", m.ID, m.ID))
}

// changed answers a POST that changed a maintenance.
func (a *app) changed(c echo.Context, m platform.Maintenance, sentence string) error {
	if isAPI(c) {
		now, err := db.MaintenanceByID(c.Request().Context(), a.pool, m.ID)
		if err != nil {
			return err
		}
		return c.JSON(202, toMaintenanceJSON(now))
	}
	a.flashOK(c, sentence)
	return seeOther(c, a.cameFrom(c, maintenancePath(m.ID)))
}

// maintenanceMove serves POST /maintenances/:id/move.
func (a *app) maintenanceMove(c echo.Context) error {
	m, err := a.findMaintenance(c)
	if err != nil {
		return err
	}
	at, err := a.moveMaintenance(c, m)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showMaintenances(c, m.ID, form) })
	}
	noteDetail(c, "To "+platform.MomentUTC(at))
	return a.changed(c, m, fmt.Sprintf("The maintenance of %s is moved to %s.", m.DatabaseName, platform.MomentUTC(at)))
}

func (a *app) moveMaintenance(c echo.Context, m platform.Maintenance) (time.Time, error) {
	input, err := readInput(c)
	if err != nil {
		return time.Time{}, err
	}
	if input["at"] == "" && input["date"] == "" {
		return time.Time{}, platform.Invalid("at", "Choose one of the openings, or another time.")
	}
	at, err := readMoment(input, "at")
	if err != nil {
		return at, err
	}
	return at, a.jobs.MoveMaintenance(c.Request().Context(), visitorOf(c).Email, m.ID, at)
}

// maintenancePostpone serves POST /maintenances/:id/postpone: by whole weeks.
func (a *app) maintenancePostpone(c echo.Context) error {
	m, err := a.findMaintenance(c)
	if err != nil {
		return err
	}
	input, err := readInput(c)
	if err != nil {
		return err
	}
	weeks, err := strconv.Atoi(or(input["weeks"], "1"))
	if err != nil {
		weeks = 0 // which is refused with a sentence
	}
	if err := a.jobs.PostponeMaintenance(c.Request().Context(), visitorOf(c).Email, m.ID, weeks); err != nil {
		return err
	}
	noteDetail(c, "By "+plural(weeks, "week"))
	return a.changed(c, m, fmt.Sprintf("The maintenance of %s is postponed by %s.", m.DatabaseName, plural(weeks, "week")))
}

// maintenanceRunConfirm serves GET /maintenances/:id/run.
func (a *app) maintenanceRunConfirm(c echo.Context) error {
	return a.confirmMaintenance(c, formOf(c), func(ctx context.Context, m platform.Maintenance, view *page.ConfirmView) error {
		view.Title, view.Button = "Run the maintenance of "+m.DatabaseName+" now", "Run it now"
		view.Lead = "The switch begins as soon as the replacement has caught up. It cannot be put back once the replacement is promoted; for 24 hours it can be switched back."
		if m.State == platform.MaintenanceRunning {
			view.Refusal = "It runs already."
		} else if m.AtOnce {
			view.Refusal = "It runs as soon as it is ready; nothing else holds it up."
		}
		view.Consequences = []component.Check{note(component.ToneWarn, "Writes", "%s", a.refusedWords(ctx, m.DatabaseID))}
		if m.State == platform.MaintenancePreparing {
			view.Consequences = append(view.Consequences, note(component.ToneInfo, "The replacement", "It is still being prepared. The switch begins by itself when it has caught up."))
		}
		holding, err := a.jobs.HoldingUp(ctx, m.ID)
		switch {
		case err != nil:
			view.Consequences = append(view.Consequences, note(component.ToneWarn, "Long transactions", "Who has one open is not known now: the server did not answer."))
		case len(holding) > 0:
			view.Consequences = append(view.Consequences, note(component.ToneWarn, "Long transactions", "%s open for more than 5 seconds. They are waited for, ten minutes at most; then the switch rolls them back.", are(len(holding), "transaction")))
		}
		return nil
	})
}

// maintenanceRun serves POST /maintenances/:id/run.
func (a *app) maintenanceRun(c echo.Context) error {
	m, err := a.findMaintenance(c)
	if err != nil {
		return err
	}
	if err := a.jobs.RunMaintenanceNow(c.Request().Context(), visitorOf(c).Email, m.ID); err != nil {
		return err
	}
	if isAPI(c) {
		return a.changed(c, m, "")
	}
	return seeOther(c, operationPath(m.OperationID))
}

// maintenanceCancelConfirm serves GET /maintenances/:id/cancel.
func (a *app) maintenanceCancelConfirm(c echo.Context) error {
	return a.confirmMaintenance(c, formOf(c), func(_ context.Context, m platform.Maintenance, view *page.ConfirmView) error {
		view.Title, view.Button, view.Destructive = "Cancel the maintenance of "+m.DatabaseName, "Cancel the maintenance", true
		if m.Kind == platform.MaintenanceSwitchBack {
			view.Lead = "It is put back, and the old server is kept as before."
			view.Consequences = []component.Check{note(component.ToneOK, "The database", "%s stays on %s. Nothing has changed.", m.DatabaseName, m.FromPlan)}
			return nil
		}
		view.Lead = "The replacement is destroyed, with its files, its port and its slot."
		view.Consequences = []component.Check{
			note(component.ToneOK, "The database", "%s stays on %s and goes on as it is. Nothing has changed, and nothing was billed.", m.DatabaseName, m.FromPlan),
			note(component.ToneInfo, "To upgrade later", "A new replacement is prepared then, from the beginning."),
		}
		return nil
	})
}

// maintenanceCancel serves POST /maintenances/:id/cancel.
func (a *app) maintenanceCancel(c echo.Context) error {
	m, err := a.findMaintenance(c)
	if err != nil {
		return err
	}
	if err := a.jobs.CancelMaintenance(c.Request().Context(), visitorOf(c).Email, m.ID); err != nil {
		return err
	}
	if isAPI(c) {
		return a.changed(c, m, "")
	}
	a.flashOK(c, "Cancelling was asked for. The replacement is destroyed; "+m.DatabaseName+" goes on as it is.")
	return seeOther(c, operationPath(m.OperationID))
}

// confirmMaintenance is a page that asks before something is done to a
// maintenance; fill says what.
func (a *app) confirmMaintenance(c echo.Context, form component.Form, fill func(context.Context, platform.Maintenance, *page.ConfirmView) error) error {
	m, err := a.findMaintenance(c)
	if err != nil {
		return err
	}
	view := page.ConfirmView{Form: form, PostURL: c.Request().URL.Path, Back: component.Link{Text: "Leave it as it is", URL: maintenancePath(m.ID)}}
	if err := fill(c.Request().Context(), m, &view); err != nil {
		return err
	}
	if !m.State.Open() {
		view.Refusal = fmt.Sprintf("This maintenance is %s; nothing of it can be changed any more.", m.State)
	}
	f, err := a.frame(c, view.Title, layout.NavMaintenances)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Maintenances", URL: "/maintenances"}, component.Link{Text: view.Title})
	return a.render(c, statusOr(c), page.Confirm(f, view))
}

// are is "1 transaction is", "2 transactions are".
func are(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return plural(n, what) + " are"
}
