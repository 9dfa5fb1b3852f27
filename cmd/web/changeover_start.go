package main

import (
	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/labstack/echo/v4"
)

// newFollower is what the form sends in place of a follower's name.
const newFollower = "new"

// changeoverStart serves POST /databases/:database/changeover.
func (a *app) changeoverStart(c echo.Context) error {
	op, err := a.startChangeover(c)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showChangePlan(c, form) })
	}
	return accepted(c, op.ID, c.Param("database"))
}

func (a *app) startChangeover(c echo.Context) (platform.Operation, error) {
	input, err := readInput(c)
	if err != nil {
		return platform.Operation{}, err
	}
	ctx := c.Request().Context()
	row, err := a.findDatabase(c)
	if err != nil {
		return platform.Operation{}, err
	}
	request := jobs.Changeover{LeaderID: row.Database.ID, Plan: input["plan"], ConfirmedJobs: isOn(input["confirm_jobs"])}
	switch follower := input["follower"]; follower {
	case "", newFollower:
		if request.Plan == "" {
			return platform.Operation{}, platform.Invalid("plan", "Choose the plan to change to, or a follower that takes over.")
		}
		noteDetail(c, "A new follower on "+request.Plan)
	default:
		chosen, err := a.followerNamed(c, follower, row.Database.ID)
		if err != nil {
			return platform.Operation{}, err
		}
		request.FollowerID = &chosen.Database.ID
		noteDetail(c, "Follower "+chosen.Database.Name)
	}
	return a.jobs.StartChangeover(ctx, visitorOf(c).Email, request)
}

// followerNamed is the follower that was chosen to take over. It is on the page
// of its leader, whatever app it is on; acting on it needs the role there.
func (a *app) followerNamed(c echo.Context, name string, leaderID int64) (db.DatabaseListRow, error) {
	ctx, access := c.Request().Context(), visitorOf(c).Access
	chosen, err := a.databaseNamed(ctx, platform.Everything(), name)
	if err != nil && !isKind(err, platform.KindNotFound) {
		return chosen, err
	}
	known := err == nil && (chosen.Database.FollowingID != nil && *chosen.Database.FollowingID == leaderID || access.SeesAny(chosen.Database.AppID))
	if !known {
		return chosen, platform.Invalid("follower", "There is no follower %s. Choose one of the followers, or a new one.", shortened(name))
	}
	noteApps(c, chosen.Database.AppID)
	return chosen, a.needRole(ctx, access, platform.RoleOperate, chosen.Database.AppID)
}
