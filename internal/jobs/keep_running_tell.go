package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

const (
	// restartGrace is how long after its start the program finds servers that were
	// stopped with it, or with the machine: that is no surprise.
	restartGrace = 10 * time.Second
	// backWithin is how long a server may take to run again before it is told of
	// that it does not; after a reboot all wait for each other that long, so that
	// one notice tells of what came back and of what did not.
	backWithin = time.Minute
)

// cause is what servers that are told of together have in common.
type cause int

const (
	goneByItself cause = iota
	withMachine        // found stopped when the program started
	toldBefore         // runs again, and it was told of that it did not
)

// restarted is a database whose server was found stopped.
type restarted struct {
	platform.Database
	db.StoppedServer
	cause cause
}

// after is how long it did not run; nil for one that still does not.
func (r restarted) after() *time.Duration {
	if r.RunsAgainAt == nil {
		return nil
	}
	d := r.RunsAgainAt.Sub(r.FoundAt)
	return &d
}

// tellRestarted gives the notices of servers that were found stopped: of those in
// running, which run again, and of those in stopped, which do not. What one cause
// has stopped is told of in one notice, which shows everybody the databases that
// they see; a single database has one of its own.
func (j *Jobs) tellRestarted(ctx context.Context, running, stopped []int64) error {
	if len(running) == 0 && len(stopped) == 0 {
		return nil
	}
	return db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
		servers, err := db.StoppedServers(ctx, tx, slices.Concat(running, stopped), running)
		if err != nil {
			return err
		}
		now, told := time.Now(), map[cause][]db.StoppedServer{}
		for _, s := range servers {
			of := goneByItself
			_, surprise := j.surprises.Load(s.ID)
			switch {
			case s.Told:
				of = toldBefore
			case !surprise && s.FoundAt.Before(j.startedAt.Add(restartGrace)):
				of = withMachine
			}
			told[of] = append(told[of], s)
		}
		late := func(s db.StoppedServer) bool {
			return now.Sub(s.FoundAt) >= backWithin && now.Sub(j.startedAt) >= backWithin
		}
		if slices.ContainsFunc(told[withMachine], func(s db.StoppedServer) bool { return s.RunsAgainAt == nil && !late(s) }) {
			delete(told, withMachine) // they wait for the others
		}
		for of, list := range told {
			list = slices.DeleteFunc(list, func(s db.StoppedServer) bool { return s.RunsAgainAt == nil && (s.Told || !late(s)) })
			if err := tellTogether(ctx, tx, list, of); err != nil {
				return err
			}
		}
		return nil
	})
}

// tellTogether writes the one notice of servers that one cause has stopped.
func tellTogether(ctx context.Context, tx pgx.Tx, servers []db.StoppedServer, of cause) error {
	var all []restarted
	for _, s := range servers {
		databases, err := db.DatabasesOnServer(ctx, tx, s.ID)
		if err != nil {
			return err
		}
		for _, d := range databases {
			all = append(all, restarted{Database: d, StoppedServer: s, cause: of})
		}
		if err := db.SetServerStoppedTold(ctx, tx, s.ID); err != nil {
			return err
		}
	}
	var err error
	switch len(all) {
	case 0:
	case 1:
		_, err = db.CreateNotice(ctx, tx, all[0].notice())
	default:
		_, err = db.CreateNotice(ctx, tx, noticeOfSeveral(all))
	}
	return err
}

// why is the paragraph of a notice about one database, or about several; empty
// where it was told before.
func (c cause) why(several bool) string {
	switch {
	case c == toldBefore:
		return ""
	case c == withMachine && several:
		return "Why. They were stopped with the machine, or by changeover stop-all."
	case c == withMachine:
		return "Why. It was stopped with the machine, or by changeover stop-all."
	case several:
		return "Why. The processes of their servers were gone, and no operation had stopped them. The servers' logs say how they ended."
	}
	return "Why. Its processes were gone, and no operation had stopped them. The server's log says how they ended."
}

// level is that of a notice about what runs again.
func (c cause) level() platform.NoticeLevel {
	switch c {
	case withMachine:
		return platform.NoticeInfo
	case toldBefore:
		return platform.NoticeOK
	}
	return platform.NoticeWarn
}

// paragraphs leaves the empty ones out.
func paragraphs(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), "\n\n")
}

// notice is that of a single database.
func (r restarted) notice() db.NewNotice {
	n := db.NewNotice{Kind: platform.NoticeServerRestarted, Level: r.cause.level(), DatabaseID: &r.Database.ID, AppID: &r.AppID,
		Once: fmt.Sprintf("server_restarted:%d:%d:%d:%t", r.StoppedServer.ID, r.Database.ID, r.FoundAt.UnixMilli(), r.RunsAgainAt != nil)}
	when := fmt.Sprintf("The server of %s was found stopped at %s", r.Name, platform.MomentUTC(r.FoundAt))
	if r.cause == withMachine {
		when = fmt.Sprintf("%s did not run when Changeover started, at %s", r.Name, platform.MomentUTC(r.FoundAt))
	}
	after := r.after()
	if after == nil {
		n.Level, n.Subject = platform.NoticeBad, "Not running: "+r.Name
		n.Body = paragraphs(when+", and it does not start.", r.cause.why(false), "What it means. Apps cannot reach it.", platform.StoppedToDo)
		return n
	}
	n.Subject, n.Figures = "Restarted: "+r.Name, []platform.Figure{spanFigure("Found stopped, then running after", *after)}
	n.Body = paragraphs(when+" and was started again.", r.cause.why(false), platform.RestartedToDo)
	return n
}

// noticeOfSeveral is that of all that one cause has stopped.
func noticeOfSeveral(all []restarted) db.NewNotice {
	first := slices.MinFunc(all, func(a, b restarted) int { return a.FoundAt.Compare(b.FoundAt) })
	n := db.NewNotice{Kind: platform.NoticeServerRestarted, Level: first.cause.level(), Subject: "Restarted"}
	when := "Found stopped at " + platform.MomentUTC(first.FoundAt)
	if first.cause == withMachine {
		when = "Not running when Changeover started, at " + platform.MomentUTC(first.FoundAt)
	}
	for _, r := range all {
		n.Several = append(n.Several, db.NewNoticePart{DatabaseID: r.Database.ID, After: r.after()})
	}
	n.Body = paragraphs(when+": "+platform.NoticeDatabases+".", first.cause.why(true))
	return n
}
