package db_test

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

var thursday = time.Date(2026, 10, 8, 12, 0, 0, 0, time.UTC)

// maintenance is a new one of the database, at a time.
func maintenance(t *testing.T, pool *pgxpool.Pool, d platform.Database, at *time.Time) platform.Maintenance {
	t.Helper()
	return must(inTx(t, pool, func(tx pgx.Tx) (platform.Maintenance, error) {
		op, err := db.InsertOperation(t.Context(), tx, db.NewOperation{Kind: "upgrade", DatabaseID: d.ID, AppID: &d.AppID, RequestedBy: "chef", StepNames: []string{"one"}})
		if err != nil {
			return platform.Maintenance{}, err
		}
		return db.CreateMaintenance(t.Context(), tx, db.NewMaintenance{DatabaseID: d.ID, OperationID: op.ID, Kind: platform.MaintenanceUpgrade,
			FromPlan: d.Plan, ToPlan: "standard-2", ScheduledAt: at, CreatedBy: "chef"})
	}))(t)
}

func TestMaintenanceLivesThroughItsStates(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	at := thursday.Add(62 * time.Hour)
	m := maintenance(t, pool, d, &at)
	if m.State != platform.MaintenancePreparing || m.DatabaseName != d.Name || m.AppName != "sushi" || !m.ScheduledAt.Equal(at) || m.Title() != "Upgrade to standard-2" {
		t.Fatalf("%+v", m)
	}
	heard := listen(t, pool)
	noError(t, db.SetMaintenanceReady(ctx, pool, m.ID, thursday, &at))
	if a := <-heard; a != db.LiveMaintenances {
		t.Errorf("heard %s", a)
	}
	got, open, err := db.OpenMaintenanceOf(ctx, pool, d.ID)
	if err != nil || !open || got.State != platform.MaintenanceScheduled || !got.ReadyAt.Equal(thursday) {
		t.Fatalf("%+v %t %v", got, open, err)
	}
	later := at.Add(7 * 24 * time.Hour)
	noError(t, db.ScheduleMaintenance(ctx, pool, m.ID, &later, true, "jun", ""))
	noError(t, db.SetToldTomorrow(ctx, pool, m.ID, later))
	noError(t, db.SetMaintenanceRunning(ctx, pool, m.ID, later))
	noError(t, db.PostponeMaintenance(ctx, pool, m.ID, nil, "The deadline passed."))
	got = must(db.MaintenanceByID(ctx, pool, m.ID))(t)
	if got.State != platform.MaintenanceReady || got.ScheduledAt != nil || got.Postponed != 1 || got.ChosenTime || got.MovedBy != "jun" || got.Reason != "The deadline passed." {
		t.Errorf("postponed without a time: %+v", got)
	}
	noError(t, db.RunMaintenanceAtOnce(ctx, pool, m.ID, "mei"))
	if got = must(db.MaintenanceByID(ctx, pool, m.ID))(t); !got.AtOnce {
		t.Errorf("%+v", got)
	}
	outage := 138.5
	noError(t, db.EndMaintenance(ctx, pool, m.ID, platform.MaintenanceCompleted, later, &outage, ""))
	wantSentence(t, db.RunMaintenanceAtOnce(ctx, pool, m.ID, "mei"), platform.KindConflict, "", "has ended")
	if _, open, err := db.OpenMaintenanceOf(ctx, pool, d.ID); open || err != nil {
		t.Errorf("it is still open: %v", err)
	}
	past := must(db.PastMaintenances(ctx, pool, db.MaintenanceFilter{DatabaseID: d.ID}))(t)
	if len(past) != 1 || past[0].OutageMS == nil || *past[0].OutageMS != outage || !past[0].EndedAt.Equal(later) {
		t.Errorf("the history: %+v", past)
	}
	_, err = db.MaintenanceByID(ctx, pool, 99)
	wantSentence(t, err, platform.KindNotFound, "", "does not exist")
}

