// Package guardian is a process that watches another one and acts when that is
// gone: both ends of it, and no more. What it does then is its caller's to say.
// It must not import anything else of ours.
package guardian

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// beatEvery is how often the watched program says that it lives.
	beatEvery = 200 * time.Millisecond
	// tickEvery and patience: after so many ticks without a beat the program counts
	// as gone. Ticks are counted, not time: a machine that was asleep wakes to one.
	tickEvery = 100 * time.Millisecond
	patience  = 18
	// secondLook is for how many ticks more it is listened to before it is ended.
	secondLook = 3
	// logLimit is where the log begins anew.
	logLimit = 1 << 20
)

// LogFile is where a guardian's own words go, in the directory it stands in.
const LogFile = "guardian.log"

// Command is the argument by which a guardian's process is known, beside the
// directory it stands in.
const Command = "guard-pools"

// ErrEnded is a guardian that has ended, and so watches nothing.
var ErrEnded = errors.New("the guardian has ended")

const dismissed = 'x'

// watchedVariable tells a guardian the process that it watches.
const watchedVariable = "CHANGEOVER_GUARDED_PROCESS"

// Guardian is a running guardian as the program sees it that it watches.
type Guardian struct {
	beat    *os.File
	ready   chan struct{} // closed when it has said that it watches, or cannot any more
	watches bool          // which of the two; read once ready is closed
	ended   chan struct{} // its process was reaped

	mu   sync.Mutex // guards gone
	gone bool
	stop chan struct{} // closed with gone
}

// Start starts a program as a guardian that is told brief, one line. It stands in
// dir, by which and by Command it is known, in a session of its own: what ends
// this program does not end it. Its environment is env.
func Start(program string, env []string, dir string, brief []byte) (*Guardian, error) {
	path := filepath.Join(dir, LogFile)
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		if err := os.Truncate(path, 0); err != nil {
			return nil, err
		}
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	read, beat, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	readyRead, readyWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, beat.Close())
	}
	cmd := exec.Command(program, Command)
	cmd.Args[0] = os.Args[0] // as this program calls itself, from wherever its file was taken
	cmd.Env, cmd.Dir = append(env[:len(env):len(env)], watchedVariable+"="+strconv.Itoa(os.Getpid())), dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = read, log, log, []*os.File{readyWrite}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = readyWrite.Close() // the guardian's end is what counts
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start of a guardian: %w", err), beat.Close(), readyRead.Close())
	}
	g := &Guardian{beat: beat, ready: make(chan struct{}), ended: make(chan struct{}), stop: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // reaped; how it ended is in its log
		close(g.ended)
	}()
	go func() {
		n, _ := readyRead.Read(make([]byte, 1)) // a byte says ready, the end that it is gone
		g.watches = n == 1
		_ = readyRead.Close()
		close(g.ready)
	}()
	// Not more than a pipe holds, so that it does not wait for the other end.
	if _, err := beat.Write(append(brief, '\n')); err != nil {
		g.end(0)
		return nil, fmt.Errorf("a guardian takes no brief: %w", err)
	}
	go g.beatOn()
	return g, nil
}

func (g *Guardian) beatOn() {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-g.stop:
			return
		case <-tick.C:
		}
		g.mu.Lock()
		if !g.gone {
			_, _ = g.beat.Write([]byte{'.'}) // one that died cannot be told
		}
		g.mu.Unlock()
	}
}

// Ready is nil when the guardian has understood its brief and watches, ErrEnded
// when it has ended, and another error when ctx has.
func (g *Guardian) Ready(ctx context.Context) error {
	select {
	case <-g.ended:
		return ErrEnded
	case <-g.ready:
	default:
		select {
		case <-g.ready:
		case <-ctx.Done():
			return fmt.Errorf("the guardian is not ready: %w", ctx.Err())
		}
	}
	select {
	case <-g.ended:
		return ErrEnded
	default:
	}
	if !g.watches {
		return ErrEnded
	}
	return nil
}

// Dismiss ends the guardian: there is nothing left to guard.
func (g *Guardian) Dismiss() { g.end(dismissed) }

// Abandon leaves the guardian to itself, as the end of this program would.
func (g *Guardian) Abandon() { g.end(0) }

func (g *Guardian) end(word byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return
	}
	g.gone = true
	close(g.stop)
	if word != 0 {
		_, _ = g.beat.Write([]byte{word})
	}
	_ = g.beat.Close()
}

// Watch is the guardian's own side.
type Watch struct {
	Brief     []byte
	beats     atomic.Uint64 // words that came; counted, so that nobody has to wait for a reader
	heard     uint64        // so many of them were noticed
	dismissal chan struct{} // closed when the program has dismissed its guardian
	watched   *os.Process   // nil: it is gone already
	closed    atomic.Bool   // its end of the pipe: it is gone, or has left its guardian to itself
}

// Begin reads the brief from in and says that it is there on the descriptor 3.
func Begin(in io.Reader) (*Watch, error) {
	// Inherited descriptors stay open in what is started from here.
	syscall.CloseOnExec(3)
	text := bufio.NewReader(in)
	brief, err := text.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("there is no brief: %w", err)
	}
	w := &Watch{Brief: brief, dismissal: make(chan struct{})}
	if pid := os.Getppid(); strconv.Itoa(pid) == os.Getenv(watchedVariable) {
		w.watched, _ = os.FindProcess(pid) // by a handle where there are such, so that it is no other one later
	}
	go func() {
		for {
			b, err := text.ReadByte()
			if err != nil {
				w.closed.Store(true)
				return
			}
			w.beats.Add(1)
			if b == dismissed {
				close(w.dismissal)
				return
			}
		}
	}()
	return w, nil
}

// Ready tells the watched program that it is watched.
func (w *Watch) Ready() {
	ready := os.NewFile(3, "ready")
	_, _ = ready.Write([]byte{'r'}) // who is not there any more need not know
	_ = ready.Close()
}

// EndFrozen ends the watched program with SIGKILL where it is there and says
// nothing since it was found Abandoned, also not in secondLook. One that has woken,
// is gone or has left its guardian to itself is left alone.
func (w *Watch) EndFrozen(ctx context.Context) bool {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for range secondLook { // a machine that was asleep lets the guardian wake before the program, too
		if w.watched == nil || w.speaks() {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return !w.speaks() && w.watched.Kill() == nil
}

// speaks tells that a word came since the last that was heard, or the end.
func (w *Watch) speaks() bool { return w.closed.Load() || w.beats.Load() != w.heard }

// Abandoned returns true when the watched program has been silent for too long,
// and false when it dismisses its guardian, or ctx ends.
func (w *Watch) Abandoned(ctx context.Context) bool {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for silent := 0; silent < patience; {
		select {
		case <-ctx.Done():
			return false
		case <-w.dismissal:
			return false
		case <-tick.C:
			if n := w.beats.Load(); n != w.heard {
				w.heard, silent = n, 0
			}
			silent++
		}
	}
	select {
	case <-w.dismissal: // together with the last tick
		return false
	default:
		return true
	}
}
