package db_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func startOn(t *testing.T, pool *pgxpool.Pool, databaseID int64, targetID *int64) (platform.Operation, error) {
	t.Helper()
	return inTx(t, pool, func(tx pgx.Tx) (platform.Operation, error) {
		return db.InsertOperation(t.Context(), tx, db.NewOperation{
			Kind: platform.FollowerChangeover, DatabaseID: databaseID, TargetID: targetID, RequestedBy: "chef", StepNames: []string{"one", "two", "three"},
		})
	})
}

func end(t *testing.T, pool *pgxpool.Pool, op platform.Operation, state platform.OperationState) {
	t.Helper()
	noError(t, db.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		return db.UpdateOperation(t.Context(), tx, op, db.OperationChange{State: state})
	}))
}

// An operation claims every database that it touches, and the second one is
// told which one is in its way.
func TestOneOpenOperationADatabase(t *testing.T) {
	pool := dbtest.New(t)
	app := dbtest.App(t, pool, "sushi")
	leader := dbtest.Database(t, pool, app.ID, 20000)
	f := dbtest.Follower(t, pool, leader, app.ID, 20001)
	first := must(startOn(t, pool, leader.ID, &f.ID))(t)
	for _, id := range []int64{leader.ID, f.ID} {
		_, err := startOn(t, pool, id, nil)
		wantSentence(t, err, platform.KindConflict, "", "Follower changeover of ")
		var e *platform.Error
		if errors.As(err, &e); e.Link != fmt.Sprintf("/operations/%d", first.ID) {
			t.Errorf("the link is %q", e.Link)
		}
	}
	end(t, pool, first, platform.OperationCompleted)

	// Of many at once exactly one starts, whichever of the two it names first.
	var running sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		running.Go(func() {
			a, b := leader.ID, f.ID
			if i%2 == 0 {
				a, b = b, a
			}
			_, errs[i] = startOn(t, pool, a, &b)
		})
	}
	running.Wait()
	started := 0
	for _, err := range errs {
		if err == nil {
			started++
			continue
		}
		wantSentence(t, err, platform.KindConflict, "", "")
	}
	if started != 1 {
		t.Errorf("%d of %d started: %v", started, len(errs), errs)
	}
}

func TestEpochsOvertake(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	d := dbtest.Database(t, pool, dbtest.App(t, pool, "sushi").ID, 20000)
	op := must(startOn(t, pool, d.ID, nil))(t)
	lock := func(epoch int64) error {
		_, err := inTx(t, pool, func(tx pgx.Tx) (platform.Operation, error) { return db.LockEpoch(ctx, tx, op.ID, epoch) })
		return err
	}
	first := must(db.BeginAttempt(ctx, pool, op.ID))(t)
	noError(t, lock(first.Epoch))
	second := must(db.BeginAttempt(ctx, pool, op.ID))(t)
	if second.Epoch <= first.Epoch || !second.StartedAt.Equal(*first.StartedAt) {
		t.Errorf("attempts %+v, %+v", first, second)
	}
	if guardian := db.GuardianEpoch(first.Epoch); guardian <= first.Epoch || guardian >= second.Epoch {
		t.Errorf("the guardian of %d has epoch %d, and the next attempt %d", first.Epoch, guardian, second.Epoch)
	}
	if err := lock(first.Epoch); !errors.Is(err, db.ErrOvertaken) {
		t.Errorf("the overtaken attempt got %v", err)
	}
	noError(t, lock(second.Epoch))
	end(t, pool, second, platform.OperationCompleted)
	if err := lock(second.Epoch); !errors.Is(err, db.ErrOvertaken) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := db.BeginAttempt(ctx, pool, op.ID); !errors.Is(err, db.ErrOvertaken) {
		t.Errorf("after the end: %v", err)
	}
	if e := must(db.NextEpoch(ctx, pool))(t); e <= second.Epoch {
		t.Errorf("epoch %d after %d", e, second.Epoch)
	}
}

