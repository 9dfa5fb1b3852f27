package jobs

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// lookAgain is how often a maintenance that waits for its window is looked at,
// so that its page shows how far behind the replacement is.
const lookAgain = 15 * time.Minute

// nextSlot is the first time at or after from that is free for the maintenance.
func (j *Jobs) nextSlot(ctx context.Context, tx pgx.Tx, m platform.Maintenance, from time.Time) (at *time.Time, remark string, err error) {
	calendar, err := j.calendarOf(ctx, tx, m)
	if err != nil {
		return nil, "", err
	}
	slot, ok := calendar.Next(from)
	if !ok {
		return nil, "", nil
	}
	if slot.OutsideWindow && m.State == platform.MaintenanceRunning {
		// It was put back, and there is no opening to wait for. Each try refuses
		// writes for a while, so that they do not come one after the other.
		if least := from.Add(betweenTries); slot.At.Before(least) {
			slot.At = least
		}
	}
	return &slot.At, slotRemark(slot), nil
}

// betweenTries is the least time between two tries of a switch that its required
// date does not let wait for a window.
const betweenTries = time.Hour

// slotRemark says what had to give way to the required date.
func slotRemark(slot platform.Slot) string {
	switch {
	case slot.OutsideWindow && slot.Through != nil:
		return fmt.Sprintf("It must have begun before its window opens again, so it is outside the window and in a blackout (%s).", slot.Through.Says())
	case slot.OutsideWindow:
		return "It must have begun before its window opens again, so it is outside the window."
	case slot.Through != nil:
		return fmt.Sprintf("Every opening before the required date is in a blackout, so the last of them is taken although it is in one (%s).", slot.Through.Says())
	}
	return ""
}

// schedule gives the maintenance its time: the one that was chosen or expected
// while it was prepared, unless that has passed meanwhile.
func (u *upgrader) schedule(ctx context.Context) error {
	return u.InTx(ctx, func(tx pgx.Tx) error {
		m, err := db.LockMaintenance(ctx, tx, u.maintenance.ID)
		if err != nil {
			return err
		}
		now := u.j.Now()
		at, remark := m.ScheduledAt, ""
		switch {
		case m.AtOnce:
			at = &now
		case at == nil || m.Due(now).Missed:
			if at, remark, err = u.j.nextSlot(ctx, tx, m, now); err != nil {
				return err
			}
		}
		if err := db.SetMaintenanceReady(ctx, tx, m.ID, now, at); err != nil {
			return err
		}
		if at == nil {
			u.Detail("Ready, but blackouts cover every window for more than a year")
		} else {
			u.Detail("%s", platform.MomentUTC(*at))
			if at.Before(now.Add(24 * time.Hour)) { // this notice is the one of the day before, too
				if err := db.SetToldTomorrow(ctx, tx, m.ID, *at); err != nil {
					return err
				}
			}
		}
		return u.j.noticeScheduled(ctx, tx, m, at, remark)
	})
}

// waitForWindow returns when the switch may begin. It reads the maintenance each
// time it looks, so that it sees when somebody has moved it.
func (u *upgrader) waitForWindow(ctx context.Context) error {
	m, err := db.MaintenanceByID(ctx, u.j.Pool, u.maintenance.ID)
	if err != nil {
		return err
	}
	now := u.j.Now()
	due := m.Due(now)
	switch {
	case m.State == platform.MaintenanceRunning || due.Run:
		return u.begin(ctx)
	case due.Missed:
		if err := u.reschedule(ctx, now); err != nil {
			return err
		}
		return workflow.Wait(100*time.Millisecond, "Its window has passed")
	case due.TellTomorrow:
		err := u.InTx(ctx, func(tx pgx.Tx) error {
			var err error
			if m, err = db.LockMaintenance(ctx, tx, m.ID); err != nil || !m.Due(now).TellTomorrow {
				return err // moved in this very moment; the next look sees it
			}
			if err := u.j.noticeTomorrow(ctx, tx, m); err != nil {
				return err
			}
			return db.SetToldTomorrow(ctx, tx, m.ID, *m.ScheduledAt)
		})
		if err != nil {
			return err
		}
		return workflow.Wait(100*time.Millisecond, "The notice of the day before is given")
	case m.ScheduledAt == nil:
		return workflow.Wait(lookAgain, "It is ready and has no time: run it now, move it to a time, or remove a blackout")
	}
	return workflow.Wait(min(due.Wait, lookAgain), "%s; %s", platform.MomentUTC(*m.ScheduledAt), u.howFarBehind(ctx))
}

// howFarBehind is for the page only: a server that does not answer now is no
// reason to stop waiting.
func (u *upgrader) howFarBehind(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	gap, err := u.gap(ctx)
	switch {
	case err != nil:
		return "how far the replacement is behind is not known now"
	case !gap.streaming:
		return fmt.Sprintf("the replacement is not streaming, %s behind", platform.Bytes(gap.bytes))
	}
	return fmt.Sprintf("the replacement is %s behind", counted(int(gap.commits), "commit"))
}

