package jobs

import (
	"context"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// changing runs fn on a maintenance that is still to come, and lets its
// operation look at it anew.
func (j *Jobs) changing(ctx context.Context, maintenanceID int64, fn func(pgx.Tx, platform.Maintenance) error) error {
	return db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
		m, err := lockToChange(ctx, tx, maintenanceID)
		if err != nil {
			return err
		}
		if err := fn(tx, m); err != nil {
			return err
		}
		return j.wake(ctx, tx, m.OperationID)
	})
}

// lockToChange holds a maintenance until the transaction ends; one of which
// nothing can be changed any more is a Conflict. The operation's row comes
// first, as in every transaction of a runner, so that neither waits for the other.
func lockToChange(ctx context.Context, tx pgx.Tx, maintenanceID int64) (platform.Maintenance, error) {
	m, err := db.MaintenanceByID(ctx, tx, maintenanceID)
	if err != nil {
		return m, err
	}
	op, err := db.LockOperation(ctx, tx, m.OperationID)
	if err != nil {
		return m, err
	}
	if m, err = db.LockMaintenance(ctx, tx, maintenanceID); err != nil {
		return m, err
	}
	switch {
	case !m.State.Open():
		return m, platform.Conflict("This maintenance is %s; nothing of it can be changed any more.", m.State)
	case op.NoReturnAt != nil:
		return m, platform.Conflict("The switch is being made right now, and only goes forward. Look at its operation.")
	case op.CancelRequestedBy != "":
		return m, platform.Conflict("%s has cancelled this maintenance, and it is being put back. Look at its operation; when that has ended, start another.", op.CancelRequestedBy)
	}
	return m, nil
}

// RunMaintenanceNow lets the switch begin as soon as the replacement is ready.
func (j *Jobs) RunMaintenanceNow(ctx context.Context, actor string, maintenanceID int64) error {
	return j.changing(ctx, maintenanceID, func(tx pgx.Tx, m platform.Maintenance) error {
		if m.State == platform.MaintenanceRunning {
			return platform.Conflict("It runs already. Look at its operation.")
		}
		return db.RunMaintenanceAtOnce(ctx, tx, m.ID, actor)
	})
}

// MoveMaintenance gives it another time; one that cannot be is Invalid at "at".
// One whose switch is being prepared is put back first, and waits for the time.
func (j *Jobs) MoveMaintenance(ctx context.Context, actor string, maintenanceID int64, at time.Time) error {
	return j.changing(ctx, maintenanceID, func(tx pgx.Tx, m platform.Maintenance) error {
		if m.Kind == platform.MaintenanceSwitchBack {
			return platform.Conflict("Switching back is done at once. Cancel it, and start it when it suits: until the old server is destroyed.")
		}
		calendar, err := j.calendarOf(ctx, tx, m)
		if err != nil {
			return err
		}
		if err := calendar.Check(at, j.Now()); err != nil {
			return err
		}
		return j.moveTo(ctx, tx, m, actor, at)
	})
}

// PostponeMaintenance moves it by whole weeks, at least one: to the first opening
// at or after that which is free.
func (j *Jobs) PostponeMaintenance(ctx context.Context, actor string, maintenanceID int64, weeks int) error {
	return j.changing(ctx, maintenanceID, func(tx pgx.Tx, m platform.Maintenance) error {
		if weeks < 1 || weeks > 8 {
			return platform.Invalid("weeks", "A maintenance is moved by 1 to 8 weeks. Choose a number in that range.")
		}
		if m.Kind == platform.MaintenanceSwitchBack {
			return platform.Conflict("Switching back is done at once. Cancel it, and start it when it suits: until the old server is destroyed.")
		}
		calendar, err := j.calendarOf(ctx, tx, m)
		if err != nil {
			return err
		}
		from := calendar.Window.Next(j.Now())
		if m.ScheduledAt != nil {
			from = *m.ScheduledAt
		}
		slot, ok := calendar.Next(from.AddDate(0, 0, 7*weeks))
		if !ok || slot.OutsideWindow || slot.Through != nil {
			return platform.Invalid("weeks", "No opening of its window is free then. Choose fewer weeks, or another time.")
		}
		if slot.At.After(j.Now().Add(platform.ScheduleAhead)) {
			return calendar.Check(slot.At, j.Now())
		}
		return j.moveTo(ctx, tx, m, actor, slot.At)
	})
}

func (j *Jobs) calendarOf(ctx context.Context, q db.Querier, m platform.Maintenance) (platform.Calendar, error) {
	d, err := db.DatabaseByID(ctx, q, m.DatabaseID)
	if err != nil {
		return platform.Calendar{}, err
	}
	calendar, err := db.CalendarFor(ctx, q, d, m.ID, j.Now())
	if m.RequiredBy != nil {
		calendar.RequiredBy = *m.RequiredBy
	}
	return calendar, err
}

func (j *Jobs) moveTo(ctx context.Context, tx pgx.Tx, m platform.Maintenance, actor string, at time.Time) error {
	if err := refuseWhileSwitching(ctx, tx, m); err != nil {
		return err
	}
	if m.ScheduledAt != nil && m.ScheduledAt.Equal(at) && !m.AtOnce {
		return nil
	}
	if err := db.ScheduleMaintenance(ctx, tx, m.ID, &at, true, actor, ""); err != nil {
		return err
	}
	if m.State == platform.MaintenanceReady {
		if err := db.SetMaintenanceReady(ctx, tx, m.ID, j.Now(), &at); err != nil {
			return err
		}
	}
	return j.noticeMoved(ctx, tx, m, &at, "info", actor+" moved it.", "")
}

// refuseWhileSwitching is a Conflict once the switch is past its last look at
// the maintenance's time: from there it would not see that it was moved. The
// step's beginning is recorded under the operation's row, which changing holds.
func refuseWhileSwitching(ctx context.Context, tx pgx.Tx, m platform.Maintenance) error {
	op, err := db.OperationByID(ctx, tx, m.OperationID)
	if err != nil || op.State != platform.OperationRunning {
		return err // what is being put back looks again when that is done
	}
	steps, err := db.OperationSteps(ctx, tx, m.OperationID)
	for _, s := range steps {
		if s.Name == "prepare_switch" && s.State != platform.StepPending {
			return platform.Conflict("The switch is being made right now, so it cannot be moved any more. To stop it before its point of no return, cancel it on its operation's page.")
		}
	}
	return err
}

// CancelMaintenance puts everything back: the replacement is destroyed, and
// nothing has changed. It is a Conflict once the switch has passed its point of
// no return.
func (j *Jobs) CancelMaintenance(ctx context.Context, actor string, maintenanceID int64) error {
	m, err := db.MaintenanceByID(ctx, j.Pool, maintenanceID)
	if err != nil {
		return err
	}
	return j.Cancel(ctx, actor, m.OperationID)
}

// HoldingUp are the transactions that a maintenance would wait for if it ran
// now, and roll back at last, oldest first.
func (j *Jobs) HoldingUp(ctx context.Context, maintenanceID int64) ([]platform.Backend, error) {
	m, err := db.MaintenanceByID(ctx, j.Pool, maintenanceID)
	if err != nil {
		return nil, err
	}
	if !m.State.Open() {
		return nil, nil
	}
	p, err := j.place(ctx, j.Pool, m.DatabaseID)
	if err != nil {
		return nil, err
	}
	return j.longTransactions(ctx, p)
}