func TestCancelAndRetry(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	d := dbtest.Database(t, pool, dbtest.App(t, pool, "sushi").ID, 20000)
	op := must(startOn(t, pool, d.ID, nil))(t)
	cancel := func() error {
		return db.InTx(ctx, pool, func(tx pgx.Tx) error { return db.RequestCancel(ctx, tx, op.ID, "waiter") })
	}
	reopen := func() (platform.Operation, error) {
		return inTx(t, pool, func(tx pgx.Tx) (platform.Operation, error) { return db.ReopenOperation(ctx, tx, op.ID) })
	}
	for range 2 {
		noError(t, cancel())
	}
	if who := must(db.CancelRequested(ctx, pool, op.ID))(t); who != "waiter" {
		t.Errorf("cancelled by %q", who)
	}
	_, err := reopen()
	wantSentence(t, err, platform.KindConflict, "", "Only an operation that was put back")
	now := time.Now()
	noError(t, db.InTx(ctx, pool, func(tx pgx.Tx) error {
		for position, state := range []platform.StepState{platform.StepKept, platform.StepUndone} {
			if err := db.UpdateStep(ctx, tx, platform.OperationStep{OperationID: op.ID, Position: position, State: state, Detail: "3 MB", StartedAt: &now, FinishedAt: &now}); err != nil {
				return err
			}
		}
		return nil
	}))
	end(t, pool, op, platform.OperationUndone)
	wantSentence(t, cancel(), platform.KindConflict, "", "has ended")
	if list := must(db.OpenOperations(ctx, pool))(t); len(list) != 0 {
		t.Errorf("open: %+v", list)
	}

	again := must(reopen())(t)
	if again.State != platform.OperationRunning || again.Attempt != 2 || again.CancelRequestedBy != "" || again.EndedAt != nil {
		t.Errorf("again %+v", again)
	}
	steps := must(db.OperationSteps(ctx, pool, op.ID))(t)
	if len(steps) != 3 || steps[0].State != platform.StepKept || steps[1].State != platform.StepPending || steps[1].StartedAt != nil || steps[2].Name != "three" {
		t.Errorf("steps %+v", steps)
	}
	_, err = startOn(t, pool, d.ID, nil)
	wantSentence(t, err, platform.KindConflict, "", "is running")
	noError(t, db.InTx(ctx, pool, func(tx pgx.Tx) error {
		return db.UpdateOperation(ctx, tx, again, db.OperationChange{NoReturnAt: &now})
	}))
	wantSentence(t, cancel(), platform.KindConflict, "", "point of no return was passed")
	if list := must(db.OperationsOf(ctx, pool, d.ID, 10))(t); len(list) != 1 || list[0].NoReturnAt == nil {
		t.Errorf("of the database: %+v", list)
	}
	_, err = db.OperationByID(ctx, pool, 99)
	wantSentence(t, err, platform.KindNotFound, "", "no operation 99")
}

func TestServersToRun(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	free, held := dbtest.Database(t, pool, app.ID, 20000), dbtest.Database(t, pool, app.ID, 20001)
	stopped := dbtest.Database(t, pool, app.ID, 20002)
	noError(t, db.SetServerState(ctx, pool, *stopped.ServerID, platform.ServerStopped))
	op := must(startOn(t, pool, held.ID, nil))(t)
	op = must(db.BeginAttempt(ctx, pool, op.ID))(t)
	list := must(db.ServersToRun(ctx, pool))(t)
	if len(list) != 2 || list[0].ID != *free.ServerID || list[0].ClaimEpoch != nil || list[1].ID != *held.ServerID || *list[1].ClaimEpoch != op.Epoch {
		t.Errorf("to run %+v", list)
	}
}

func TestChangeoverFacts(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	d := dbtest.Database(t, pool, dbtest.App(t, pool, "sushi").ID, 20000)
	op := must(startOn(t, pool, d.ID, nil))(t)
	_, err := db.ChangeoverOf(ctx, pool, op.ID)
	wantSentence(t, err, platform.KindNotFound, "", "is not a switch")
	in := func(fn func(tx pgx.Tx) error) { t.Helper(); noError(t, db.InTx(ctx, pool, fn)) }
	now := func() db.Changeover { return must(db.ChangeoverOf(ctx, pool, op.ID))(t) }
	in(func(tx pgx.Tx) error { return db.InsertChangeover(ctx, tx, op.ID, true, true) })
	if c := now(); !c.NewFollower || !c.ConfirmedJobs || c.SavedFormation != nil || c.MaintenanceWasOn != nil {
		t.Errorf("asked for %+v", c)
	}
	was := []platform.Process{{Type: "web", Quantity: 2}}
	in(func(tx pgx.Tx) error { return db.SaveFormation(ctx, tx, op.ID, was) })
	in(func(tx pgx.Tx) error { return db.SaveFormation(ctx, tx, op.ID, []platform.Process{{Type: "web"}}) })
	in(func(tx pgx.Tx) error { return db.SaveMaintenance(ctx, tx, op.ID, false) })
	in(func(tx pgx.Tx) error { return db.SaveMaintenance(ctx, tx, op.ID, true) })
	if c := now(); !same(c.SavedFormation, was) || *c.MaintenanceWasOn {
		t.Errorf("a second run overwrote what was saved: %+v", c)
	}
	lsn, outage, release := platform.LSN(0x16_0000_0028), 123.456, 7
	in(func(tx pgx.Tx) error {
		return db.SaveSwitch(ctx, tx, db.Changeover{OperationID: op.ID, ShutdownLSN: &lsn, OutageMS: &outage})
	})
	in(func(tx pgx.Tx) error {
		return db.SaveSwitch(ctx, tx, db.Changeover{OperationID: op.ID, ForkLSN: &lsn, ReleaseNumber: &release})
	})
	if c := now(); *c.ShutdownLSN != lsn || *c.ForkLSN != lsn || *c.OutageMS != outage || *c.ReleaseNumber != release || c.OldEndLSN != nil {
		t.Errorf("learned %+v", c)
	}
	in(func(tx pgx.Tx) error { return db.ForgetSwitch(ctx, tx, op.ID) })
	if c := now(); c.ShutdownLSN != nil || c.SavedFormation != nil {
		t.Errorf("not forgotten: %+v", c)
	}
}
