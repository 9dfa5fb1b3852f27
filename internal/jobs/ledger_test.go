package jobs_test

import (
	"context"
	"sync"
	"time"

	"changeover/bench/ledger"
	"changeover/internal/db"
	"changeover/internal/platform"
)

// book is the app while an operation runs: it writes to whatever its
// DATABASE_URL names, and keeps a ledger of every answer.
type book struct {
	h       *house
	writers *ledger.Writers
	both    *ledger.TwoWritable
	last    struct {
		sync.Mutex
		url string
	}
}

// openBook begins to write; it returns when every writer does.
func (h *house) openBook() *book {
	h.t.Helper()
	b := &book{h: h}
	url, err := b.source(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	if err := ledger.Setup(h.t.Context(), url); err != nil {
		h.t.Fatal(err)
	}
	b.writers = ledger.Start(context.WithoutCancel(h.t.Context()), b.source, 3, ledger.Options{Pace: 2 * time.Millisecond, AllSynchronous: h.durable})
	b.mustWrite("before")
	return b
}

// source is the app's DATABASE_URL; while the control database does not answer,
// the app goes on with what it knows.
func (b *book) source(ctx context.Context) (string, error) {
	b.last.Lock()
	defer b.last.Unlock()
	primary, ok, err := db.PrimaryAttachment(ctx, b.h.pool, b.h.app.ID)
	if err == nil && ok {
		var url string
		if url, err = db.DatabaseURL(ctx, b.h.pool, b.h.sealer, b.h.engine.Host(), primary.DatabaseID); err == nil {
			b.last.url = url
		}
	}
	if b.last.url != "" {
		return b.last.url, nil
	}
	return "", err
}

// watchBoth tries to write to both databases all the time.
func (b *book) watchBoth(old, candidate platform.Database) {
	b.h.t.Helper()
	b.both = ledger.WatchBoth(context.WithoutCancel(b.h.t.Context()), b.h.urlOf(old.ID), b.h.urlOf(candidate.ID), 0)
}

// watchServers is watchBoth for two servers of one database: the one that it is
// now, and the one that an operation is to put in its place.
func (b *book) watchServers(op platform.Operation) {
	b.h.t.Helper()
	ctx := b.h.t.Context()
	var urls []string
	waitUntil(b.h.t, "there is a replacement", func() bool {
		r, err := db.ReplacementOf(ctx, b.h.pool, op.ID)
		if err != nil || r.ServerID == nil {
			return false
		}
		urls = nil
		for _, id := range []int64{r.OldServerID, *r.ServerID} {
			url, err := db.ServerURL(ctx, b.h.pool, b.h.sealer, b.h.engine.Host(), op.DatabaseID, id)
			if err != nil {
				b.h.t.Fatal(err)
			}
			urls = append(urls, url)
		}
		return true
	})
	b.both = ledger.WatchBoth(context.WithoutCancel(ctx), urls[0], urls[1], 0)
}

// mustWrite returns when every writer has written again.
func (b *book) mustWrite(when string) {
	b.h.t.Helper()
	ctx, cancel := context.WithTimeout(b.h.t.Context(), 20*time.Second)
	defer cancel()
	if err := b.writers.WaitForCommits(ctx, 3); err != nil {
		b.h.t.Fatalf("%s: %v", when, err)
	}
}

// close ends the writing and fails the test unless the ledger on the app's
// database balances and there never were two writable leaders.
func (b *book) close(when string) ledger.Report {
	b.h.t.Helper()
	b.mustWrite(when)
	report := b.writers.Stop()
	url, err := b.source(b.h.t.Context())
	if err != nil {
		b.h.t.Fatal(err)
	}
	audit, err := b.writers.Verify(b.h.t.Context(), url)
	if err != nil {
		b.h.t.Fatal(err)
	}
	if !audit.Sound() || report.Failed > 0 || audit.Acked == 0 {
		b.h.t.Fatalf("%s: the ledger is not sound: %+v\n%d failed: %q", when, audit, report.Failed, report.Errors)
	}
	if b.both != nil {
		if m := b.both.Stop(); m.TwoWritable > 0 {
			b.h.t.Fatalf("%s: two writable leaders: %+v", when, m)
		}
	}
	return report
}