// begin lets the maintenance run, unless another one of the app runs just now.
func (u *upgrader) begin(ctx context.Context) error {
	var other string
	err := u.InTx(ctx, func(tx pgx.Tx) error {
		m, err := db.LockMaintenance(ctx, tx, u.maintenance.ID)
		if err != nil || m.State == platform.MaintenanceRunning {
			return err
		}
		now := u.j.Now()
		if !m.Due(now).Run {
			return nil // moved in this very moment; the next look sees it
		}
		if moved, err := u.makeWay(ctx, tx, m, now); err != nil || moved {
			return err
		}
		// It holds the app's row: of two that begin now, the second sees the first.
		if other, err = db.RunningMaintenanceOf(ctx, tx, m.AppID, m.ID); err != nil || other != "" {
			return err
		}
		if m.AtOnce {
			if err := db.ScheduleMaintenance(ctx, tx, m.ID, &now, true, m.MovedBy, m.Reason); err != nil {
				return err
			}
		}
		if err := db.SetMaintenanceRunning(ctx, tx, m.ID, now); err != nil {
			return err
		}
		u.Detail("It runs since %s", platform.MomentUTC(now))
		return u.j.noticeStarting(ctx, tx, m)
	})
	if err != nil {
		return err
	}
	if other != "" {
		return workflow.Wait(5*time.Second, "The maintenance of %s runs, and there are never two of one app at a time", other)
	}
	m, err := db.MaintenanceByID(ctx, u.j.Pool, u.maintenance.ID)
	if err != nil {
		return err
	}
	if u.maintenance = m; m.State != platform.MaintenanceRunning {
		return workflow.Wait(100*time.Millisecond, "It was moved")
	}
	return nil
}

// makeWay moves a maintenance that is due in a blackout all the same: whoever
// added the blackout moves what it covers, but not what was scheduled in that
// very moment, nor what was left when the program ended in between.
func (u *upgrader) makeWay(ctx context.Context, tx pgx.Tx, m platform.Maintenance, now time.Time) (moved bool, err error) {
	if m.AtOnce || m.RequiredBy != nil { // a person wants it now; a required date takes precedence
		return false, nil
	}
	calendar, err := u.j.calendarOf(ctx, tx, m)
	if err != nil {
		return false, err
	}
	blackout := calendar.BlackoutAt(*m.ScheduledAt)
	if blackout == nil {
		return false, nil
	}
	return true, u.moveOn(ctx, tx, m, now, "info", fmt.Sprintf("%s is in a blackout (%s).", platform.MomentUTC(*m.ScheduledAt), blackout.Says()))
}

// reschedule is for a window that has passed while the program was down.
func (u *upgrader) reschedule(ctx context.Context, now time.Time) error {
	return u.InTx(ctx, func(tx pgx.Tx) error {
		m, err := db.LockMaintenance(ctx, tx, u.maintenance.ID)
		if err != nil || !m.Due(now).Missed {
			return err
		}
		return u.moveOn(ctx, tx, m, now, "warn", fmt.Sprintf("It was due at %s, and Changeover did not run before its four hours had passed.", platform.MomentUTC(*m.ScheduledAt)))
	})
}

// moveOn gives a maintenance that is ready its next free opening.
func (u *upgrader) moveOn(ctx context.Context, tx pgx.Tx, m platform.Maintenance, now time.Time, level platform.NoticeLevel, why string) error {
	at, remark, err := u.j.nextSlot(ctx, tx, m, now)
	if err != nil {
		return err
	}
	if err := db.ScheduleMaintenance(ctx, tx, m.ID, at, false, "", why); err != nil {
		return err
	}
	if err := db.SetMaintenanceReady(ctx, tx, m.ID, now, at); err != nil {
		return err
	}
	return u.j.noticeMoved(ctx, tx, m, at, level, why, remark)
}

// beginAgain is the end of a switch that was put back: it waits for the next
// window, or for the time to which somebody moved it meanwhile.
func (u *upgrader) beginAgain(ctx context.Context, tx pgx.Tx, reason string) error {
	m, err := db.LockMaintenance(ctx, tx, u.maintenance.ID)
	if err != nil || m.State != platform.MaintenanceRunning {
		return err // it is written already: only the answer of that commit was lost
	}
	facts, err := db.ChangeoverOf(ctx, tx, u.Operation.ID)
	if err != nil {
		return err
	}
	if err := db.ForgetSwitch(ctx, tx, u.Operation.ID); err != nil {
		return err
	}
	now := u.j.Now()
	if m.ScheduledAt != nil && m.ScheduledAt.After(now) { // moved by a person, who was told already
		if err := db.PostponeMaintenance(ctx, tx, m.ID, m.ScheduledAt, reason); err != nil {
			return err
		}
		return db.ScheduleMaintenance(ctx, tx, m.ID, m.ScheduledAt, m.ChosenTime, m.MovedBy, reason)
	}
	at, remark, err := u.j.nextSlot(ctx, tx, m, now.Add(time.Second))
	if err != nil {
		return err
	}
	if err := db.PostponeMaintenance(ctx, tx, m.ID, at, reason); err != nil {
		return err
	}
	// What an earlier attempt measured stays in the row: only this one's counts.
	if facts.OutageMS != nil && facts.RefusedAt != nil && m.StartedAt != nil && facts.RefusedAt.After(*m.StartedAt) {
		remark = fmt.Sprintf("Writes were refused for %.0f ms before it was put back. %s", *facts.OutageMS, remark)
	}
	m.Postponed++
	return u.j.noticeMoved(ctx, tx, m, at, "warn", reason, remark)
}
