package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// SetWindow chooses a database's weekly window. A maintenance that waits for the
// old one is moved to the new one's next opening, in the same transaction.
func (j *Jobs) SetWindow(ctx context.Context, actor string, databaseID int64, w platform.Window) error {
	d, err := db.DatabaseByID(ctx, j.Pool, databaseID)
	if err != nil {
		return err
	}
	plan, err := j.Catalogue.Plan(d.Plan)
	if err != nil {
		return err
	}
	if !plan.Tier.HasWindow {
		return platform.Conflict("%s is on %s: Essential databases have no maintenance window, since they are upgraded at once.", d.Name, d.Plan)
	}
	return j.moveTogether(ctx, together{
		which: func(q db.Querier) ([]platform.Maintenance, error) {
			return db.ComingMaintenances(ctx, q, db.MaintenanceFilter{DatabaseID: databaseID})
		},
		moves: func(m platform.Maintenance) bool { return !m.ChosenTime && m.Kind != platform.MaintenanceSwitchBack },
		// The database's row before the app's, as whoever starts an upgrade takes them.
		change: func(tx pgx.Tx) error {
			if _, err := db.LockDatabase(ctx, tx, databaseID); err != nil {
				return err
			}
			return db.SetWindow(ctx, tx, databaseID, w)
		},
		actor: actor, why: fmt.Sprintf("%s moved the window to %s.", actor, w),
	})
}

// AddBlackout adds a blackout, and in the same transaction moves the maintenances
// that it covers to their next free opening.
func (j *Jobs) AddBlackout(ctx context.Context, actor string, b platform.Blackout) (platform.Blackout, error) {
	if err := b.Check(j.Now()); err != nil {
		return b, err
	}
	b.CreatedBy = actor
	var appID int64
	if b.AppID != nil {
		appID = *b.AppID
	}
	var made platform.Blackout
	err := j.moveTogether(ctx, together{
		which: func(q db.Querier) ([]platform.Maintenance, error) {
			return db.ComingMaintenances(ctx, q, db.MaintenanceFilter{AppID: appID, Limit: 10000})
		},
		moves: func(m platform.Maintenance) bool { return m.ScheduledAt != nil && b.Covers(*m.ScheduledAt) },
		change: func(tx pgx.Tx) (err error) {
			made, err = db.CreateBlackout(ctx, tx, b)
			return err
		},
		actor: actor, why: fmt.Sprintf("%s added a blackout (%s).", actor, b.Says()),
	})
	return made, err
}

// RemoveBlackout removes one. What it has moved stays where it is; what had no
// time because of it gets one, in the same transaction.
func (j *Jobs) RemoveBlackout(ctx context.Context, actor string, id int64) error {
	return j.moveTogether(ctx, together{
		which: func(q db.Querier) ([]platform.Maintenance, error) {
			return db.ComingMaintenances(ctx, q, db.MaintenanceFilter{Limit: 10000})
		},
		moves:  func(m platform.Maintenance) bool { return m.ScheduledAt == nil },
		change: func(tx pgx.Tx) error { return db.DeleteBlackout(ctx, tx, id) },
		actor:  actor, why: actor + " removed a blackout.",
	})
}

// together is a change of what times depend on, and the maintenances that get
// another time because of it: both happen, or neither.
type together struct {
	which  func(db.Querier) ([]platform.Maintenance, error) // may be more than those that move
	moves  func(platform.Maintenance) bool
	change func(pgx.Tx) error
	actor  string
	why    string // for the notice
}

// errOthers says that maintenances move which were not locked in time.
var errOthers = errors.New("other maintenances are concerned than those that were held")

// moveTogether makes the change. All operations are locked before the change and
// the apps, each in order: two that do so cannot wait for each other, and a
// runner, who holds one operation and its app, waits for neither. A maintenance
// that has begun to be among them meanwhile makes it start over.
func (j *Jobs) moveTogether(ctx context.Context, t together) error {
	for tries := 1; ; tries++ {
		operations, err := j.moveTogetherOnce(ctx, t)
		if errors.Is(err, errOthers) && tries < 5 {
			continue
		}
		if errors.Is(err, errOthers) {
			return platform.Conflict("Maintenances were scheduled or moved at the same moment, so nothing was changed. Try again.")
		}
		if err != nil {
			return err
		}
		// Outside, since River changes many rows of its own at once. Where this is
		// lost an operation only looks later, and in time all the same (wakeDue).
		for _, id := range operations {
			if err := db.InTx(ctx, j.Pool, func(tx pgx.Tx) error { return j.wake(ctx, tx, id) }); err != nil {
				j.Log.Warn("an operation whose maintenance has moved is not woken", "operation", id, "error", err)
			}
		}
		return nil
	}
}

func (j *Jobs) moveTogetherOnce(ctx context.Context, t together) (operations []int64, err error) {
	concerned := func(q db.Querier) ([]platform.Maintenance, error) {
		list, err := t.which(q)
		list = slices.DeleteFunc(list, func(m platform.Maintenance) bool {
			return m.State == platform.MaintenanceRunning || m.AtOnce || !t.moves(m)
		})
		slices.SortFunc(list, func(a, b platform.Maintenance) int { return cmp.Compare(a.OperationID, b.OperationID) })
		return list, err
	}
	list, err := concerned(j.Pool)
	if err != nil {
		return nil, err
	}
	err = db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
		held := map[int64]bool{} // whether it can be moved
		for _, m := range list {
			_, err := lockToChange(ctx, tx, m.ID)
			if err != nil && platform.KindOf(err) != platform.KindConflict { // that: it has begun or ended meanwhile
				return err
			}
			held[m.ID] = err == nil
		}
		if err := t.change(tx); err != nil {
			return err
		}
		now, err := concerned(tx)
		if err != nil {
			return err
		}
		slices.SortStableFunc(now, func(a, b platform.Maintenance) int { return cmp.Compare(a.AppID, b.AppID) })
		for _, m := range now {
			canMove, isHeld := held[m.ID]
			if !isHeld {
				return errOthers
			}
			if !canMove {
				continue
			}
			if err := j.findNewTime(ctx, tx, m, t.actor, t.why); err != nil {
				return err
			}
			operations = append(operations, m.OperationID)
		}
		return nil
	})
	return operations, err
}

// findNewTime moves a maintenance that has not begun, and that the transaction
// holds, to its next free opening.
func (j *Jobs) findNewTime(ctx context.Context, tx pgx.Tx, m platform.Maintenance, actor, why string) error {
	at, remark, err := j.nextSlot(ctx, tx, m, j.Now())
	if err != nil || at != nil && m.ScheduledAt != nil && at.Equal(*m.ScheduledAt) {
		return err
	}
	if err := db.ScheduleMaintenance(ctx, tx, m.ID, at, false, actor, why); err != nil {
		return err
	}
	if m.State != platform.MaintenancePreparing {
		if err := db.SetMaintenanceReady(ctx, tx, m.ID, j.Now(), at); err != nil {
			return err
		}
	}
	return j.noticeMoved(ctx, tx, m, at, "info", why, remark)
}