func TestMaintenancesAreListed(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	sushi, ramen := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen")
	var all []platform.Maintenance
	for i, app := range []platform.App{sushi, ramen, sushi} {
		at := thursday.Add(time.Duration(3-i) * 24 * time.Hour)
		all = append(all, maintenance(t, pool, dbtest.Database(t, pool, app.ID, 20000+i), &at))
	}
	noTime := maintenance(t, pool, dbtest.Database(t, pool, ramen.ID, 20009), nil)
	ids := func(list []platform.Maintenance, err error) (ids []int64) {
		noError(t, err)
		for _, m := range list {
			ids = append(ids, m.ID)
		}
		return ids
	}
	sameIDs(t, "coming", ids(db.ComingMaintenances(ctx, pool, db.MaintenanceFilter{})), []int64{all[2].ID, all[1].ID, all[0].ID, noTime.ID})
	sameIDs(t, "of an app", ids(db.ComingMaintenances(ctx, pool, db.MaintenanceFilter{AppID: sushi.ID})), []int64{all[2].ID, all[0].ID})
	sameIDs(t, "between", ids(db.MaintenancesBetween(ctx, pool, db.MaintenanceFilter{}, thursday.Add(48*time.Hour), thursday.Add(72*time.Hour))), []int64{all[1].ID})
	noError(t, db.SetMaintenanceRunning(ctx, pool, all[0].ID, thursday))
	noError(t, db.EndMaintenance(ctx, pool, all[0].ID, platform.MaintenanceFailed, thursday.Add(time.Hour), nil, "It broke."))
	sameIDs(t, "past", ids(db.PastMaintenances(ctx, pool, db.MaintenanceFilter{})), []int64{all[0].ID})
	sameIDs(t, "between, ended", ids(db.MaintenancesBetween(ctx, pool, db.MaintenanceFilter{}, thursday, thursday.Add(time.Hour))), []int64{all[0].ID})
	if n := must(db.CountComingMaintenances(ctx, pool, db.MaintenanceFilter{}))(t); n != 3 {
		t.Errorf("%d are coming", n)
	}

	// Whoever wants the database is told what it waits for.
	noError(t, db.SetMaintenanceReady(ctx, pool, all[1].ID, thursday, all[1].ScheduledAt))
	_, err := startOn(t, pool, all[1].DatabaseID, nil)
	wantSentence(t, err, platform.KindConflict, "", "(Upgrade to standard-2) is scheduled for Sat 10 Oct 2026 12:00 UTC")
	wantSentence(t, db.RefuseClaimed(ctx, pool, noTime.DatabaseID), platform.KindConflict, "", "is preparing. Wait until it has ended, or cancel it")
	noError(t, db.RefuseClaimed(ctx, pool, 99))
}

func sameIDs(t *testing.T, what string, got, want []int64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}

func TestWindowsAreExchangedOnceASwitch(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	sushi := dbtest.App(t, pool, "sushi")
	leader, follower := dbtest.Database(t, pool, sushi.ID, 20000), dbtest.Database(t, pool, sushi.ID, 20001)
	sunday := platform.Window{Weekday: time.Sunday, Minute: 120}
	noError(t, db.SetWindow(ctx, pool, leader.ID, sunday))
	exchange := func(it, old platform.Database) {
		t.Helper()
		noError(t, db.InTx(ctx, pool, func(tx pgx.Tx) error {
			if err := db.ExchangeWindows(ctx, tx, it.ID, old.ID); err != nil {
				return err
			}
			return db.SetDatabaseUnfollowed(ctx, tx, it.ID)
		}))
	}
	are := func(what string, ofLeader, ofFollower platform.Window) {
		t.Helper()
		if all := must(db.Windows(ctx, pool, []int64{leader.ID, follower.ID}))(t); all[leader.ID] != ofLeader || all[follower.ID] != ofFollower {
			t.Errorf("%s: %v", what, all)
		}
	}
	usual := platform.DefaultWindow(follower.ID)
	exchange(follower, leader)
	are("of two that do not follow each other", sunday, usual)
	noError(t, db.SetDatabaseFollowing(ctx, pool, follower.ID, leader.ID))
	exchange(follower, leader)
	are("switched", usual, sunday)
	exchange(follower, leader)
	are("the step ran once more", usual, sunday)
	noError(t, db.SetDatabaseFollowing(ctx, pool, leader.ID, follower.ID))
	exchange(leader, follower)
	are("there and back", sunday, usual)
}

