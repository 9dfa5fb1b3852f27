package local_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"changeover/internal/platform/engine"
	"changeover/internal/platform/platformtest"

	"golang.org/x/sys/unix"
)

// Every act of an overtaken attempt is refused, and nothing of it happens.
func TestStaleEpochIsRefused(t *testing.T) {
	p := platformtest.New(t)
	s := p.Leader(t, "standard-0")
	other := s.Server
	if err := p.Fence(t.Context(), 10, s.Server); err != nil {
		t.Fatal(err)
	}
	if err := p.Unfence(t.Context(), 10, s.Server); err != nil {
		t.Fatal(err)
	}
	pid := status(t, p, s).PID
	for name, act := range map[string]func(context.Context, int64) error{
		"Create": func(ctx context.Context, n int64) error { return p.Create(ctx, n, s.Server, s.Credentials) },
		"Copy":   func(ctx context.Context, n int64) error { return p.Copy(ctx, n, s.Server, other, "slot") },
		"Follow": func(ctx context.Context, n int64) error { return p.Follow(ctx, n, s.Server, other, "slot") },
		"Start":  func(ctx context.Context, n int64) error { return p.Start(ctx, n, s.Server) },
		"Stop":   func(ctx context.Context, n int64) error { return p.Stop(ctx, n, s.Server) },
		"Fence":  func(ctx context.Context, n int64) error { return p.Fence(ctx, n, s.Server) },
		"StopForSwitch": func(ctx context.Context, n int64) error {
			_, _, err := p.StopForSwitch(ctx, n, s.Server, "slot")
			return err
		},
		"EndAll":  func(ctx context.Context, n int64) error { return p.EndAll(ctx, n, s.Server) },
		"Kill":    func(ctx context.Context, n int64) error { return p.Kill(ctx, n, s.Server) },
		"Unfence": func(ctx context.Context, n int64) error { return p.Unfence(ctx, n, s.Server) },
		"Promote": func(ctx context.Context, n int64) error { return p.Promote(ctx, n, s.Server) },
		"WithdrawPromotion": func(ctx context.Context, n int64) error {
			_, err := p.WithdrawPromotion(ctx, n, s.Server)
			return err
		},
		"Reconfigure": func(ctx context.Context, n int64) error {
			_, err := p.Reconfigure(ctx, n, s.Server)
			return err
		},
		"Destroy": func(ctx context.Context, n int64) error { return p.Destroy(ctx, n, s.Server) },
	} {
		if err := act(t.Context(), 9); !errors.Is(err, engine.ErrStaleEpoch) {
			t.Errorf("%s of an overtaken attempt: %v, want ErrStaleEpoch", name, err)
		}
	}
	if got := status(t, p, s); got.PID != pid || got.StandbySignal || got.Control.State != engine.InProduction {
		t.Errorf("after the refused acts: %+v", got)
	}
	if err := p.Start(t.Context(), 10, s.Server); err != nil {
		t.Errorf("the same epoch again: %v", err)
	}

	t.Run("overtaken while waiting", func(t *testing.T) { overtakenWhileWaiting(t, p, s) })
	t.Run("reconfigure", func(t *testing.T) { reconfigure(t, p, s) })
	t.Run("kill a frozen server", func(t *testing.T) { killFrozen(t, p, s) })
}

// The lock is held during the effect: an attempt that waits for it, while a
// newer one acts, finds out when it gets it.
func overtakenWhileWaiting(t *testing.T, p *platformtest.Platform, s *platformtest.Server) {
	file, err := os.OpenFile(filepath.Join(filepath.Dir(s.DataDir()), "epoch"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- p.Stop(t.Context(), 11, s.Server) }()
	select {
	case err := <-result:
		t.Fatalf("it acted while another one held the server: %v", err)
	case <-time.After(50 * time.Millisecond): // it has nothing to show for waiting
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Stop(short, 12, s.Server); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a wait past its deadline: %v", err)
	}
	if _, err := file.WriteAt([]byte("00000000000000000012\n"), 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, engine.ErrStaleEpoch) {
		t.Errorf("the overtaken attempt: %v, want ErrStaleEpoch", err)
	}
	if !status(t, p, s).Running {
		t.Error("it was stopped all the same")
	}
}

func reconfigure(t *testing.T, p *platformtest.Platform, s *platformtest.Server) {
	if restart, err := p.Reconfigure(t.Context(), 12, s.Server); err != nil || restart {
		t.Errorf("the same plan: restart %v, %v, want neither", restart, err)
	}
	larger := s.Server
	larger.Plan = platformtest.Plan(t, "standard-4")
	for range 2 { // until the restart it says the same
		if restart, err := p.Reconfigure(t.Context(), 12, larger); err != nil || !restart {
			t.Errorf("a larger plan: restart %v, %v, want true", restart, err)
		}
	}
	if err := p.Stop(t.Context(), 12, larger); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context(), 12, larger); err != nil {
		t.Fatal(err)
	}
	if restart, err := p.Reconfigure(t.Context(), 12, larger); err != nil || restart {
		t.Errorf("after the restart: restart %v, %v, want neither", restart, err)
	}
	if got := platformtest.Query(t, s.ConnectAdmin(t), "select current_setting('shared_buffers') || ' ' || current_setting('superuser_reserved_connections')"); got != "120MB 40" {
		t.Errorf("standard-4 runs with %s, want 120MB 40", got)
	}
}

// A sick leader, its postmaster frozen, still has writers.
func killFrozen(t *testing.T, p *platformtest.Platform, s *platformtest.Server) {
	writer := s.Connect(t)
	exec(t, writer, "create table written (id int)")
	signal(t, status(t, p, s).PID, syscall.SIGSTOP)
	exec(t, writer, "insert into written values (1)")
	if err := p.EndAll(t.Context(), 12, s.Server); err == nil {
		t.Error("EndAll took a server that was not shut down")
	}
	begin := time.Now()
	if err := p.Kill(t.Context(), 12, s.Server); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed in %s", time.Since(begin))
	if pids := s.Pids(t); len(pids) != 0 {
		t.Errorf("processes are left: %v", pids)
	}
	if _, err := writer.Exec(t.Context(), "insert into written values (2)"); err == nil {
		t.Error("a writer outlived the kill")
	}
	if _, _, err := p.StopForSwitch(t.Context(), 12, s.Server, "slot"); err == nil {
		t.Error("a killed server counts as shut down")
	}
	if err := p.Start(t.Context(), 12, s.Server); err != nil {
		t.Fatal(err)
	}
	if got := platformtest.Query(t, s.Connect(t), "select pg_is_in_recovery()::text || count(*) from written"); got != "true1" {
		t.Errorf("after the kill: %s, want in recovery with the one row", got)
	}
}
