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

// watchFollowers looks at every follower that is too far behind (spec 4): a
// notice names the transactions that hold its replay up, and when those still
// do after the patience, they are terminated. Where nobody's query is the
// reason, a notice says so much.
func (m *Monitor) watchFollowers(ctx context.Context) error {
	behind, now := m.behind()
	// Told again only after it was half as far behind.
	all := db.ForgetBehind(ctx, m.Pool, m.WatchBytes/2)
	for _, w := range behind {
		if err := m.watchFollower(ctx, w, now); err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", w.Database.Name, err))
		}
	}
	return all
}

// behind are the followers that are too far behind, and the time of the look.
func (m *Monitor) behind() (list []watched, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.watched {
		if !w.lag.Known || w.lag.Bytes <= m.WatchBytes {
			w.behindSince = time.Time{}
			continue
		}
		if now.IsZero() {
			now = m.Now()
		}
		if w.behindSince.IsZero() {
			w.behindSince = now
		}
		list = append(list, *w)
	}
	return list, now
}

func (m *Monitor) watchFollower(ctx context.Context, w watched, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, m.Engine.Admin(engineServerOf(w.Server), w.Database.DatabaseName))
	if err != nil {
		return err
	}
	defer closeSoon(conn)
	_, holders, err := postgres.ReplayHeldUp(ctx, conn, m.WatchAge)
	if err != nil {
		return err
	}
	if len(holders) == 0 {
		return m.tellBehind(ctx, w, now)
	}
	noticedAt, noticed, err := db.LastNotice(ctx, m.Pool, w.Database.ID, platform.NoticeFollowerHeldUp)
	if err != nil {
		return err
	}
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
	return m.terminate(ctx, conn, w, named, noticedAt)
}

// tellBehind tells of a follower that is slow by itself, once until it has been
// half as far behind; a moment's burst of WAL is no news.
func (m *Monitor) tellBehind(ctx context.Context, w watched, now time.Time) error {
	if now.Sub(w.behindSince) < m.WatchSlow {
		return nil
	}
	return db.InTx(ctx, m.Pool, func(tx pgx.Tx) error {
		first, err := db.TellBehind(ctx, tx, w.Database.ID)
		if err != nil || !first {
			return err
		}
		_, err = db.CreateNotice(ctx, tx, db.NewNotice{
			Kind: platform.NoticeFollowerBehind, DatabaseID: &w.Database.ID, AppID: &w.Database.AppID,
			Subject: "Behind its leader: " + w.Database.Name,
			Body: fmt.Sprintf("%s has been more than %s behind its leader for %s.\n\nWhy. No query on it holds its replay up: its leader writes faster than it can replay, or the way between the two is slow.\n\nWhat to do. Nothing, if the leader is busy for a while only. If it stays behind, give the follower a plan as large as its leader's.",
				w.Database.Name, platform.Bytes(m.WatchBytes), now.Sub(w.behindSince).Round(time.Second)),
			Figures: behindFigures(w),
		})
		return err
	})
}

func behindFigures(w watched) []platform.Figure {
	return []platform.Figure{bytesFigure("Behind by", w.lag.Bytes), {Label: "Commits behind", Value: thousands(w.lag.Commits)},
		spanFigure("Shows the state of", time.Duration(w.lag.Seconds*float64(time.Second)))}
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
	return db.InTx(ctx, m.Pool, func(tx pgx.Tx) error {
		// It says that the follower is behind, too.
		if _, err := db.TellBehind(ctx, tx, w.Database.ID); err != nil {
			return err
		}
		_, err := db.CreateNotice(ctx, tx, db.NewNotice{
			Kind: platform.NoticeFollowerHeldUp, DatabaseID: &w.Database.ID, AppID: &w.Database.AppID,
			Subject: fmt.Sprintf("%s is %s behind its leader", w.Database.Name, platform.Bytes(w.lag.Bytes)),
			Body: fmt.Sprintf("Its replay waits for %s:\n%s\n\nWhat to do. End them, or let them finish. What still holds replay up at %s UTC is terminated.",
				transactions(len(holders)), describe(holders), now.Add(m.WatchPatience).UTC().Format("15:04")),
			Figures: append(behindFigures(w), countFigure("Transactions in the way", len(holders))),
		})
		return err
	})
}

// terminate ends the transactions. The notice is committed first and names each
// of them once: after a crash in between those that still run are ended without
// a second one.
func (m *Monitor) terminate(ctx context.Context, conn *pgx.Conn, w watched, holders []platform.Backend, noticedAt time.Time) error {
	told, err := db.NoticesOnceSince(ctx, m.Pool, w.Database.ID, platform.NoticeQueriesTerminated, noticedAt)
	if err != nil {
		return err
	}
	var marks []string
	var untold []platform.Backend
	for _, b := range holders {
		mark := fmt.Sprintf("%d@%d;", b.PID, b.TransactionStartedAt.UnixMicro())
		if !strings.Contains(told, ";"+mark) {
			marks, untold = append(marks, mark), append(untold, b)
		}
	}
	if len(untold) > 0 {
		if err := db.AddProgramAudit(ctx, m.Pool, w.Database.ID, "terminate transactions", transactions(len(untold))+" held up its replay."); err != nil {
			return err
		}
		_, err := db.CreateNotice(ctx, m.Pool, db.NewNotice{
			Kind: platform.NoticeQueriesTerminated, DatabaseID: &w.Database.ID, AppID: &w.Database.AppID,
			Once:    fmt.Sprintf("terminated:%d;%s", w.Database.ID, strings.Join(marks, "")),
			Subject: fmt.Sprintf("%s on %s terminated", transactions(len(untold)), w.Database.Name),
			Body: fmt.Sprintf("The follower was still %s behind and its replay waited for:\n%s\n\nTheir clients were told: terminating connection due to administrator command.",
				platform.Bytes(w.lag.Bytes), describe(untold)),
			Figures: []platform.Figure{countFigure("Transactions terminated", len(untold)), bytesFigure("Behind by", w.lag.Bytes)},
		})
		if err != nil {
			return err
		}
	}
	for _, b := range holders {
		if err := postgres.Terminate(ctx, conn, b.PID); err != nil && platform.KindOf(err) != platform.KindNotFound { // gone by itself is fine
			return err
		}
	}
	return nil
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
