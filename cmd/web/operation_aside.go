package main

import (
	"context"
	"fmt"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"
)

// changeoverAside fills in what stands beside a changeover's timeline: where
// things stand, who is connected, what does not move, what is left to do.
func (a *app) changeoverAside(ctx context.Context, access platform.Access, d drawnOperation, old platform.Database, target *platform.Database, view *page.OperationShowView) error {
	app, err := db.AppByID(ctx, a.pool, old.AppID)
	if err != nil {
		return err
	}
	others, err := a.otherFollowers(ctx, old, target)
	if err != nil {
		return err
	}
	attachments, err := db.AttachmentsOfDatabase(ctx, a.pool, old.ID)
	if err != nil {
		return err
	}
	view.Standing = standing(d, app, old, target)
	if err := a.standingNotes(ctx, app, target, view.Standing); err != nil {
		return err
	}
	if d.op.State.Open() {
		a.stillConnected(ctx, d, old, view)
		for i := range view.Connected {
			view.Connected[i].CanEnd = view.Connected[i].CanEnd && access.On(old.AppID) >= platform.RoleOperate
		}
		if target != nil && d.op.NoReturnAt == nil {
			reading, err := db.ReadingOf(ctx, a.pool, target.ID)
			if err != nil {
				return err
			}
			if lag := lagOf(*target, reading); lag != nil && lag.Known {
				view.Standing.Arrow = fmt.Sprintf("%s behind, %s", platform.Bytes(lag.Bytes), component.Plural(int(lag.Commits), "commit"))
				view.Standing.Late = !lag.CaughtUp()
			}
		}
	}
	for _, f := range others {
		view.NotMoving = append(view.NotMoving, fmt.Sprintf("%s follows the leader and stays with it.", f.Name))
	}
	moving, staying := poolsInSwitch(old, attachments, true)
	tellPools(view, moving, staying)
	if d.op.State.Open() {
		leader := old.ID
		if target != nil && d.op.NoReturnAt != nil && !target.IsFollower() {
			leader = target.ID // they have changed places, and it has the window already
		}
		window, err := db.WindowOf(ctx, a.pool, leader)
		if err != nil {
			return err
		}
		view.Moving = append(view.Moving, windowMoves(window))
	}
	for _, t := range attachments {
		if t.AppID != old.AppID && !t.IsPooled() {
			view.NotMoving = append(view.NotMoving, fmt.Sprintf("%s has the leader as %s and keeps it.", t.AppName, shortAttachment(t.Name)))
		}
	}
	if d.op.State == platform.OperationCompleted && target != nil {
		view.LeftToDo = a.leftToDo(access, old, *target, others, attachments)
	}
	return nil
}

// windowMoves says what becomes of the leader's maintenance window in a changeover.
func windowMoves(w platform.Window) string {
	return fmt.Sprintf("The maintenance window, %s: the old leader gets the new one's for it.", w)
}

func (a *app) otherFollowers(ctx context.Context, old platform.Database, target *platform.Database) ([]platform.Database, error) {
	all, err := db.Followers(ctx, a.pool, old.ID)
	if err != nil {
		return nil, err
	}
	var others []platform.Database
	for _, f := range all {
		if target == nil || f.ID != target.ID {
			others = append(others, f)
		}
	}
	return others, nil
}

func standing(d drawnOperation, app platform.App, old platform.Database, target *platform.Database) *component.Standing {
	s := &component.Standing{AppName: app.Name, Switched: d.op.NoReturnAt != nil, Refused: d.change.RefusedAt != nil && d.change.AcceptedAt == nil}
	s.From = component.StandingNode{Name: old.Name, Plan: old.Plan, Word: "Leader", Leads: !s.Switched}
	switch {
	case old.State == platform.DatabaseDestroyed:
		s.From.Word = "Destroyed"
	case s.Switched || old.State == platform.DatabaseFenced:
		s.From.Word, s.From.Fenced = "Fenced, still billed", true
	case s.Refused:
		s.From.Word, s.From.Fenced, s.From.Leads = "Leader, fenced", true, false
	}
	if target != nil {
		s.To = component.StandingNode{Name: target.Name, Plan: target.Plan, Word: "Follower", Leads: s.Switched}
		if s.Switched {
			s.To.Word = "Leader"
		}
	}
	return s
}

