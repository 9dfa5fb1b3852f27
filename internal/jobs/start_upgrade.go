package jobs

import (
	"context"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// UpgradeWhen is when an upgrade's switch is to happen.
type UpgradeWhen string

// When an upgrade's switch can be: in the next window after it is ready, as soon
// as it is ready, or at a time.
const (
	UpgradeInWindow UpgradeWhen = "window"
	UpgradeAtOnce   UpgradeWhen = "ready"
	UpgradeAt       UpgradeWhen = "at"
)

// Upgrade is what an upgrade is asked for.
type Upgrade struct {
	DatabaseID int64
	Plan       string // its own renews the infrastructure
	When       UpgradeWhen
	At         time.Time // with UpgradeAt
	// RequiredBy is until when it must have begun; nil where it need not.
	RequiredBy *time.Time
	// Maintenance turns maintenance mode of the app on while an Essential database
	// is copied.
	Maintenance bool
}

// StartUpgrade begins to prepare a replacement; the switch comes in a
// maintenance. A plan that does not fit is Invalid at "plan", a time that cannot
// be at "at".
func (j *Jobs) StartUpgrade(ctx context.Context, actor string, u Upgrade) (platform.Operation, error) {
	return j.begin(ctx, func(tx pgx.Tx) (platform.Operation, error) {
		d, err := db.LockDatabase(ctx, tx, u.DatabaseID)
		if err != nil {
			return platform.Operation{}, err
		}
		plan, err := j.canUpgrade(ctx, tx, d, u.Plan)
		if err != nil {
			return platform.Operation{}, err
		}
		if plan.Tier.IsShared {
			return j.startMove(ctx, tx, actor, d, plan, u)
		}
		m := db.NewMaintenance{DatabaseID: d.ID, Kind: platform.MaintenanceUpgrade, FromPlan: d.Plan, ToPlan: plan.Name, RequiredBy: u.RequiredBy, CreatedBy: actor}
		if err := j.firstTime(ctx, tx, d, u, &m); err != nil {
			return platform.Operation{}, err
		}
		op, err := j.start(ctx, tx, db.NewOperation{Kind: platform.Upgrade, DatabaseID: d.ID, AppID: &d.AppID, RequestedBy: actor})
		if err != nil {
			return op, err
		}
		m.OperationID = op.ID
		made, err := db.CreateMaintenance(ctx, tx, m)
		if err != nil {
			return op, err
		}
		if err := j.noticePreparing(ctx, tx, made); err != nil {
			return op, err
		}
		if err := db.InsertSwitch(ctx, tx, op.ID); err != nil {
			return op, err
		}
		return op, db.InsertReplacement(ctx, tx, db.Replacement{OperationID: op.ID, DatabaseID: d.ID, Plan: plan.Name, OldServerID: *d.ServerID})
	})
}

// canUpgrade holds the rules of spec 3a, as far as they need no question to the
// server: the procedure's first step asks it.
func (j *Jobs) canUpgrade(ctx context.Context, q db.Querier, d platform.Database, planName string) (platform.Plan, error) {
	plan, err := j.Catalogue.Plan(planName)
	if err != nil {
		return plan, err
	}
	from, err := j.Catalogue.Plan(d.Plan)
	if err != nil {
		return plan, err
	}
	reading, err := db.ReadingOf(ctx, q, d.ID)
	if err != nil {
		return plan, err
	}
	if err := j.Catalogue.UpgradePlan(from, plan, reading.DataBytes, reading.Connections); err != nil {
		return plan, err
	}
	switch {
	case d.IsFollower():
		return plan, platform.Conflict("%s is a follower. Make another follower on %s and destroy this one, or upgrade its leader: followers go with it.", d.Name, plan.Name)
	case d.State == platform.DatabaseFenced:
		return plan, platform.Conflict("%s is fenced. Unfence it, or upgrade the database that replaced it.", d.Name)
	case d.State != platform.DatabaseAvailable || d.ServerID == nil:
		return plan, platform.Conflict("%s is %s and cannot be upgraded now.", d.Name, d.State)
	}
	if err := db.RefuseClaimed(ctx, q, d.ID); err != nil {
		return plan, err
	}
	if _, kept, err := db.KeptServerOf(ctx, q, d.ID); err != nil {
		return plan, err
	} else if kept {
		return plan, platform.Conflict("The old server of %s is still kept for switching back. Destroy it first: only one is kept at a time.", d.Name)
	}
	server, err := db.ServerOf(ctx, q, d.ID)
	if err != nil {
		return plan, err
	}
	return plan, j.roomFor(server.Zone, reading.DataBytes)
}

// firstTime is when the switch is expected, for the page while it prepares.
func (j *Jobs) firstTime(ctx context.Context, tx pgx.Tx, d platform.Database, u Upgrade, m *db.NewMaintenance) error {
	now := j.Now()
	calendar, err := db.CalendarFor(ctx, tx, d, 0, now)
	if err != nil {
		return err
	}
	if u.RequiredBy != nil {
		if !u.RequiredBy.After(now) {
			return platform.Invalid("required_by", "The date by which it must have begun has passed. Choose a later one.")
		}
		calendar.RequiredBy = *u.RequiredBy
	}
	switch u.When {
	case UpgradeInWindow, "":
		if slot, ok := calendar.Next(now); ok {
			m.ScheduledAt = &slot.At
		}
	case UpgradeAtOnce:
		m.AtOnce = true
	case UpgradeAt:
		if err := calendar.Check(u.At, now); err != nil {
			return err
		}
		m.ScheduledAt, m.ChosenTime = &u.At, true
	default:
		return platform.Invalid("when", "Choose when the switch is to be: in the window, as soon as it is ready, or at a time.")
	}
	return nil
}
