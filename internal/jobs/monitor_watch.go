package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// The kinds of the watch's notices. They are its memory, too: a restart of the
// program finds in the feed what it has said.
const (
	noticeHeldUp     = "follower_held_up"
	noticeTerminated = "follower_queries_terminated"
)

// watchFollowers looks at every follower that is too far behind (spec 4): a
// notice names the transactions that hold its replay up, and when those still
// do after the patience, they are terminated.
func (m *Monitor) watchFollowers(ctx context.Context) error {
	var behind []watched
	m.mu.Lock()
	for _, w := range m.watched {
		if w.lag.Known && w.lag.Bytes > m.WatchBytes {
			behind = append(behind, *w)
		}
	}
	m.mu.Unlock()
	var all error
	for _, w := range behind {
		if err := m.watchFollower(ctx, w); err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", w.Database.Name, err))
		}
	}
	return all
}

func (m *Monitor) watchFollower(ctx context.Context, w watched) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, m.Engine.Admin(engineServerOf(w.Server), w.Database.DatabaseName))
	if err != nil {
		return err
	}
	defer closeSoon(conn)
	_, holders, err := postgres.ReplayHeldUp(ctx, conn, m.WatchAge)
	if err != nil || len(holders) == 0 {
		return err // it is slow, and nobody's query is the reason
	}
	noticedAt, noticed, err := db.LastNotice(ctx, m.Pool, w.Database.ID, noticeHeldUp)
	if err != nil {
		return err
	}
	now := m.Now()
	// A notice that is much older belongs to another time of being behind.
	if !noticed || now.Sub(noticedAt) >= 2*m.WatchPatience {
		return m.noticeHeldUp(ctx, w, holders, now)
	}
	if now.Sub(noticedAt) < m.WatchPatience {
		return nil
	}
	named := beganBefore(holders, noticedAt)
	if len(named) == 0 {
		return m.noticeHeldUp(ctx, w, holders, now) // others than those that the notice warned
	}
	return m.terminate(ctx, conn, w, named)
}

// beganBefore are the transactions that were open at the time.
func beganBefore(list []platform.Backend, at time.Time) (old []platform.Backend) {
	for _, b := range list {
		if b.TransactionStartedAt != nil && b.TransactionStartedAt.Before(at) {
			old = append(old, b)
		}
	}
	return old
}

func (m *Monitor) noticeHeldUp(ctx context.Context, w watched, holders []platform.Backend, now time.Time) error {
	_, err := db.CreateNotice(ctx, m.Pool, db.NewNotice{
		Kind: noticeHeldUp, Level: "warn", DatabaseID: &w.Database.ID, AppID: &w.Database.AppID,
		Subject: fmt.Sprintf("%s is %s behind its leader", w.Database.Name, platform.Bytes(w.lag.Bytes)),
		Body: fmt.Sprintf("Its replay waits for %s:\n%s\nEnd them, or let them finish. What still holds replay up at %s UTC is terminated.",
			transactions(len(holders)), describe(holders), now.Add(m.WatchPatience).UTC().Format("15:04")),
	})
	return err
}

func (m *Monitor) terminate(ctx context.Context, conn *pgx.Conn, w watched, holders []platform.Backend) error {
	var ended []platform.Backend
	for _, b := range holders {
		switch err := postgres.Terminate(ctx, conn, b.PID); {
		case err == nil:
			ended = append(ended, b)
		case platform.KindOf(err) != platform.KindNotFound: // gone by itself is fine
			return err
		}
	}
	if len(ended) == 0 {
		return nil
	}
	_, err := db.CreateNotice(ctx, m.Pool, db.NewNotice{
		Kind: noticeTerminated, Level: "warn", DatabaseID: &w.Database.ID, AppID: &w.Database.AppID,
		Subject: fmt.Sprintf("%s on %s terminated", transactions(len(ended)), w.Database.Name),
		Body: fmt.Sprintf("The follower was still %s behind and its replay waited for:\n%s\nTheir clients were told: terminating connection due to administrator command.",
			platform.Bytes(w.lag.Bytes), describe(ended)),
	})
	return err
}

func transactions(n int) string {
	if n == 1 {
		return "1 transaction"
	}
	return fmt.Sprintf("%d transactions", n)
}

// describe is one line a transaction, at most ten.
func describe(list []platform.Backend) string {
	var lines []string
	for i, b := range list {
		if i == 10 {
			lines = append(lines, fmt.Sprintf("and %d more", len(list)-10))
			break
		}
		query := strings.Join(strings.Fields(b.Query), " ")
		if r := []rune(query); len(r) > 200 {
			query = string(r[:200]) + "…"
		}
		lines = append(lines, fmt.Sprintf("- connection %d (%s), open for %s: %s", b.PID, b.Source(), b.TransactionAge.Round(time.Second), query))
	}
	return strings.Join(lines, "\n")
}
