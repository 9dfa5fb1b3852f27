package main

import (
	"context"
	"errors"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/labstack/echo/v4"
)

func recreateAct() act {
	return act{
		verb: "recreate", title: "Re-create", button: "Re-create", destructive: true,
		lead: func(row db.DatabaseListRow) string {
			return "It is copied from its leader anew, and the copy takes its place: name, attachments and plan stay."
		},
		refusal: func(row db.DatabaseListRow, _ []platform.Attachment) (string, component.Link) {
			return recreateRefusal(row.Database), component.Link{}
		},
		means: func(a *app, row db.DatabaseListRow) []component.Check {
			return []component.Check{
				note(component.ToneInfo, "Meanwhile", "Whoever reads it reads the copy of before until the new one has caught up. It can be cancelled until then."),
				note(component.ToneWarn, "Then", "The config vars point to the new server, with a release for each app, and connections to the copy of before end."),
				note(component.ToneBad, "The copy of before", "It is removed, with anything that somebody wrote there after promoting it by hand."),
				note(component.ToneInfo, "The leader", "%s goes on as it is.", row.LeaderName),
				note(component.ToneInfo, "Billing", "It costs %s as before.", monthly(a.plan(row.Database.Plan))),
			}
		},
		start: func(a *app, ctx context.Context, actor string, id int64, confirm string) (platform.Operation, error) {
			d, err := db.DatabaseByID(ctx, a.pool, id)
			if err != nil {
				return platform.Operation{}, err
			}
			if err := confirmed(map[string]string{"confirm": confirm}, d.AppName, "the app's name"); err != nil {
				return platform.Operation{}, err
			}
			op, err := a.jobs.StartRecreateFollower(ctx, actor, id, "")
			var ours *platform.Error
			if errors.As(err, &ours) && ours.Field == "plan" { // the form has no such field
				err = platform.Conflict("%s Create another follower on a larger plan, and destroy this one.", ours.Message)
			}
			return op, err
		},
	}
}

func recreateRefusal(d platform.Database) string {
	switch {
	case !d.IsFollower():
		return "It follows nothing, so there is nothing to copy it from."
	case d.State != platform.DatabaseAvailable:
		return "It is " + string(d.State) + ". Only a follower that is available is re-created; one that was never made is created."
	}
	return ""
}

// recreateConfirm serves GET /databases/:database/recreate.
func (a *app) recreateConfirm(c echo.Context) error {
	return a.showConfirm(c, recreateAct(), formOf(c))
}

// recreateStart serves POST /databases/:database/recreate.
func (a *app) recreateStart(c echo.Context) error { return a.startAct(c, recreateAct()) }
