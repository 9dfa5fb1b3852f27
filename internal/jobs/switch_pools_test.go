package jobs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changeover/bench/ledger"
	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// pooled gives the house's app a connection pool and writers behind it.
type pooled struct {
	h          *house
	attachment platform.Attachment
	url        string
	writers    *ledger.Writers
}

func (h *house) pooled(leader platform.Database, writers int) *pooled {
	h.t.Helper()
	if version, _ := h.engine.Pooler(); version == "" {
		h.t.Skip("PgBouncer is not installed, so no pool can be tried")
	}
	made, err := h.jobs.AttachPool(h.t.Context(), actor, h.app.ID, leader.ID, "")
	if err != nil {
		h.t.Fatal(err)
	}
	p := &pooled{h: h, attachment: made}
	p.url = p.configVar()
	if err := ledger.Setup(h.t.Context(), p.url); err != nil {
		h.t.Fatal(err)
	}
	p.writers = ledger.Start(context.WithoutCancel(h.t.Context()), ledger.Fixed(p.url), writers, ledger.Options{Pace: 2 * time.Millisecond, Pooled: true, AllSynchronous: h.durable})
	p.mustWrite("before")
	return p
}

// configVar is the pool's URL as the app sees it now.
func (p *pooled) configVar() string {
	p.h.t.Helper()
	v, err := db.ConfigVar(p.h.t.Context(), p.h.pool, p.h.sealer, p.h.engine.Host(), p.h.app.ID, p.attachment.ConfigVarName())
	if err != nil {
		p.h.t.Fatal(err)
	}
	return v.Value
}

func (p *pooled) mustWrite(when string) {
	p.h.t.Helper()
	ctx, cancel := context.WithTimeout(p.h.t.Context(), 20*time.Second)
	defer cancel()
	if err := p.writers.WaitForCommits(ctx, 3); err != nil {
		p.h.t.Fatalf("%s: %v", when, err)
	}
}

// close fails the test unless the ledger balances behind the pool and, where
// unnoticed is set, no client noticed anything but a wait.
func (p *pooled) close(when string, unnoticed bool) ledger.Report {
	p.h.t.Helper()
	p.mustWrite(when)
	report := p.writers.Stop()
	audit, err := p.writers.Verify(p.h.t.Context(), p.url)
	if err != nil {
		p.h.t.Fatal(err)
	}
	if !audit.Sound() || report.Failed > 0 {
		p.h.t.Fatalf("%s: the ledger is not sound: %+v\n%d failed: %q", when, audit, report.Failed, report.Errors)
	}
	if unnoticed && report.Refused > 0 {
		log, _ := os.ReadFile(filepath.Join(p.h.engine.Home, "pools", fmt.Sprint(*p.attachment.PoolID), "server.log"))
		p.h.t.Logf("%s", log)
	}
	if broken := report.Refused + report.Interrupted + report.Unknown; unnoticed && broken > 0 {
		p.h.t.Fatalf("%s: clients of the pool noticed it: %d refused, %d interrupted, %d unknown: %q", when, report.Refused, report.Interrupted, report.Unknown, report.Refusals)
	}
	if now := p.configVar(); now != p.url {
		p.h.t.Errorf("%s: the pool's URL has changed", when)
	}
	p.h.t.Logf("%s: %d commits, longest gap of a client %s", when, report.Acked, report.LongestGap.Round(time.Millisecond))
	return report
}

// hold begins a transaction through the pool and leaves it open.
func (p *pooled) hold() *pgx.Conn {
	p.h.t.Helper()
	conn, err := pgx.Connect(p.h.t.Context(), p.url+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		p.h.t.Fatal(err)
	}
	p.h.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(p.h.t.Context(), "begin; select 1"); err != nil {
		p.h.t.Fatal(err)
	}
	return conn
}

