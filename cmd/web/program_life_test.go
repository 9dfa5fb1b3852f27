package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/supervise"
)

// await polls what cannot announce itself: another process.
func await(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, limit)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func answers(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// workerPID is the process that holds the state directory's lock.
func (p *running) workerPID() int {
	text, err := os.ReadFile(filepath.Join(p.home, "lock"))
	if err != nil {
		p.t.Fatal(err)
	}
	pid, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.Atoi(pid)
	if err != nil {
		p.t.Fatalf("the lock holds %q", text)
	}
	return n
}

// TestMeasuredProgramsLife is the program as processes: killed, frozen, started twice,
// its control database killed, stopped and started again.
func TestMeasuredProgramsLife(t *testing.T) {
	if testing.Short() {
		t.Skip("Starting the real program takes seconds; it is left out with -short.")
	}
	p := runProgram(t)
	// A fixed port from now on: each worker would get another one otherwise.
	p.stop()
	address := strings.TrimPrefix(p.url, "http://")
	p.env = append(p.env, "CHANGEOVER_ADDR="+address)
	p.start()
	await(t, 30*time.Second, "ready", func() bool { return answers(p.url + "/readyz") })

	t.Run("kill -9 of the worker", func(t *testing.T) {
		pid := p.workerPID()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		await(t, 10*time.Second, "another worker", func() bool { return answers(p.url+"/healthz") && p.workerPID() != pid })
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it answered again after %s", took)
		}
		await(t, 10*time.Second, "ready", func() bool { return answers(p.url + "/readyz") })
	})
	t.Run("a second program on the same directory", func(t *testing.T) {
		cmd := exec.Command(p.bin)
		cmd.Env = append(p.env, "CHANGEOVER_ADDR=127.0.0.1:0")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "already runs on "+p.home) || !strings.Contains(stderr.String(), address) {
			t.Errorf("%v\n%s", err, stderr.String())
		}
		if got, err := supervise.PID(p.home); err != nil || got != p.cmd.Process.Pid {
			t.Errorf("the supervisor's pid file holds %d (%v), want %d", got, err, p.cmd.Process.Pid)
		}
	})
	t.Run("the control database is killed", func(t *testing.T) {
		text, err := os.ReadFile(filepath.Join(p.home, "control", "data", "postmaster.pid"))
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		pid, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		worker := p.workerPID()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await(t, 30*time.Second, "the control database is back", func() bool {
			again, err := os.ReadFile(filepath.Join(p.home, "control", "data", "postmaster.pid"))
			return err == nil && !strings.HasPrefix(string(again), line+"\n") && answers(p.url+"/readyz")
		})
		if p.workerPID() != worker {
			t.Error("the worker was restarted; it should have gone on")
		}
	})
	t.Run("kill -9 of the supervisor", func(t *testing.T) {
		worker := p.workerPID()
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.cmd.Wait()
		// At once: the worker may still be there, and is waited for. That
		// another one gets the lock is the proof that it ended.
		p.start()
		await(t, 30*time.Second, "ready", func() bool { return answers(p.url+"/readyz") && p.workerPID() != worker })
	})
	t.Run("stop and start again", func(t *testing.T) {
		v := newVisit(t, p.url)
		p.env = append(p.env, "CHANGEOVER_ADDR=") // the command finds out where the program runs
		link := p.run("sign-in-link")
		if !strings.HasPrefix(link, p.url+"/sign-in/") {
			t.Fatalf("the link is %s, the program runs at %s", link, p.url)
		}
		v.get(strings.TrimPrefix(link, p.url))
		v.submit(strings.TrimPrefix(link, p.url), "password", testPassword, "password_again", testPassword)
		v.want(200, "/databases")
		token := p.run("token", "-email", "program@example.com")
		if strings.ContainsAny(token, " \n") || len(token) < 40 {
			t.Errorf("the token command printed %q", token)
		}
		out := p.run("stop-all")
		if !strings.Contains(out, "are stopped") {
			t.Errorf("stop-all printed %q", out)
		}
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the program ended with %v", err)
		}
		p.cmd = nil
		if _, err := os.Stat(filepath.Join(p.home, "control", "data", "postmaster.pid")); err == nil {
			t.Error("the control database still runs after stop-all")
		}
		for what, log := range map[string]string{"the log": p.logs.String(), "the output": p.out.String()} {
			if strings.Contains(log, token) || strings.Contains(log, testPassword) {
				t.Errorf("%s holds a secret", what)
			}
		}
	})
}

// TestBadSettingEndsTheProgram: a sentence and exit status 2, which a service
// manager does not answer with a restart.
func TestBadSettingEndsTheProgram(t *testing.T) {
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin)
	cmd.Env = append(os.Environ(), "CHANGEOVER_HOME="+t.TempDir(), "CHANGEOVER_ADDR=nonsense")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.HasPrefix(stderr.String(), "changeover: CHANGEOVER_ADDR: ") {
		t.Errorf("%v\n%s", err, stderr.String())
	}
}
