package postgres

import (
	"context"
	"errors"
	"sync"
	"time"
)

// probeApplication is the probe's application_name: it is left out of what a
// switch is said to have ended.
const probeApplication = "changeover probe"

// Outage is what the probe saw of a switch.
type Outage struct {
	// RefusedAt is when the first refused or held write began, AcceptedAt when
	// the first accepted one after it was acknowledged. Both are zero when no
	// write was refused or held; AcceptedAt alone when none was accepted since.
	RefusedAt, AcceptedAt time.Time
	// Attempts and Refused count the writes that the probe tried.
	Attempts, Refused int
	// LastError is why the last refused write was refused.
	LastError error
}

// Duration is how long the outage lasted; 0 while it has no end.
func (o Outage) Duration() time.Duration {
	if o.RefusedAt.IsZero() || o.AcceptedAt.IsZero() {
		return 0
	}
	return o.AcceptedAt.Sub(o.RefusedAt)
}

// Probe writes through an app's own URL, again and again, to measure an outage
// from the first refused or held write to the first accepted one (safety 2).
// A write is a transaction that takes an id and changes nothing, so that no
// table of ours is needed. Its methods may be called from any goroutine.
type Probe struct {
	period   time.Duration // pause between two writes
	deadline time.Duration // of one write
	heldFor  time.Duration // an accepted write that took longer was held
	dial     dialWriter

	mu       sync.Mutex
	url      string
	prepared map[string]writer
	abort    context.CancelFunc // ends the write under way
	log      outageLog
	accepted chan struct{} // closed and replaced at each accepted write
	wake     chan struct{} // a new target is tried at once
	stop     context.CancelFunc
	done     chan struct{}
}

// writer is one connection that can be asked to take a write.
type writer interface {
	write(ctx context.Context) error
	broken() bool
	close()
}

type dialWriter func(ctx context.Context, url string) (writer, error)

// NewProbe makes a probe of the database at url. It does nothing before Start.
func NewProbe(url string) *Probe {
	return &Probe{
		period: 5 * time.Millisecond, deadline: time.Second, heldFor: 20 * time.Millisecond,
		dial: dialURL, url: url, prepared: map[string]writer{}, accepted: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// Start opens the connection, makes one write, and then writes until Stop. An
// error means that the app's own URL takes no write now: nothing was started,
// and what Prepare opened is closed.
func (p *Probe) Start(ctx context.Context) error {
	p.mu.Lock()
	url, running := p.url, p.done != nil
	p.mu.Unlock()
	if running {
		return errors.New("the probe runs already")
	}
	w, err := p.dial(ctx, url)
	if err != nil {
		p.Stop()
		return err
	}
	if err := w.write(ctx); err != nil {
		w.close()
		p.Stop()
		return err
	}
	loop, stop := context.WithCancel(context.Background())
	p.mu.Lock()
	p.prepared[url] = w
	p.stop, p.done = stop, make(chan struct{})
	p.mu.Unlock()
	go p.run(loop)
	return nil
}

// Prepare opens a connection to url ahead of the switch, so that measuring does
// not include its TLS and password exchange. A server in recovery takes it, too.
func (p *Probe) Prepare(ctx context.Context, url string) error {
	p.mu.Lock()
	old := p.prepared[url]
	p.mu.Unlock()
	if old != nil && !old.broken() {
		return nil
	}
	w, err := p.dial(ctx, url)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.prepared[url] = w
	p.mu.Unlock()
	return nil
}

// SetTarget makes every later write go to url, and gives up one under way.
func (p *Probe) SetTarget(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.url == url {
		return
	}
	p.url = url
	if p.abort != nil {
		p.abort()
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// WaitAccepted waits until a write that began after the call is accepted.
func (p *Probe) WaitAccepted(ctx context.Context) error {
	began := time.Now()
	for {
		p.mu.Lock()
		ok, next := p.log.acceptedSince(began), p.accepted
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next:
		}
	}
}

// Outage is what was seen until now.
func (p *Probe) Outage() Outage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.outage()
}

// Stop ends the probe, closes its connections and tells what it saw. Calling it
// again is harmless.
func (p *Probe) Stop() Outage {
	p.mu.Lock()
	stop, done := p.stop, p.done
	p.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for url, w := range p.prepared {
		w.close()
		delete(p.prepared, url)
	}
	return p.log.outage()
}

func (p *Probe) run(ctx context.Context) {
	defer close(p.done)
	tick := time.NewTicker(p.period)
	defer tick.Stop()
	for ctx.Err() == nil {
		p.attempt(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-p.wake:
		}
	}
}

// attempt makes one write and records it. One that Stop interrupts says nothing.
func (p *Probe) attempt(ctx context.Context) {
	try, cancel := context.WithTimeout(ctx, p.deadline)
	defer cancel()
	p.mu.Lock()
	url, w := p.url, p.prepared[p.url]
	delete(p.prepared, url) // taken: no one else closes it under our hands
	p.abort = cancel
	p.mu.Unlock()

	began := time.Now()
	var err error
	if w == nil || w.broken() {
		if w != nil {
			w.close()
		}
		w, err = p.dial(try, url)
	}
	if err == nil {
		err = w.write(try)
	}
	ended := time.Now()

	p.mu.Lock()
	defer p.mu.Unlock()
	p.abort = nil
	if w != nil && err != nil && w.broken() {
		w.close()
		w = nil
	}
	if w != nil {
		if newer := p.prepared[url]; newer != nil {
			newer.close()
		}
		p.prepared[url] = w
	}
	if err != nil && ctx.Err() != nil {
		return
	}
	p.log.add(began, ended, err, p.heldFor)
	if err == nil {
		close(p.accepted)
		p.accepted = make(chan struct{})
	}
}
