package jobs

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

const (
	// toldAgainAfter is how long a limit is quiet after a notice before a lower
	// share of it counts as new: connections come and go.
	toldAgainAfter = time.Hour
	// growthWithin bounds what is done to a database that becomes full, or no
	// longer is.
	growthWithin = 30 * time.Second
)

// watchLimits tells of a plan's limits that are near, and keeps a database in a
// shared cluster from growing past its storage.
func (r *reader) watchLimits(ctx context.Context, f postgres.Facts) error {
	m := r.monitor
	m.mu.Lock()
	w := m.watched[r.databaseID]
	var d platform.Database
	if w != nil {
		d = w.Database
	}
	m.mu.Unlock()
	plan, err := m.Catalogue.Plan(d.Plan)
	if w == nil || err != nil || d.State != platform.DatabaseAvailable {
		return nil // no plan, no limit
	}
	if err := r.tellLimits(ctx, d, plan, f); err != nil {
		return err
	}
	if !plan.Tier.IsShared || d.IsFollower() {
		return nil
	}
	return r.keepStorage(ctx, d, plan, f.DataBytes)
}

func (r *reader) tellLimits(ctx context.Context, d platform.Database, plan platform.Plan, f postgres.Facts) error {
	m := r.monitor
	if r.told == nil {
		told, err := db.LimitsToldOf(ctx, m.Pool, d.ID)
		if err != nil {
			return err
		}
		r.told = &told
	}
	next, now := *r.told, m.Now()
	var notices []db.NewNotice
	if level := crossed(f.DataBytes, plan.StorageBytes, &next.StorageTold, &next.StorageToldAt, now); level > 0 {
		body := fmt.Sprintf("%s holds %s of the %s of %s.\n\nWhat to do. Remove what is not needed, or move to a larger plan.", d.Name, platform.Bytes(f.DataBytes), platform.Bytes(plan.StorageBytes), plan.Name)
		if plan.Tier.IsShared {
			body += " At 100 % it refuses what would make it larger, until there is room again."
		}
		notices = append(notices, db.NewNotice{Kind: platform.NoticeStorageNear, Level: levelOf(level), Subject: fmt.Sprintf("Storage of %s: %d %% used", d.Name, level), Body: body,
			Figures: []platform.Figure{shareFigure("Used", f.DataBytes, plan.StorageBytes), bytesFigure("Data", f.DataBytes), bytesFigure("Limit of the plan", plan.StorageBytes)}})
	}
	if level := crossed(int64(f.Connections), int64(plan.Connections), &next.ConnectionsTold, &next.ConnectionsToldAt, now); level > 0 {
		notices = append(notices, db.NewNotice{Kind: platform.NoticeConnectionsNear, Level: levelOf(level), Subject: fmt.Sprintf("Connections of %s: %d %% used", d.Name, level),
			Body:    fmt.Sprintf("%s has %d of the %d connections of %s. At the limit PostgreSQL refuses new ones.\n\nWhat to do. Close those that are idle, connect through the pool, or move to a plan with more.", d.Name, f.Connections, plan.Connections, plan.Name),
			Figures: []platform.Figure{shareFigure("Used", int64(f.Connections), int64(plan.Connections)), countFigure("Connections", f.Connections), countFigure("Limit of the plan", plan.Connections)}})
	}
	if next == *r.told {
		return nil
	}
	err := db.InTx(ctx, m.Pool, func(tx pgx.Tx) error {
		for _, n := range notices {
			n.DatabaseID, n.AppID = &d.ID, &d.AppID
			if _, err := db.CreateNotice(ctx, tx, n); err != nil {
				return err
			}
		}
		return db.SetLimitsTold(ctx, tx, d.ID, next)
	})
	if err == nil {
		r.told = &next
	}
	return err
}

// crossed is the share of a limit, in percent, that is to be told of now; 0 for
// none. It is told once, and again only after it was 5 points lower, an hour or
// more later.
func crossed(used, limit int64, told *int, toldAt **time.Time, now time.Time) int {
	if limit <= 0 {
		return 0
	}
	percent := float64(used) / float64(limit) * 100
	if level := levelAt(percent); level > *told {
		*told, *toldAt = level, &now
		return level
	}
	if lower := levelAt(percent + 5); lower < *told && (*toldAt == nil || now.Sub(**toldAt) >= toldAgainAfter) {
		*told = lower
	}
	return 0
}

// levelAt is the highest of the shares that are told of, up to percent.
func levelAt(percent float64) int {
	for _, level := range []int{100, 90, 80} {
		if percent >= float64(level) {
			return level
		}
	}
	return 0
}

func levelOf(percent int) platform.NoticeLevel {
	switch percent {
	case 100:
		return platform.NoticeBad
	case 90:
		return platform.NoticeWarn
	}
	return platform.NoticeInfo
}

// keepStorage makes a database refuse what would make it larger once its data
// has reached its plan's storage, and takes that back 1 % below it.
func (r *reader) keepStorage(ctx context.Context, d platform.Database, plan platform.Plan, bytes int64) error {
	full := bytes >= plan.StorageBytes || d.FullAt != nil && bytes >= plan.StorageBytes/100*99
	if !full && d.FullAt == nil && r.cleared {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, growthWithin)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, r.config)
	if err != nil {
		return err
	}
	defer closeSoon(conn)
	// The table is changed after the database when it becomes full, so that a crash
	// in between tries again, and likewise when it no longer is.
	if full {
		r.cleared = false
		err = postgres.RefuseGrowth(ctx, conn)
	} else {
		r.cleared, err = postgres.AllowGrowth(ctx, conn)
	}
	if err != nil || full == (d.FullAt != nil) {
		return err
	}
	err = db.InTx(ctx, r.monitor.Pool, func(tx pgx.Tx) error {
		n := db.NewNotice{Kind: platform.NoticeDatabaseNotFull, Figures: []platform.Figure{shareFigure("Used", bytes, plan.StorageBytes), bytesFigure("Data", bytes), bytesFigure("Limit of the plan", plan.StorageBytes)}, DatabaseID: &d.ID, AppID: &d.AppID, Subject: "No longer full: " + d.Name,
			Body: fmt.Sprintf("%s holds %s of the %s of %s. It takes every write again.", d.Name, platform.Bytes(bytes), platform.Bytes(plan.StorageBytes), plan.Name)}
		if full {
			n.Kind, n.Subject = platform.NoticeDatabaseFull, "Full: "+d.Name
			n.Body = fmt.Sprintf("%s holds %s, and %s is for %s. INSERT, UPDATE and what else would make it larger is refused, and its sessions were ended once. Reading, DELETE, TRUNCATE and DROP TABLE go on.\n\nWhat to do. Move to a larger plan, or make room: after DELETE it takes VACUUM FULL to give the space back. It takes every write again by itself, within seconds.",
				d.Name, platform.Bytes(bytes), plan.Name, platform.Bytes(plan.StorageBytes))
		}
		if _, err := db.CreateNotice(ctx, tx, n); err != nil {
			return err
		}
		act := "open for writes"
		if full {
			act = "close for writes"
		}
		if err := db.AddProgramAudit(ctx, tx, d.ID, act, n.Subject); err != nil {
			return err
		}
		return db.SetDatabaseFull(ctx, tx, d.ID, full)
	})
	if err != nil {
		return err
	}
	m := r.monitor
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.watched[d.ID]; w != nil { // until the list is read again
		w.Database.FullAt = nil
		if now := m.Now(); full {
			w.Database.FullAt = &now
		}
	}
	return nil
}