// standingNotes fills in what stands beside the app, and where the target is.
func (a *app) standingNotes(ctx context.Context, app platform.App, target *platform.Database, s *component.Standing) error {
	formation, err := db.Formation(ctx, a.pool, app.ID)
	if err != nil {
		return err
	}
	s.AppNote = formationWords(formation)
	if app.MaintenanceOn {
		s.AppNote = "maintenance mode"
	}
	if target == nil || target.ServerID == nil {
		return nil
	}
	server, err := db.ServerByID(ctx, a.pool, *target.ServerID)
	if err != nil {
		return err
	}
	s.To.Word += ", zone " + server.Zone
	return nil
}

// stillConnected lists who is connected to the server that is about to stop.
func (a *app) stillConnected(ctx context.Context, d drawnOperation, old platform.Database, view *page.OperationShowView) {
	if d.op.NoReturnAt != nil || d.change.RefusedAt != nil {
		return // the old leader is down, and asking it would only take time
	}
	backends, err := a.activityNow(ctx, old, db.LiveOperation(d.op.ID))
	if err != nil {
		return // the timeline says what the server does
	}
	view.ConnectedDatabase = old.Name
	view.Connected, view.ConnectedTotal = connected(backends, old.Name), len(backends)
}

// mostConnected is how many connections are listed one by one.
const mostConnected = 20

func connected(backends []platform.Backend, database string) []component.Connected {
	var list []component.Connected
	for i, b := range backends {
		if i == mostConnected {
			list = append(list, component.Connected{Name: "others", Count: len(backends) - i})
			break
		}
		note := b.State
		if b.TransactionAge > 0 {
			note = fmt.Sprintf("%s, in a transaction for %s", b.State, wordsOf(b.TransactionAge))
		}
		list = append(list, component.Connected{PID: b.PID, Name: b.Source(), Note: note, Count: 1, DatabaseName: database, CanEnd: true})
	}
	return list
}

// leftToDo is what a person may still want to do after a changeover, each with
// its button for whoever may.
func (a *app) leftToDo(access platform.Access, old, target platform.Database, others []platform.Database, attachments []platform.Attachment) []page.Todo {
	if old.State == platform.DatabaseDestroyed || old.State == platform.DatabaseDestroying {
		return nil
	}
	todo := []page.Todo{{
		Title: "The old leader is still billed", Text: fmt.Sprintf("%s is fenced and costs %s until it is destroyed.", old.Name, monthly(a.plan(old.Plan))),
		Act: component.Button{Text: "Destroy…", URL: databasePath(old.Name) + "/destroy", Danger: true, TestID: "destroy-old-leader"},
	}}
	for _, f := range others {
		todo = append(todo, page.Todo{
			Title: fmt.Sprintf("%s follows the old leader", f.Name), Text: "Create a follower of the new leader in its place; then this one can go.",
			Act: component.Button{Text: "Re-create it", URL: databasePath(target.Name) + "/followers/new?plan=" + queryEscape(f.Plan) + "&app=" + queryEscape(f.AppName)},
		})
	}
	todo = append(todo, poolsLeft(access, old, target, attachments)...)
	for _, t := range attachments {
		if t.AppID == old.AppID || t.IsPooled() {
			continue
		}
		left := page.Todo{
			Title: fmt.Sprintf("%s still has the old leader as %s", t.AppName, shortAttachment(t.Name)),
			Text:  fmt.Sprintf("It can only read there. Detach the old leader and attach the new one under that name, or under another: each makes a release of %s.", t.AppName),
			Act:   component.Button{Text: "Attach the new leader", URL: databasePath(target.Name) + "#attachments"},
		}
		if t.IsPrimary() {
			// The name is taken there, so attaching would be refused.
			left.Text = fmt.Sprintf("It can only read there. Promoting the new leader makes a release of %s.", t.AppName)
			left.Act = component.Button{Text: "Promote the new leader", URL: databasePath(target.Name) + "/promote?app=" + queryEscape(t.AppName)}
		}
		todo = append(todo, left)
	}
	for i := range todo {
		if todo[i].Act.Post {
			continue // a pool's, which has looked at the role itself
		}
		role := actRole(strings.SplitN(todo[i].Act.URL, "?", 2)[0])
		if access.OnAll(old.AppID, target.AppID) < max(role, platform.RoleOperate) {
			todo[i].Act = component.Button{}
		}
	}
	return todo
}