// leads is the port of the server that the pool leads to.
func (p *pooled) leads() int {
	p.h.t.Helper()
	var port int
	conn, err := pgx.Connect(p.h.t.Context(), p.url+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		p.h.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(p.h.t.Context(), "select current_setting('port')::int").Scan(&port); err != nil {
		p.h.t.Fatal(err)
	}
	return port
}

// Everything that a client behind a pool sees of a changeover, an upgrade and a
// switch back is a wait.
func TestMeasuredPooledClientsNoticeNothing(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-2")
	p := h.pooled(leader, 8)
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	op = h.ended(op, err, platform.OperationCompleted)
	t.Logf("\n%s", h.timeline(op))
	facts, err := db.ChangeoverOf(t.Context(), h.pool, op.ID)
	if err != nil || facts.HeldMS == nil || *facts.HeldMS <= 0 {
		t.Fatalf("%v: held %v ms", err, facts.HeldMS)
	}
	p.mustWrite("after the changeover")
	if got := p.leads(); got != h.serverOf(follower).Port {
		t.Fatalf("the pool leads to port %d, want the new leader's %d", got, h.serverOf(follower).Port)
	}

	op, err = h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: follower.ID, Plan: "standard-0", When: jobs.UpgradeAtOnce})
	op = h.ended(op, err, platform.OperationCompleted)
	t.Logf("\n%s", h.timeline(op))
	p.mustWrite("after the upgrade")
	op, err = h.jobs.StartSwitchBack(t.Context(), actor, follower.ID)
	h.ended(op, err, platform.OperationCompleted)
	report := p.close("three switches", true)
	if report.LongestGap > 5*time.Second {
		t.Errorf("a client waited for %s", report.LongestGap)
	}
	h.inOrder("after three switches")
}

// A transaction that stays open through the pool makes the switch wait, and
// nobody else.
func TestMeasuredLongPooledTransactionMakesTheSwitchWait(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-2")
	p := h.pooled(leader, 4)
	ctx := t.Context()
	held := p.hold()
	time.Sleep(300 * time.Millisecond) // older than what a pause would wait for
	op, err := h.jobs.StartChangeover(ctx, actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it waits for the transaction, and says so", func() bool {
		steps, err := db.OperationSteps(ctx, h.pool, op.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s.Name == "wait_for_pools" && s.State == platform.StepRunning && strings.Contains(s.Detail, "1 transaction through the connection pool") {
				return true
			}
		}
		return false
	})
	time.Sleep(time.Second)
	if got := p.writers.Between(time.Now().Add(-time.Second), time.Now()); got.LongestGap > time.Second {
		t.Errorf("another client waited for %s", got.LongestGap)
	}
	if _, err := held.Exec(ctx, "commit"); err != nil {
		t.Fatal(err)
	}
	h.ended(op, nil, platform.OperationCompleted)
	p.close("after the changeover", true)
	h.inOrder("after the changeover")
}

// One that begins in the last moment makes the switch try again in vain until its
// deadline, and everything is put back; nobody else waits for long meanwhile.
func TestMeasuredPooledTransactionThatNeverEndsPutsTheSwitchBack(t *testing.T) {
	h := newHouse(t, withDeadline(4*time.Second))
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-2")
	p := h.pooled(leader, 4)
	var held *pgx.Conn
	h.setHook(func(when, what, name string) error {
		if held == nil && when == "before" && what == "do" && name == "pause_pools" {
			held = p.hold()
		}
		return nil
	})
	from := time.Now()
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	op = h.ended(op, err, platform.OperationUndone)
	h.setHook(nil)
	if !strings.Contains(op.Reason, "transaction") || !strings.Contains(op.Reason, "connection pool") {
		t.Errorf("put back because: %s", op.Reason)
	}
	if got := p.writers.Between(from, time.Now()); got.LongestGap > time.Second {
		t.Errorf("another client waited for %s", got.LongestGap)
	}
	if _, err := held.Exec(t.Context(), "commit"); err != nil {
		t.Errorf("the transaction was broken: %v", err)
	}
	if got := p.leads(); got != h.serverOf(leader).Port {
		t.Errorf("the pool leads to port %d, want the leader's %d", got, h.serverOf(leader).Port)
	}
	p.close("put back", true)
	h.inOrder("after it was put back")
}
