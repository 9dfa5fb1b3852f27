package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// changePlan serves GET /databases/:database/change-plan.
func (a *app) changePlan(c echo.Context) error { return a.showChangePlan(c, formOf(c)) }

// showChangePlan is the page on which a change is put together; what was typed
// comes from the form that was refused, else from the query.
func (a *app) showChangePlan(c echo.Context, form component.Form) error {
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	hold, err := a.planHold(c, row, form)
	if err != nil {
		return err
	}
	if hold != nil {
		return a.showPlanHold(c, row, hold)
	}
	d := row.Database
	method := chosenMethod(form.Value("method", c.QueryParam("method")), a.chosenFollower(c, form))
	around, err := a.aroundPlan(c.Request().Context(), row)
	if err != nil {
		return err
	}
	view, picked, err := a.changePlanView(c, form, row, around, method)
	if err != nil {
		return err
	}
	// One that cannot be used does not stay chosen where another one can; what was
	// just refused stays where its reason stands.
	if better := view.Recommended(); len(form.Errors) == 0 && better != "" && better != method && !view.Possible(method) {
		if view, picked, err = a.changePlanView(c, form, row, around, better); err != nil {
			return err
		}
	}
	patience := lookWithin
	if c.Request().Method == http.MethodPost {
		patience = answerPatience
	}
	a.fillPreflight(&view, row, picked, patience)
	a.fillConsequences(&view, d, around, picked)
	if view.Method == methodChangeover {
		window, err := db.WindowOf(c.Request().Context(), a.pool, d.ID)
		if err != nil {
			return err
		}
		view.Moving = append(view.Moving, windowMoves(window))
	}
	return a.renderChangePlan(c, row, view)
}

func (a *app) renderChangePlan(c echo.Context, row db.DatabaseListRow, view page.ChangePlanView) error {
	d := row.Database
	f, err := a.frame(c, "Change plan of "+d.Name, layout.NavDatabases)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Databases", URL: "/databases"}, appLink(d.AppName), databaseLink(d.Name), component.Link{Text: "Change plan"})
	if !view.CheckedAt.IsZero() {
		f.Freshness, f.FreshAt = "Checked", view.CheckedAt
	}
	return a.render(c, statusOr(c), page.ChangePlan(f, view))
}

// aroundPlan is what the page shows whichever method is chosen.
type aroundPlan struct {
	followers   []db.DatabaseListRow
	attachments []platform.Attachment
	outages     []time.Duration // of the last switches of this data
	// activity is who is connected; it is asked for beside everything else.
	activity looking[[]platform.Backend]
}

func (a *app) aroundPlan(ctx context.Context, row db.DatabaseListRow) (around aroundPlan, err error) {
	d := row.Database
	around.activity = a.activityUnless(row.Reading, d, row.Server, "")
	var leader *db.DatabaseListRow
	if leader, around.followers, err = a.relatives(ctx, d); err != nil {
		return around, err
	}
	if leader != nil { // others of its leader: none of its own
		around.followers = nil
	}
	if around.attachments, err = db.AttachmentsOfDatabase(ctx, a.pool, d.ID); err != nil {
		return around, err
	}
	around.outages, err = a.outagesBefore(ctx, d.ID, math.MaxInt64)
	return around, err
}

// changePlanView is the page with one method chosen, without what the servers
// are asked for, and the follower that takes over where one was picked.
func (a *app) changePlanView(c echo.Context, form component.Form, row db.DatabaseListRow, around aroundPlan, method string) (page.ChangePlanView, *db.DatabaseListRow, error) {
	ctx, d := c.Request().Context(), row.Database
	chosen := func(field string) string { return form.Value(field, c.QueryParam(field)) }
	view := page.ChangePlanView{
		Form: form, DatabaseName: d.Name, AppName: d.AppName, Plan: a.plan(d.Plan), Version: row.Reading.Version, DataBytes: row.Reading.DataBytes,
		Connections: row.Reading.Connections, ConnectionLimit: a.plan(d.Plan).Connections, Method: method,
	}
	followers := around.followers
	follower := a.chosenFollower(c, form)
	var picked *db.DatabaseListRow
	if view.Method == methodChangeover {
		picked = pickFollower(followers, follower, chosen("plan"), d.Plan)
	}
	if err := a.choosePlan(&view, chosen("plan"), chosen("tier"), picked); err != nil {
		return view, nil, err
	}
	a.fillFollowers(&view, visitorOf(c).Access, row, followers, picked)
	if err := a.fillUpgrade(ctx, &view, row); err != nil {
		return view, nil, err
	}
	return view, picked, a.fillMethods(ctx, &view, row, around, picked)
}

// chosenFollower is the follower that was chosen. The form sends a plan with
// it; where the plan is what was changed last, the follower chosen before it
// does not fit any more and a new one takes its place.
func (a *app) chosenFollower(c echo.Context, form component.Form) string {
	follower := form.Value("follower", c.QueryParam("follower"))
	before, err := url.Parse(c.Request().Referer())
	if err != nil || before.Path != c.Request().URL.Path || follower == "" || follower == newFollower {
		return follower
	}
	q := before.Query()
	if q.Get("follower") == follower && q.Get("plan") != c.QueryParam("plan") {
		return newFollower
	}
	return follower
}

// pickFollower is the follower of that name; with nothing chosen at all, the
// first one that can take over now. Nil means: a new one is made.
func pickFollower(followers []db.DatabaseListRow, name, plan, today string) *db.DatabaseListRow {
	for i, f := range followers {
		ready := f.Database.ReadableAt != nil && f.Operation == nil
		// Whoever comes from the upgrade sends a plan without having chosen a
		// follower: today's is that page's own, and leaves the choice open.
		fits := plan == "" || plan == today || plan == f.Database.Plan
		if f.Database.Name == name || name == "" && fits && ready {
			return &followers[i]
		}
	}
	return nil
}

