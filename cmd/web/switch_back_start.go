package main

import (
	"context"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// switchBackConfirm serves GET /databases/:database/switch-back: what it would
// do, checked against both servers now.
func (a *app) switchBackConfirm(c echo.Context) error { return a.showSwitchBack(c, formOf(c)) }

func (a *app) showSwitchBack(c echo.Context, form component.Form) error {
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	ctx, d := c.Request().Context(), row.Database
	view := page.ConfirmView{
		Form: form, Title: "Switch " + d.Name + " back", Button: "Switch back", PostURL: databasePath(d.Name) + "/switch-back",
		Lead: "The old server takes its place again. It has followed the new one since the switch, so nothing that was written meanwhile is lost.",
		Back: component.Link{Text: "Back to " + d.Name, URL: databasePath(d.Name)},
	}
	offer, err := a.jobs.OfferSwitchBack(ctx, d.ID)
	switch {
	case row.Operation != nil:
		view.Refusal = fmt.Sprintf("%s of it is running. Wait until it has ended.", row.Operation.Kind.Title())
		view.WayOut = component.Link{Text: "Show the operation", URL: operationPath(row.Operation.ID)}
	case err != nil:
		f := failureOf(err, "")
		if f.Status >= 500 && !isKind(err, platform.KindUnavailable) {
			return err
		}
		view.Refusal = f.Message
	default:
		view.Button = "Switch back to " + offer.Plan.Name
		view.Consequences = []component.Check{
			note(component.ToneInfo, "Plan", "%s again, %s.", offer.Plan.Name, offer.Plan.Price()),
			note(component.ToneWarn, "Writes", "%s", a.refusedWords(ctx, d.ID)),
			note(component.ToneInfo, "Offered until", "%s; then the old server is destroyed.", platform.MomentUTC(offer.Until)),
		}
		for _, check := range offer.Checks {
			view.Consequences = append(view.Consequences, component.Check{Tone: checkTone(check.State), Label: check.Title, Detail: check.Detail})
		}
	}
	return a.renderConfirm(c, row, view)
}

// refusedWords says what a switch of the database is expected to cost.
func (a *app) refusedWords(ctx context.Context, databaseID int64) string {
	outages, err := db.RecentOutages(ctx, a.pool, []int64{databaseID})
	if ms := medianOf(outages[databaseID]); err == nil && ms > 0 {
		return fmt.Sprintf("They are refused for about %s ms, as in the last switches of this data, and direct connections end.", component.Millis(ms))
	}
	return "They are refused for a moment, and direct connections end. How long was not measured with this data yet."
}

// switchBackStart serves POST /databases/:database/switch-back.
func (a *app) switchBackStart(c echo.Context) error {
	op, err := func() (platform.Operation, error) {
		row, err := a.findDatabase(c)
		if err != nil {
			return platform.Operation{}, err
		}
		return a.jobs.StartSwitchBack(c.Request().Context(), visitorOf(c).Email, row.Database.ID)
	}()
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSwitchBack(c, form) })
	}
	return accepted(c, op.ID, c.Param("database"))
}

// oldServerConfirm serves GET /databases/:database/destroy-old-server.
func (a *app) oldServerConfirm(c echo.Context) error { return a.showOldServer(c, formOf(c)) }

func (a *app) showOldServer(c echo.Context, form component.Form) error {
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	d := row.Database
	if a.plan(d.Plan).Tier.IsShared {
		return a.showOldDatabase(c, form, row)
	}
	view := page.ConfirmView{
		Form: form, Title: "Destroy the old server of " + d.Name, Button: "Destroy the old server", Destructive: true,
		Lead: "It is the server that the last switch has kept. Once it is gone one cannot switch back.", ConfirmWord: d.AppName, ConfirmWhat: "the app's name",
		PostURL: databasePath(d.Name) + "/destroy-old-server", Back: component.Link{Text: "Back to " + d.Name, URL: databasePath(d.Name)},
		Consequences: []component.Check{
			note(component.ToneOK, "The database", "%s goes on as it is; its followers too.", d.Name),
			note(component.ToneWarn, "Switching back", "It is not possible any more. To change the plan again, upgrade."),
			note(component.ToneInfo, "Billing", "Nothing was billed for it, so nothing changes."),
		},
	}
	kept, ok, err := db.KeptServerOf(c.Request().Context(), a.pool, d.ID)
	switch {
	case err != nil:
		return err
	case !ok:
		view.Refusal = "No old server of it is kept any more."
	case row.Operation != nil:
		view.Refusal = fmt.Sprintf("%s of it is running. Wait until it has ended.", row.Operation.Kind.Title())
		view.WayOut = component.Link{Text: "Show the operation", URL: operationPath(row.Operation.ID)}
	default:
		view.Consequences = append(view.Consequences, note(component.ToneInfo, "By itself", "It is destroyed at %s.", platform.MomentUTC(*kept.KeptUntil)))
	}
	return a.renderConfirm(c, row, view)
}

// oldServerDestroy serves POST /databases/:database/destroy-old-server.
func (a *app) oldServerDestroy(c echo.Context) error {
	op, err := func() (platform.Operation, error) {
		input, err := readInput(c)
		if err != nil {
			return platform.Operation{}, err
		}
		row, err := a.findDatabase(c)
		if err != nil {
			return platform.Operation{}, err
		}
		if err := confirmed(input, row.Database.AppName, "the app's name"); err != nil {
			return platform.Operation{}, err
		}
		if a.plan(row.Database.Plan).Tier.IsShared {
			return a.jobs.StartDropOldDatabase(c.Request().Context(), visitorOf(c).Email, row.Database.ID)
		}
		return a.jobs.StartDestroyOldServer(c.Request().Context(), visitorOf(c).Email, row.Database.ID)
	}()
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showOldServer(c, form) })
	}
	return accepted(c, op.ID, c.Param("database"))
}