func TestCalendarKnowsWindowBlackoutsAndTheAppsOthers(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	sushi, ramen := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen")
	d, other, stranger := dbtest.Database(t, pool, sushi.ID, 20000), dbtest.Database(t, pool, sushi.ID, 20001), dbtest.Database(t, pool, ramen.ID, 20002)
	if w := must(db.WindowOf(ctx, pool, d.ID))(t); w != platform.DefaultWindow(d.ID) {
		t.Errorf("the default is %s", w)
	}
	wantSentence(t, db.SetWindow(ctx, pool, d.ID, platform.Window{Minute: 45}), platform.KindInvalid, "window", "full or a half hour")
	sunday := platform.Window{Weekday: time.Sunday, Minute: 120}
	noError(t, db.SetWindow(ctx, pool, d.ID, sunday))
	if all := must(db.Windows(ctx, pool, []int64{d.ID, other.ID}))(t); all[d.ID] != sunday || all[other.ID] != platform.DefaultWindow(other.ID) {
		t.Errorf("windows %v", all)
	}
	opening := sunday.Next(thursday)
	taken := opening.Add(7 * 24 * time.Hour)
	mine := maintenance(t, pool, d, &opening)
	maintenance(t, pool, other, &taken)
	maintenance(t, pool, stranger, &taken)
	for _, b := range []platform.Blackout{
		{AppID: &sushi.ID, From: opening, Until: opening.Add(time.Hour), Reason: "sale", CreatedBy: "chef"},
		{From: opening.Add(14 * 24 * time.Hour), Until: opening.Add(15 * 24 * time.Hour), Reason: "holidays", CreatedBy: "chef"},
		{AppID: &ramen.ID, From: opening, Until: opening.Add(100 * 24 * time.Hour), Reason: "ramen's", CreatedBy: "chef"},
		{From: thursday.Add(-2 * time.Hour), Until: thursday, Reason: "over", CreatedBy: "chef"},
	} {
		must(db.CreateBlackout(ctx, pool, b))(t)
	}
	c := must(db.CalendarFor(ctx, pool, d, mine.ID, thursday))(t)
	if c.Window != sunday || len(c.Blackouts) != 2 || len(c.Taken) != 1 || !c.Taken[0].Equal(taken) {
		t.Errorf("%+v", c)
	}
	slot, ok := c.Next(thursday)
	if !ok || !slot.At.Equal(opening.Add(21*24*time.Hour)) { // a blackout, another maintenance, another blackout, then free
		t.Errorf("%+v %t", slot, ok)
	}

	// Two of one app never choose the same time: the second waits for the first.
	tx, err := pool.Begin(ctx)
	noError(t, err)
	must(db.CalendarFor(ctx, tx, d, 0, thursday))(t)
	done := make(chan error, 1)
	go func() {
		done <- db.InTx(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "set local lock_timeout = '300ms'"); err != nil {
				return err
			}
			_, err := db.CalendarFor(ctx, tx, other, 0, thursday)
			return err
		})
	}()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "lock timeout") {
		t.Errorf("the second did not wait: %v", err)
	}
	noError(t, tx.Rollback(ctx))
}

func TestBlackoutsAreKeptAndRemoved(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	app := dbtest.App(t, pool, "sushi")
	b := must(db.CreateBlackout(ctx, pool, platform.Blackout{AppID: &app.ID, From: thursday, Until: thursday.Add(time.Hour), Reason: "sale", CreatedBy: "chef"}))(t)
	if again := must(db.BlackoutByID(ctx, pool, b.ID))(t); again.AppName != "sushi" || !again.From.Equal(thursday) || again.Reason != "sale" || again.CreatedBy != "chef" {
		t.Errorf("%+v", again)
	}
	if list := must(db.ListBlackouts(ctx, pool, thursday.Add(time.Hour), thursday.Add(2*time.Hour)))(t); len(list) != 0 {
		t.Errorf("after its end: %+v", list)
	}
	if list := must(db.ListBlackouts(ctx, pool, thursday.Add(-time.Hour), thursday.Add(time.Minute)))(t); len(list) != 1 {
		t.Errorf("while it is: %+v", list)
	}
	noError(t, db.DeleteBlackout(ctx, pool, b.ID))
	wantSentence(t, db.DeleteBlackout(ctx, pool, b.ID), platform.KindNotFound, "", "does not exist any more")
}

func TestOldServerIsKept(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	m := maintenance(t, pool, d, nil)
	v := must(db.CreateServer(ctx, pool, db.NewServer{DatabaseID: d.ID, Zone: "b", Port: 20001, Major: 15, Plan: "standard-2"}))(t)
	noError(t, db.InTx(ctx, pool, func(tx pgx.Tx) error {
		return db.InsertReplacement(ctx, tx, db.Replacement{OperationID: m.OperationID, DatabaseID: d.ID, Plan: "standard-2", OldServerID: *d.ServerID})
	}))
	noError(t, db.SetReplacementServer(ctx, pool, m.OperationID, &v.ID))
	if _, kept, err := db.KeptServerOf(ctx, pool, d.ID); kept || err != nil {
		t.Errorf("kept before the switch: %v", err)
	}
	until := thursday.Add(24 * time.Hour)
	noError(t, db.KeepOldServer(ctx, pool, m.OperationID, until))
	noError(t, db.KeepOldServer(ctx, pool, m.OperationID, until.Add(time.Hour)))
	r, kept, err := db.KeptServerOf(ctx, pool, d.ID)
	if err != nil || !kept || *r.ServerID != v.ID || r.OldServerID != *d.ServerID || !r.KeptUntil.Equal(until) || r.Plan != "standard-2" {
		t.Fatalf("%+v %t %v", r, kept, err)
	}
	if m := must(db.MaintenanceByID(ctx, pool, m.ID))(t); m.KeptServerID == nil || *m.KeptServerID != *d.ServerID || !m.KeptUntil.Equal(until) {
		t.Errorf("%+v", m)
	}
	if early := must(db.KeptLongEnough(ctx, pool, until.Add(-time.Second)))(t); len(early) != 0 {
		t.Errorf("%+v", early)
	}
	if due := must(db.KeptLongEnough(ctx, pool, until))(t); len(due) != 1 {
		t.Errorf("%+v", due)
	}
	noError(t, db.SetServerDestroyed(ctx, pool, *d.ServerID))
	if due := must(db.KeptLongEnough(ctx, pool, until))(t); len(due) != 0 {
		t.Errorf("destroyed and still kept: %+v", due)
	}
	_, err = db.ReplacementOf(ctx, pool, 99)
	wantSentence(t, err, platform.KindNotFound, "", "replaces no server")
}