// choosePlan fills in the plan picker. A chosen follower decides the plan.
func (a *app) choosePlan(view *page.ChangePlanView, plan, tier string, picked *db.DatabaseListRow) error {
	view.Target = view.Plan
	if plan != "" {
		target, err := a.catalogue.Plan(plan)
		if err != nil {
			return err
		}
		view.Target = target
	}
	if picked != nil {
		view.Target = a.plan(picked.Database.Plan)
	}
	view.Tier = or(tier, view.Target.Tier.Name)
	if plan != "" || picked != nil {
		view.Tier = view.Target.Tier.Name
	}
	for _, t := range a.catalogue.Tiers {
		choice := page.TierChoice{Name: t.Name, Title: t.Title, Selected: t.Name == view.Tier}
		if !t.CanFollow && view.Plan.Tier.CanFollow {
			choice.Refusal = "Essential is not offered: upgrade and follower changeover need Standard or higher. The way to Essential is a copy."
		}
		view.Tiers = append(view.Tiers, choice)
	}
	for _, p := range a.catalogue.OfTier(view.Tier) {
		choice := page.PlanChoice{Plan: p, Today: p.Name == view.Plan.Name, Selected: p.Name == view.Target.Name}
		// An upgrade reaches every plan that a follower changeover does.
		if err := a.catalogue.UpgradePlan(view.Plan, p, view.DataBytes, view.Connections); err != nil {
			choice.Refusal = failureOf(err, "").Message
		}
		view.Choices = append(view.Choices, choice)
	}
	return nil
}

func (a *app) fillFollowers(view *page.ChangePlanView, access platform.Access, row db.DatabaseListRow, followers []db.DatabaseListRow, picked *db.DatabaseListRow) {
	view.Follower = newFollower
	for _, f := range followers {
		pick := page.FollowerPick{Name: f.Database.Name, Plan: f.Database.Plan, Zone: f.Zone, Lag: lagOf(f.Database, f.Reading)}
		switch {
		case access.On(f.Database.AppID) < platform.RoleOperate:
			pick.Refusal = fmt.Sprintf("It is on %s, where you do not have the role operate.", f.Database.AppName)
		case f.Operation != nil:
			pick.Refusal = fmt.Sprintf("%s of it is running.", f.Operation.Kind.Title())
		case f.Database.ReadableAt == nil:
			pick.Refusal = "It has not caught up yet."
		case !f.Reading.Lag.Known:
			pick.Note = "its lag is not known now"
		case f.Reading.Lag.CaughtUp():
			pick.Note = "caught up"
		default:
			pick.Note = fmt.Sprintf("must come within %d commits first", platform.CaughtUpCommits)
		}
		if picked != nil && picked.Database.ID == f.Database.ID {
			pick.Selected, view.Follower = true, f.Database.Name
			view.FollowerRefusal = pick.Refusal
		}
		view.Followers = append(view.Followers, pick)
	}
	view.NewFollower = page.FollowerPick{Name: newFollower, Plan: view.Target.Name, Selected: view.Follower == newFollower, Note: "made first, while the app goes on"}
	var err error
	if err = platform.CanFollow(row.Database, view.Plan, time.Now()); err == nil {
		err = a.catalogue.FollowerPlan(view.Plan, view.Target, view.DataBytes)
	}
	if err != nil {
		view.NewFollower.Refusal = failureOf(err, "").Message
		if view.Follower == newFollower {
			view.FollowerRefusal = view.NewFollower.Refusal
		}
	}
}

// fillConsequences fills in who is connected, what runs, and what stays behind.
func (a *app) fillConsequences(view *page.ChangePlanView, d platform.Database, around aroundPlan, picked *db.DatabaseListRow) {
	backends, at, err := around.activity(lookWithin)
	view.Connected, view.ConnectedTotal, view.Asking = connected(backends, d.Name), len(backends), view.Asking || notYet(err)
	if err != nil {
		view.ConnectedProblem = failureOf(err, "").Message
	} else if at.Before(view.CheckedAt) { // the page is as old as the oldest of what it shows
		view.CheckedAt = at
	}
	// Scheduled jobs run outside this program, so it is always asked. In an
	// upgrade the app is not scaled down, and its jobs see what its processes see.
	view.HasJobs = view.Method == methodChangeover
	moving, staying := poolsInSwitch(d, around.attachments, view.Method == methodChangeover)
	for _, t := range moving {
		view.Moving = append(view.Moving, fmt.Sprintf("Connection pool %s of %s: its clients wait and notice nothing else.", t.Name, t.AppName))
	}
	if view.Method != methodChangeover {
		return // followers and attachments stay with the name
	}
	for _, t := range staying {
		view.NotMoving = append(view.NotMoving, fmt.Sprintf("Connection pool %s of %s stays with the old leader, where it can only read. One button leads it to the new one afterwards.", t.Name, t.AppName))
	}
	for _, f := range around.followers {
		if picked == nil || f.Database.ID != picked.Database.ID {
			view.NotMoving = append(view.NotMoving, fmt.Sprintf("%s follows the old leader and stays with it. It can be re-created afterwards.", f.Database.Name))
		}
	}
	for _, t := range around.attachments {
		switch {
		case t.IsPooled():
		case t.AppID != d.AppID:
			view.NotMoving = append(view.NotMoving, fmt.Sprintf("%s keeps the old leader as %s, where it can only read.", t.AppName, shortAttachment(t.Name)))
		}
	}
}
