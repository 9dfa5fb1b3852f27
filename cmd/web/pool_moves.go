package main

import (
	"context"
	"fmt"
	"slices"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"
)

// poolsInSwitch are the connection pools of a database that go along with a
// switch, and those that stay. In a changeover that is the app's pool of the
// default name, where DATABASE goes; everything else keeps the database, and
// with it every pool (specification 3b).
func poolsInSwitch(d platform.Database, attachments []platform.Attachment, changeover bool) (moving, staying []platform.Attachment) {
	primary := slices.ContainsFunc(attachments, func(t platform.Attachment) bool { return t.AppID == d.AppID && t.IsPrimary() })
	for _, t := range attachments {
		switch {
		case !t.IsPooled():
		case !changeover || primary && t.AppID == d.AppID && t.Name == platform.PoolAttachment:
			moving = append(moving, t)
		default:
			staying = append(staying, t)
		}
	}
	return moving, staying
}

// poolsLeft is what a person may still want to do about the pools that stayed
// with an old leader, each with its button for whoever may.
func poolsLeft(access platform.Access, old, target platform.Database, attachments []platform.Attachment) []page.Todo {
	var todo []page.Todo
	for _, t := range attachments {
		if !t.IsPooled() {
			continue
		}
		left := page.Todo{
			Title: fmt.Sprintf("Connection pool %s of %s leads to the old leader", t.Name, t.AppName),
			Text:  fmt.Sprintf("Its clients can only read there. Led to %s its URL stays the same, with a release of %s.", target.Name, t.AppName),
		}
		if access.OnAll(old.AppID, target.AppID, t.AppID) >= platform.RoleManage {
			left.Act = component.Button{Text: "Lead it to the new leader", Post: true, URL: poolPath(old.Name, *t.PoolID) + "/lead", TestID: "lead-" + t.Name}
		}
		todo = append(todo, left)
	}
	return todo
}

// waitsForPools is whether an operation waits for transactions through the
// connection pools, or is trying to hold them.
func waitsForPools(d drawnOperation) bool {
	if !d.op.State.Open() || d.op.NoReturnAt != nil || d.change == nil || d.change.RefusedAt != nil {
		return false
	}
	return slices.ContainsFunc(d.steps, func(s platform.OperationStep) bool {
		return s.State == platform.StepRunning && (s.Name == "wait_for_pools" || s.Name == "pause_pools")
	})
}

// pooledTransactions are the transactions through the connection pools that hold
// a switch up, the oldest first, with buttons for whoever may end them. Those of a
// pool that stays hold up nothing.
func (a *app) pooledTransactions(ctx context.Context, d drawnOperation, old platform.Database, may bool) ([]component.Connected, error) {
	if !waitsForPools(d) {
		return nil, nil
	}
	attachments, err := db.AttachmentsOfDatabase(ctx, a.pool, old.ID)
	if err != nil {
		return nil, err
	}
	var ids []int64
	moving, _ := poolsInSwitch(old, attachments, d.op.Kind == platform.FollowerChangeover)
	for _, t := range moving {
		ids = append(ids, *t.PoolID)
	}
	topic := db.LiveOperation(d.op.ID)
	pids, _, err := lookAt(a, fmt.Sprintf("pooled %d", d.op.ID), topic, activityWithin, func(ctx context.Context) ([]int, error) {
		return a.jobs.PooledTransactions(ctx, old.ID, ids)
	})(lookWithin)
	if notYet(err) {
		return nil, nil
	}
	if err != nil || len(pids) == 0 {
		return nil, err
	}
	backends, err := a.activityNow(ctx, old, topic)
	if err != nil {
		return nil, nil // the timeline says what the server does
	}
	backends = slices.DeleteFunc(backends, func(b platform.Backend) bool { return !slices.Contains(pids, b.PID) || b.TransactionAge == 0 })
	slices.SortFunc(backends, func(a, b platform.Backend) int { return int(b.TransactionAge - a.TransactionAge) })
	var list []component.Connected
	for _, b := range backends {
		note := fmt.Sprintf("pid %d, open for %s", b.PID, wordsOf(b.TransactionAge))
		if may && b.Query != "" {
			note += ": " + component.Query(b.Query, 60)
		}
		list = append(list, component.Connected{PID: b.PID, Name: b.State, Note: note, Count: 1, DatabaseName: old.Name, CanEnd: may})
	}
	return list, nil
}

// tellPools says on an operation's page what becomes of the connection pools.
func tellPools(view *page.OperationShowView, moving, staying []platform.Attachment) {
	for _, t := range moving {
		view.Moving = append(view.Moving, fmt.Sprintf("Connection pool %s of %s: its clients wait, and its URL stays.", t.Name, t.AppName))
	}
	for _, t := range staying {
		view.NotMoving = append(view.NotMoving, fmt.Sprintf("Connection pool %s of %s stays with the old leader.", t.Name, t.AppName))
	}
}
