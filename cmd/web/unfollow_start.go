package main

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/labstack/echo/v4"
)

func unfollowAct() act {
	return act{
		verb: "unfollow", title: "Unfollow", button: "Unfollow", destructive: true,
		lead: func(row db.DatabaseListRow) string {
			return "It becomes a database of its own that takes writes. This cannot be undone."
		},
		refusal: func(row db.DatabaseListRow, _ []platform.Attachment) (string, component.Link) {
			switch {
			case !row.Database.IsFollower():
				return "It follows nothing, so there is nothing to unfollow.", component.Link{}
			case row.Database.ReadableAt == nil:
				return "It has not caught up yet. Wait until it can be read.", component.Link{}
			}
			return "", component.Link{}
		},
		means: func(a *app, row db.DatabaseListRow) []component.Check {
			leader := row.LeaderName
			checks := []component.Check{
				note(component.ToneWarn, "It stops following", "What %s writes from then on does not arrive here. To follow again, a new follower must be made.", leader),
				note(component.ToneInfo, "The leader", "%s goes on as it is and keeps its config vars.", leader),
				note(component.ToneInfo, "Billing", "It costs %s as before.", monthly(a.plan(row.Database.Plan))),
			}
			if lag := lagOf(row.Database, row.Reading); lag != nil && lag.Known && lag.Commits > 0 {
				checks = append(checks, note(component.ToneWarn, "Behind by", "%d commits, %s. What has not arrived will be missing here.", lag.Commits, platform.Bytes(lag.Bytes)))
			}
			return checks
		},
		start: func(a *app, ctx context.Context, actor string, id int64, confirm string) (platform.Operation, error) {
			return a.jobs.StartUnfollow(ctx, actor, id, confirm)
		},
	}
}

// unfollowConfirm serves GET /databases/:database/unfollow.
func (a *app) unfollowConfirm(c echo.Context) error {
	return a.showConfirm(c, unfollowAct(), formOf(c))
}

// unfollowStart serves POST /databases/:database/unfollow.
func (a *app) unfollowStart(c echo.Context) error { return a.startAct(c, unfollowAct()) }
