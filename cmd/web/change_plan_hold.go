package main

import (
	"fmt"
	"net/url"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// changePlanRefusal is why the plan cannot be changed now; empty when it can.
func changePlanRefusal(row db.DatabaseListRow) string {
	d := row.Database
	switch {
	case row.Operation != nil:
		return fmt.Sprintf("%s is running. Wait until it has ended.", row.Operation.Kind.Title())
	case d.IsFollower():
		return fmt.Sprintf("It is a follower. Change the plan of its leader %s, or create another follower.", row.LeaderName)
	case d.State != platform.DatabaseAvailable:
		return fmt.Sprintf("It is %s. Only an available database can change its plan.", d.State)
	}
	return ""
}

// planHold is what the page shows in place of methods where none can be used,
// whatever plan is chosen: why, and what to do instead. Nil: there is a choice.
func (a *app) planHold(c echo.Context, row db.DatabaseListRow, form component.Form) (*page.PlanHold, error) {
	if changePlanRefusal(row) == "" {
		return nil, nil
	}
	ctx, access, d := c.Request().Context(), visitorOf(c).Access, row.Database
	hold := &page.PlanHold{}
	act := func(text, path, testID string) {
		hold.Acts = append(hold.Acts, component.Button{Text: text, URL: path, TestID: testID})
	}
	switch {
	case d.State == platform.DatabaseDestroying || d.State == platform.DatabaseDestroyed:
		hold.Title, hold.Why = "It is being destroyed", "Its server and its data go away, and its plan with them."
		hold.ToDo = "Create another database on the plan that you want."
		if d.State == platform.DatabaseDestroyed {
			hold.Title, hold.Why = "It was destroyed", "Its server and its data are gone."
		}
		if access.On(d.AppID) == platform.RoleManage {
			act("Create a database", "/databases/new?app="+queryEscape(d.AppName), "hold-create")
		}
	case row.Operation != nil:
		title := row.Operation.Kind.Title()
		hold.Title, hold.Why = title+" is running", "A database changes by one operation at a time, and this one has it."
		hold.ToDo = "Wait until it has ended, or look whether it can still be cancelled. Then look here again: what you have chosen stays."
		if row.Operation.NeedsPerson {
			hold.Title, hold.ToDo = title+" needs a person", "Open it: it says what to do. Then look here again: what you have chosen stays."
		}
		act("Open the operation", operationPath(row.Operation.ID), "hold-operation")
		act("Look again", chosenAgain(c, d, form), "hold-again")
	case d.IsFollower():
		hold.Title, hold.Why = "It is a follower", "A follower is not moved to another plan: it is made anew on one, or takes the place of its leader there."
		hold.ToDo = fmt.Sprintf("Change the plan of its leader %s, which can go over to this follower. Or create another follower on the plan that you want, and destroy this one.", row.LeaderName)
		leader, err := db.ReachOfDatabase(ctx, a.pool, row.LeaderName)
		if err != nil {
			return nil, err
		}
		if access.On(leader.Apps[0]) >= platform.RoleOperate {
			act("Change the plan of the leader", databasePath(row.LeaderName)+"/change-plan?follower="+queryEscape(d.Name), "hold-leader")
			act("Create another follower", databasePath(row.LeaderName)+"/followers/new", "hold-follower")
		}
	case d.State == platform.DatabaseFenced && d.ReplacedByID != nil:
		hold.Title = "Another database has taken its place"
		hold.Why = fmt.Sprintf("It refuses every write since %s has taken its place.", row.ReplacedBy)
		hold.ToDo = fmt.Sprintf("Change the plan of %s. Destroy this one when nothing reads from it any more: until then it costs %s.", row.ReplacedBy, monthly(a.plan(d.Plan)))
		next, err := a.linkFor(ctx, access, row.ReplacedBy)
		if err != nil {
			return nil, err
		}
		if next.URL != "" {
			act("Change the plan of "+shortName(row.ReplacedBy), next.URL+"/change-plan", "hold-replaced")
		}
	case d.State == platform.DatabaseFenced:
		hold.Title, hold.Why = "It is fenced", "It refuses every write, and a change of plan would have to write to it."
		hold.ToDo = "Unfence it first. Then look here again."
		if access.On(d.AppID) == platform.RoleManage {
			act("Unfence it…", databasePath(d.Name)+"/unfence", "hold-unfence")
		}
	default:
		hold.Title, hold.Why = "It is not available yet", fmt.Sprintf("It is %s.", d.State)
		hold.ToDo = "Look here again when its page says that it is available."
		act("Look again", chosenAgain(c, d, form), "hold-again")
	}
	if len(hold.Acts) == 0 {
		hold.Acts = append(hold.Acts, component.Button{Text: "Show the database", URL: databasePath(d.Name), TestID: "hold-show"})
	}
	return hold, nil
}

// chosenAgain is the page's address with what was chosen on it.
func chosenAgain(c echo.Context, d platform.Database, form component.Form) string {
	q := url.Values{}
	for _, field := range []string{"plan", "method", "follower", "tier"} {
		if value := form.Value(field, c.QueryParam(field)); value != "" {
			q.Set(field, value)
		}
	}
	if len(q) == 0 {
		return databasePath(d.Name) + "/change-plan"
	}
	return databasePath(d.Name) + "/change-plan?" + q.Encode()
}

// showPlanHold is the page of a database that no method can change now.
func (a *app) showPlanHold(c echo.Context, row db.DatabaseListRow, hold *page.PlanHold) error {
	d := row.Database
	return a.renderChangePlan(c, row, page.ChangePlanView{
		DatabaseName: d.Name, AppName: d.AppName, Plan: a.plan(d.Plan), Version: row.Reading.Version, DataBytes: row.Reading.DataBytes,
		Connections: row.Reading.Connections, ConnectionLimit: a.plan(d.Plan).Connections, Hold: hold,
	})
}
