package local_test

import (
	"testing"

	"changeover/internal/platform/platformtest"

	"golang.org/x/sys/unix"
)

// A pool takes all the clients that it promises although the program was started
// from a shell that allows each process fewer open files, as most do.
func TestPoolTakesAllItsClients(t *testing.T) {
	p := platformtest.New(t)
	leader := p.Leader(t, "standard-0")
	pl := poolOf(t, p, leader)
	pl.Clients = 300
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 256
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	err := p.StartPool(t.Context(), platformtest.Epoch, pl)
	if back := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || back != nil {
		t.Fatal(err, back)
	}
	before, err := p.PoolProcesses(pl.ID)
	if err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}
	for n := range pl.Clients {
		if _, err := through(t, p, pl, leader.Password); err != nil {
			t.Fatalf("client %d of %d: %v", n+1, pl.Clients, err)
		}
	}
	if use, err := p.UsePool(t.Context(), pl); err != nil || use.ClientsActive != pl.Clients {
		t.Errorf("the console counts %d clients, %v; want all %d", use.ClientsActive, err, pl.Clients)
	}
	if err := p.StartPool(t.Context(), platformtest.Epoch, pl); err != nil { // as every two seconds
		t.Error(err)
	}
	if now, err := p.PoolProcesses(pl.ID); err != nil || len(now) != 1 || now[0] != before[0] {
		t.Errorf("the pool was started again: %v, then %v (%v)", before, now, err)
	}
}
