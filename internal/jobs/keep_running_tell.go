package jobs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// restartGrace is how long after its start the program finds servers that were
// stopped with it, or with the machine: that is no surprise.
const restartGrace = 10 * time.Second

// restarted is a database whose server was found stopped and runs again.
type restarted struct {
	platform.Database
	serverID int64
	at       time.Time // when it was found stopped
}

// tellRestarted gives the notices of servers that were found stopped and run
// again, and forgets that they were stopped. Each database has one of its own,
// but those of one app that went down with the machine have one together: of a
// reboot everybody learns once, and of no other app's databases.
func (j *Jobs) tellRestarted(ctx context.Context, serverIDs []int64) error {
	if len(serverIDs) == 0 {
		return nil
	}
	return db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
		together := map[int64][]restarted{} // by app
		var notices []db.NewNotice
		for _, id := range serverIDs {
			at, found, err := db.TakeServerFoundStopped(ctx, tx, id)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			databases, err := db.DatabasesOnServer(ctx, tx, id)
			if err != nil {
				return err
			}
			for _, d := range databases {
				r := restarted{Database: d, serverID: id, at: at}
				if at.Before(j.startedAt.Add(restartGrace)) {
					together[d.AppID] = append(together[d.AppID], r)
				} else {
					notices = append(notices, r.surprise())
				}
			}
		}
		for _, list := range together {
			notices = append(notices, withTheMachine(list))
		}
		slices.SortFunc(notices, func(a, b db.NewNotice) int { return cmp.Compare(a.Once, b.Once) })
		for _, n := range notices {
			if _, err := db.CreateNotice(ctx, tx, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// notice is what the notices have in common.
func (r restarted) notice() db.NewNotice {
	return db.NewNotice{Kind: platform.NoticeServerRestarted, DatabaseID: &r.ID, AppID: &r.AppID,
		Once:    fmt.Sprintf("server_restarted:%d:%d:%d", r.serverID, r.ID, r.at.UnixMilli()),
		Subject: "Restarted: " + r.Name, Figures: []platform.Figure{spanFigure("Found stopped, then running after", time.Since(r.at))}}
}

func (r restarted) surprise() db.NewNotice {
	n := r.notice()
	n.Body = fmt.Sprintf("The server of %s was found stopped at %s and was started again.\n\nWhy. Its processes were gone, and no operation had stopped them. The server's log says how they ended.\n\nWhat to do. Nothing, if the app connects anew by itself.",
		r.Name, platform.MomentUTC(r.at))
	return n
}

// withTheMachine is the notice of databases of one app that did not run when the
// program started; it takes the name of the first.
func withTheMachine(list []restarted) db.NewNotice {
	n := list[0].notice()
	n.Level = platform.NoticeInfo
	first := list[0].at
	if len(list) == 1 {
		n.Body = fmt.Sprintf("%s did not run when Changeover started, at %s, and was started again.\n\nWhy. It was stopped with the machine, or by changeover stop-all.\n\nWhat to do. Nothing, if the app connects anew by itself.", list[0].Name, platform.MomentUTC(first))
		return n
	}
	names := make([]string, len(list))
	for i, r := range list {
		names[i] = r.Name
		if r.at.Before(first) {
			first = r.at
		}
	}
	slices.Sort(names)
	n.DatabaseID = nil
	n.Subject = fmt.Sprintf("Restarted: %d databases of %s", len(list), list[0].AppName)
	n.Figures = []platform.Figure{countFigure("Databases that run again", len(list)), spanFigure("Found stopped, then all running after", time.Since(first))}
	n.Body = fmt.Sprintf("%d databases of %s did not run when Changeover started, at %s, and were started again: %s.\n\nWhy. They were stopped with the machine, or by changeover stop-all.\n\nWhat to do. Nothing, if the app connects anew by itself.",
		len(list), list[0].AppName, platform.MomentUTC(first), strings.Join(names, ", "))
	return n
}
