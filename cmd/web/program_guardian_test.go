package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMeasuredPooledClientsOutliveTheProgram kills the real program, parent and
// worker, in the middle of a switch whose candidate replays nothing: the old
// leader is fenced, the clients of the pool are held, and nobody is left but the
// guardian. The state directory is given relative to a directory that the
// guardian does not stand in.
func TestMeasuredPooledClientsOutliveTheProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("Starting the real program takes seconds; it is left out with -short.")
	}
	p := runProgram(t, func(p *running) {
		p.dir = filepath.Dir(p.home)
		p.env = append(p.env, "CHANGEOVER_HOME="+filepath.Base(p.home))
	})
	token := p.run("token", "-email", firstAdmin)
	p.api(token, "/databases", "app=sushi&plan=standard-0")
	leader := p.names(token)[0]
	p.until(token, leader, "ready", func(d databaseJSON) bool { return d.State == "available" && d.Operation == nil && d.ForkReady })
	p.api(token, "/databases/"+leader+"/followers", "app=sushi&plan=standard-0")
	follower := ""
	for _, name := range p.names(token) {
		if name != leader {
			follower = name
		}
	}
	p.until(token, follower, "readable", func(d databaseJSON) bool { return d.Readable && d.Operation == nil })
	p.api(token, "/databases/"+leader+"/attachments", "app=sushi&way=pool")
	pool, err := p.configVar(token, "sushi", "DATABASE_CONNECTION_POOL_URL")
	if err != nil || pool == "" {
		t.Fatalf("no connection pool: %v", err)
	}
	w := startWriter(t, pool)
	await(t, 10*time.Second, "writes", func() bool { return w.count() > 20 })

	p.api(token, "/databases/"+leader+"/changeover", url.Values{"follower": {follower}, "confirm_jobs": {"true"}}.Encode())
	// Frozen as soon as the guardian is there, which is right before the pause.
	await(t, 30*time.Second, "a guardian", func() bool { return len(processesIn(filepath.Join(p.home, "guardian"), "")) == 1 })
	replays := processesIn(p.home, "startup recovering")
	if len(replays) != 1 {
		t.Fatalf("%d processes replay", len(replays))
	}
	if err := syscall.Kill(replays[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(replays[0], syscall.SIGCONT) })
	last := w.count()
	await(t, 20*time.Second, "the clients are held", func() bool {
		now := w.count()
		held := now == last
		last = now
		time.Sleep(200 * time.Millisecond)
		return held
	})
	worker := p.workerPID()
	for _, pid := range []int{p.cmd.Process.Pid, worker} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	killed := time.Now()
	_ = p.cmd.Wait()
	held := w.count()
	await(t, 10*time.Second, "the clients go on", func() bool { return w.count() > held+5 })
	took := time.Since(killed)
	t.Logf("the clients went on %s after the kill", took.Round(time.Millisecond))
	if took > 3*time.Second {
		t.Errorf("the clients went on %s after the kill, want 3 s", took)
	}
	await(t, 5*time.Second, "no guardian is left", func() bool { return len(processesIn(filepath.Join(p.home, "guardian"), "")) == 0 })
	if err := syscall.Kill(replays[0], syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.start()
	await(t, 60*time.Second, "the changeover is completed", func() bool {
		var d databaseJSON
		p.read(token, "/databases/"+follower, &d)
		return d.Operation == nil && d.State == "available"
	})
	before := w.count()
	await(t, 10*time.Second, "writes", func() bool { return w.count() > before+20 })
	w.stop()
	w.ended.Wait()
	if len(w.errs) > 0 {
		t.Errorf("the writer saw %v", w.errs)
	}
}

// processesIn are the processes that work in a directory or below it, and whose
// title holds the words.
func processesIn(dir, words string) (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if at, err := os.Readlink(link); err != nil || at != dir && !strings.HasPrefix(at, dir+"/") {
			continue
		}
		title, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(filepath.Dir(link)), "%d", &pid); err == nil && strings.Contains(string(title), words) {
			pids = append(pids, pid)
		}
	}
	return pids
}
