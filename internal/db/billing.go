package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// billedCents is the cost in cents of one billing period between two times,
// prorated to the second: 720 hours at the monthly price (platform.Plan.CostCents).
const billedCents = `monthly_cents * floor(greatest(0, extract(epoch from
	least(coalesce(ended_at, $2), $2) - greatest(started_at, $1)))) / (720 * 3600)`

// StartBilling begins to bill the database for the plan. While it is billed
// already, nothing changes: a step may run twice.
func StartBilling(ctx context.Context, q Querier, databaseID int64, plan platform.Plan) error {
	_, err := exec(ctx, q, `insert into billing_periods (database_id, plan, monthly_cents) values ($1, $2, $3)
		on conflict (database_id) where ended_at is null do nothing`, databaseID, plan.Name, plan.MonthlyCents)
	return err
}

// StopBilling ends the open period, if there is one.
func StopBilling(ctx context.Context, q Querier, databaseID int64) error {
	_, err := exec(ctx, q, `update billing_periods set ended_at = now() where database_id = $1 and ended_at is null`, databaseID)
	return err
}

// ChangeBilledPlan ends the open period and begins one on the plan, at the
// same instant. For the plan it is billed for already nothing changes.
func ChangeBilledPlan(ctx context.Context, tx pgx.Tx, databaseID int64, plan platform.Plan) error {
	_, err := exec(ctx, tx, `update billing_periods set ended_at = now()
		where database_id = $1 and ended_at is null and plan <> $2`, databaseID, plan.Name)
	if err != nil {
		return err
	}
	return StartBilling(ctx, tx, databaseID, plan)
}

// CostCents is what the database cost until now, in cents.
func CostCents(ctx context.Context, q Querier, databaseID int64, now time.Time) (float64, error) {
	return value[float64](ctx, q, nil, `select coalesce(sum(`+billedCents+`), 0)::float8
		from billing_periods where database_id = $3`, time.Time{}, now, databaseID)
}

// MonthCostCents is what all databases billed to the apps that access sees cost
// together, in cents, from the beginning of now's month (UTC) until now.
func MonthCostCents(ctx context.Context, q Querier, access platform.Access, now time.Time) (float64, error) {
	now = now.UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	ask := askFor(access, month, now)
	return value[float64](ctx, q, nil, `select coalesce(sum(`+billedCents+`), 0)::float8 from billing_periods
		where coalesce(ended_at > $1, true) and database_id in (select id from databases where `+ask.seesApp("app_id")+`)`, ask.args...)
}

// BillingPeriod is one stretch of a database on one plan.
type BillingPeriod struct {
	Plan         string
	MonthlyCents int64
	StartedAt    time.Time
	EndedAt      *time.Time // nil: still running
}

// ListBillingPeriods is the database's periods, oldest first.
func ListBillingPeriods(ctx context.Context, q Querier, databaseID int64) ([]BillingPeriod, error) {
	return many[BillingPeriod](ctx, q, `select plan, monthly_cents, started_at, ended_at
		from billing_periods where database_id = $1 order by started_at, id`, databaseID)
}
