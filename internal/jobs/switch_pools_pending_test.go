package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"changeover/internal/jobs"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5/pgconn"
)

// The program dies, and its guardian with it, while a pause is pending that a
// transaction keeps from being complete. The attempt that follows waits for the
// transaction, and nobody else does.
func TestMeasuredPendingPauseIsTakenBack(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 4)
	h.handOver()
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	h.startWorker(point{"before", "do", "pause_pools"}, syscall.SIGKILL).awaitEnd()
	guardians, err := h.engine.Guardians()
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range guardians {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	held := p.hold()
	from := time.Now()
	p.leavePausePending()
	again := h.startWorker(point{}, 0)
	p.mustWrite("while the transaction is still open")
	gap := p.writers.Between(from, time.Now()).LongestGap
	t.Logf("another client waited for %s", gap.Round(time.Millisecond))
	// It begins to work again within a second, and looks for what nobody runs every two.
	if gap > 3500*time.Millisecond {
		t.Errorf("another client waited for %s", gap)
	}
	if _, err := held.Exec(t.Context(), "commit"); err != nil {
		t.Errorf("the transaction that was in the way: %v", err)
	}
	h.ended(op, nil, platform.OperationCompleted)
	again.kill()
	h.takeBack()
	p.close("after the pause was pending", true)
	h.inOrder("after the pause was pending")
}

// leavePausePending asks for a pause as a program does that dies before it is
// complete.
func (p *pooled) leavePausePending() {
	p.h.t.Helper()
	console, err := pgconn.Connect(p.h.t.Context(), fmt.Sprintf("host=%s port=%d user=changeover_admin dbname=pgbouncer sslmode=disable",
		p.h.engine.Admin(p.h.serverOf(p.h.database(p.attachment.DatabaseID)), "postgres").Host, p.attachment.PoolPort))
	if err != nil {
		p.h.t.Fatal(err)
	}
	defer func() { _ = console.Close(context.Background()) }()
	asked, cancel := context.WithTimeout(p.h.t.Context(), 300*time.Millisecond)
	defer cancel()
	database := p.h.database(p.attachment.DatabaseID).DatabaseName
	if _, err := console.Exec(asked, "PAUSE "+database).ReadAll(); !errors.Is(err, context.DeadlineExceeded) {
		p.h.t.Fatalf("PAUSE %s: %v; want it pending", database, err)
	}
}
