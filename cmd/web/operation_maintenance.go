package main

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"
)

// upgradeAside fills in what stands around the timeline of an upgrade or a
// switch back: when it is due and what can be done about that, who holds it up,
// who is connected, and afterwards the way back.
func (a *app) upgradeAside(ctx context.Context, access platform.Access, d drawnOperation, it platform.Database, view *page.OperationShowView) error {
	if d.op.Kind == platform.UpgradeEssential {
		return a.moveAside(ctx, access, d, it, view)
	}
	m, err := db.MaintenanceOf(ctx, a.pool, d.op.ID)
	if err != nil {
		return err
	}
	view.Title, view.FromPlan, view.ToPlan = m.Title(), m.FromPlan, m.ToPlan
	view.Maintenance = &page.OperationMaintenanceView{DatabaseName: it.Name}
	may := access.On(it.AppID)
	if d.op.State.Open() {
		attachments, err := db.AttachmentsOfDatabase(ctx, a.pool, it.ID)
		if err != nil {
			return err
		}
		moving, _ := poolsInSwitch(it, attachments, false)
		tellPools(view, moving, nil)
	}
	if m.State.Open() {
		rows, err := a.comingRows(ctx, access, []platform.Maintenance{m}, time.Now(), m.ID)
		if err != nil {
			return err
		}
		view.Maintenance.Coming = &rows[0]
		a.holdingUp(d, m, it, may >= platform.RoleOperate, view.Maintenance)
		a.stillConnected(ctx, d, it, view)
		for i := range view.Connected {
			view.Connected[i].CanEnd = view.Connected[i].CanEnd && may >= platform.RoleOperate
		}
		return nil
	}
	if m.KeptUntil == nil || d.op.State != platform.OperationCompleted {
		return nil
	}
	row, err := a.databaseNamed(ctx, platform.Everything(), it.Name)
	if err != nil {
		return err
	}
	view.Maintenance.MayChange, view.Maintenance.MayDestroy = may >= platform.RoleOperate, may == platform.RoleManage
	view.Maintenance.Kept, err = a.keptServer(ctx, row)
	return err
}

// holdingUp fills in the transactions for which the maintenance waits now.
func (a *app) holdingUp(d drawnOperation, m platform.Maintenance, it platform.Database, mayEnd bool, view *page.OperationMaintenanceView) {
	if m.State != platform.MaintenanceRunning || d.op.NoReturnAt != nil || d.change.RefusedAt != nil {
		return
	}
	waiting := false
	for _, s := range d.steps {
		waiting = waiting || s.Name == "check_again" && s.State == platform.StepRunning
	}
	if !waiting {
		return
	}
	backends, _, err := lookAt(a, fmt.Sprintf("held up %d", m.ID), db.LiveOperation(d.op.ID), activityWithin, func(ctx context.Context) ([]platform.Backend, error) {
		return a.jobs.HoldingUp(ctx, m.ID)
	})(lookWithin)
	if err != nil {
		return // the timeline says what the server does
	}
	for _, b := range backends {
		view.Holding = append(view.Holding, component.Connected{
			PID: b.PID, Name: b.Source(), Note: fmt.Sprintf("%s, in a transaction for %s", b.State, wordsOf(b.TransactionAge)), Count: 1,
			DatabaseName: it.Name, CanEnd: mayEnd,
		})
	}
}

// moveAside is upgradeAside for an Essential database: it has no maintenance.
func (a *app) moveAside(ctx context.Context, access platform.Access, d drawnOperation, it platform.Database, view *page.OperationShowView) error {
	m, err := db.DatabaseMoveOf(ctx, a.pool, d.op.ID)
	if err != nil {
		return err
	}
	view.FromPlan, view.ToPlan = m.FromPlan, m.Plan
	may := access.On(it.AppID)
	if d.op.State.Open() {
		a.stillConnected(ctx, d, it, view)
		for i := range view.Connected {
			view.Connected[i].CanEnd = view.Connected[i].CanEnd && may >= platform.RoleOperate
		}
		return nil
	}
	if m.KeptUntil != nil && d.op.State == platform.OperationCompleted {
		view.Maintenance = &page.OperationMaintenanceView{DatabaseName: it.Name, MayDestroy: may == platform.RoleManage,
			Kept: &page.KeptServer{Plan: m.FromPlan, Until: *m.KeptUntil, Closed: true}}
	}
	return nil
}
