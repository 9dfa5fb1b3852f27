package db_test

import (
	"math"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

func TestBilling(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	d, other := dbtest.Database(t, pool, app.ID, 20000), dbtest.Database(t, pool, app.ID, 20001)
	small, large := platform.Plan{Name: "standard-0", MonthlyCents: 5000}, platform.Plan{Name: "standard-2", MonthlyCents: 20000}
	cost := func(id int64, now time.Time) float64 { return must(db.CostCents(ctx, pool, id, now))(t) }
	change := func(p platform.Plan) {
		t.Helper()
		noError(t, db.InTx(ctx, pool, func(tx pgx.Tx) error { return db.ChangeBilledPlan(ctx, tx, d.ID, p) }))
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: %v cents, want %v", what, got, want)
		}
	}

	if got := cost(d.ID, time.Now()); got != 0 {
		t.Errorf("never billed and cost %v", got)
	}
	noError(t, db.StopBilling(ctx, pool, d.ID)) // nothing to stop
	for range 2 {
		noError(t, db.StartBilling(ctx, pool, d.ID, small))
	}
	change(small) // already
	if p := must(db.ListBillingPeriods(ctx, pool, d.ID))(t); len(p) != 1 || p[0].EndedAt != nil {
		t.Fatalf("periods %+v", p)
	}
	// 30 days cost the monthly price, and the rest is by the second.
	begun := time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC)
	_, err := pool.Exec(ctx, `update billing_periods set started_at = $1`, begun)
	noError(t, err)
	near("30 days", cost(d.ID, begun.Add(720*time.Hour)), 5000)
	near("90 min and a bit", cost(d.ID, begun.Add(90*time.Minute+900*time.Millisecond)), small.CostCents(90*time.Minute))
	near("the future", cost(d.ID, begun.Add(-time.Hour)), 0)

	change(large)
	periods := must(db.ListBillingPeriods(ctx, pool, d.ID))(t)
	if len(periods) != 2 || periods[0].EndedAt == nil || !periods[0].EndedAt.Equal(periods[1].StartedAt) || periods[1].Plan != "standard-2" {
		t.Fatalf("periods %+v", periods)
	}
	_, err = pool.Exec(ctx, `update billing_periods set ended_at = $1 where ended_at is not null`, begun.Add(24*time.Hour))
	noError(t, err)
	_, err = pool.Exec(ctx, `update billing_periods set started_at = $1 where ended_at is null`, begun.Add(24*time.Hour))
	noError(t, err)
	near("two plans", cost(d.ID, begun.Add(48*time.Hour)), small.CostCents(24*time.Hour)+large.CostCents(24*time.Hour))

	// The month counts what falls into it, of every database, destroyed ones too.
	noError(t, db.StartBilling(ctx, pool, other.ID, small))
	_, err = pool.Exec(ctx, `update billing_periods set started_at = $1, ended_at = $2 where database_id = $3`,
		time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC), other.ID)
	noError(t, err)
	now := time.Date(2026, 2, 5, 12, 0, 0, 0, time.FixedZone("", 3600))
	near("the month", must(db.MonthCostCents(ctx, pool, platform.Everything(), now))(t),
		large.CostCents(now.Sub(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)))+small.CostCents(24*time.Hour))

	noError(t, db.StopBilling(ctx, pool, d.ID))
	ended := cost(d.ID, time.Now())
	near("an hour after its end", cost(d.ID, time.Now().Add(time.Hour)), ended)
}