func TestOperationClaimsMoreAndGivesItBack(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	app := dbtest.App(t, pool, "sushi")
	leader := dbtest.Database(t, pool, app.ID, 20000)
	a, b := dbtest.Follower(t, pool, leader, app.ID, 20001), dbtest.Follower(t, pool, leader, app.ID, 20002)
	op := must(startOn(t, pool, leader.ID, nil))(t)
	busy := must(startOn(t, pool, b.ID, nil))(t)
	in := func(fn func(tx pgx.Tx) error) error { return db.InTx(ctx, pool, fn) }
	both := func(tx pgx.Tx) error { return db.ClaimAlso(ctx, tx, op, []int64{a.ID, b.ID}) }
	wantSentence(t, in(both), platform.KindConflict, "", b.Name)
	noError(t, db.RefuseClaimed(ctx, pool, a.ID)) // none of them, then
	end(t, pool, busy, platform.OperationUndone)
	noError(t, in(both))
	noError(t, in(both))
	wantSentence(t, db.RefuseClaimed(ctx, pool, a.ID), platform.KindConflict, "", "Follower changeover of")
	noError(t, in(func(tx pgx.Tx) error { return db.GiveBackClaim(ctx, tx, op, a.ID) }))
	noError(t, db.RefuseClaimed(ctx, pool, a.ID))
	noError(t, in(func(tx pgx.Tx) error { return db.GiveBackOtherClaims(ctx, tx, op) }))
	noError(t, db.RefuseClaimed(ctx, pool, b.ID))
	if err := db.RefuseClaimed(ctx, pool, leader.ID); err == nil {
		t.Error("its own claim is gone, too")
	}
}

func TestNoticeIsGivenOnce(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	n := db.NewNotice{Kind: "maintenance_moved", Subject: "Moved", Body: "It was moved.", Once: "maintenance:1:moved:1"}
	first := must(db.CreateNotice(ctx, pool, n))(t)
	if again := must(db.CreateNotice(ctx, pool, n))(t); again != first {
		t.Errorf("%d and %d", first, again)
	}
	n.Once = "maintenance:1:moved:2"
	if other := must(db.CreateNotice(ctx, pool, n))(t); other == first {
		t.Error("another event has no notice")
	}
}

func TestReleaseForEveryAppWhoseURLMoved(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	sushi, ramen := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen")
	d := dbtest.Database(t, pool, sushi.ID, 20000)
	op := must(startOn(t, pool, d.ID, nil))(t)
	moved := func() int {
		return must(inTx(t, pool, func(tx pgx.Tx) (int, error) {
			return db.ReleaseMoved(ctx, tx, d.ID, sushi.ID, "Upgrade "+d.Name, "chef", op.ID)
		}))(t)
	}
	if n := moved(); n != 0 {
		t.Errorf("attached to nothing: v%d", n)
	}
	for _, app := range []platform.App{sushi, ramen, ramen} {
		must(inTx(t, pool, func(tx pgx.Tx) (platform.Attachment, error) {
			return db.Attach(ctx, tx, db.NewAttachment{AppID: app.ID, DatabaseID: d.ID, Actor: "chef"})
		}))(t)
	}
	if a, b := moved(), moved(); a != 3 || b != 3 {
		t.Errorf("v%d, then v%d", a, b)
	}
	if list := must(db.ListReleases(ctx, pool, ramen.ID, 10))(t); len(list) != 4 || list[0].Description != "Upgrade "+d.Name {
		t.Errorf("%+v", list)
	}
}
