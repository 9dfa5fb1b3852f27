package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/postgres"
	"changeover/views/page"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// activityWithin is how long a page waits for a server that may be sick.
const activityWithin = 2 * time.Second

// withServer runs fn on an admin connection to the server that the database is;
// nil is one that has none yet.
func (a *app) withServer(ctx context.Context, d platform.Database, server *platform.Server, fn func(context.Context, *pgx.Conn) error) error {
	if server == nil {
		return platform.Conflict("%s has no server yet. Wait until it is available.", d.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, activityWithin)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, a.engine.Admin(engine.Server{
		ID: server.ID, Zone: server.Zone, Port: server.Port, Major: server.Major, Plan: a.plan(server.Plan), Fenced: server.Fenced, Shared: server.Shared,
	}, d.DatabaseName))
	if err != nil {
		return noAnswer(err, d.Name)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return fn(ctx, conn)
}

func noAnswer(err error, name string) error {
	return platform.Unavailable(err, "The server of %s does not answer. Look at its page in a few seconds.", name)
}

// activity is who is connected to the database now. The server is asked whatever
// the newest reading says of it: during a switch that is some seconds old.
func (a *app) activity(ctx context.Context, d platform.Database) ([]platform.Backend, error) {
	server, err := a.serverOf(ctx, d)
	if err != nil {
		return nil, err
	}
	return a.activityOn(ctx, d, server)
}

func (a *app) activityOn(ctx context.Context, d platform.Database, server *platform.Server) ([]platform.Backend, error) {
	var backends []platform.Backend
	err := a.withServer(ctx, d, server, func(ctx context.Context, conn *pgx.Conn) (err error) {
		backends, err = postgres.Activity(ctx, conn)
		return err
	})
	return backends, err
}

// activitySoon is activity for a page, which does not wait long for it; where the
// answer comes later, topic is rendered again.
func (a *app) activitySoon(d platform.Database, server *platform.Server, topic string) looking[[]platform.Backend] {
	key := fmt.Sprintf("activity of %d", d.ID)
	if server != nil {
		key += fmt.Sprintf(" on %d", server.ID)
	}
	return lookAt(a, key, topic, activityWithin, func(ctx context.Context) ([]platform.Backend, error) { return a.activityOn(ctx, d, server) })
}

// activityNow is activitySoon where the server is not known, and its answer is
// waited for at once.
func (a *app) activityNow(ctx context.Context, d platform.Database, topic string) ([]platform.Backend, error) {
	server, err := a.serverOf(ctx, d)
	if err != nil {
		return nil, err
	}
	backends, _, err := a.activitySoon(d, server, topic)(lookWithin)
	return backends, err
}

// activityUnless is activitySoon but for a server of which the newest reading says
// that it does not answer: no page waits for that.
func (a *app) activityUnless(reading db.Reading, d platform.Database, server *platform.Server, topic string) looking[[]platform.Backend] {
	if away(reading) {
		return answered[[]platform.Backend](nil, reading.At, noAnswer(nil, d.Name))
	}
	return a.activitySoon(d, server, topic)
}

// away is whether the newest look at a database's server found no answer.
func away(r db.Reading) bool { return r.Known && !r.Answers }

// hasActivity is whether somebody can be connected to a database.
func hasActivity(d platform.Database) bool {
	return d.State == platform.DatabaseAvailable || d.State == platform.DatabaseFenced
}

// activityView never fails: a server that cannot be asked is a sentence. The
// text of a query can hold data, so it is for those who operate the app.
func activityView(row db.DatabaseListRow, look looking[[]platform.Backend], may platform.Role) page.ActivityView {
	d := row.Database
	view := page.ActivityView{DatabaseName: d.Name, May: may}
	if !hasActivity(d) {
		view.Problem = fmt.Sprintf("It is %s, so nobody is connected.", d.State)
		return view
	}
	backends, _, err := look(lookWithin)
	if err != nil {
		view.Problem = failureOf(err, "").Message
		return view
	}
	for _, b := range backends {
		view.Total++
		if b.State == "idle" {
			view.Idle++
		} else {
			view.Working++
		}
		row := page.ActivityRow{PID: b.PID, State: b.State, Source: b.Source(), Running: b.RunningFor, Waiting: b.WaitEvent, Query: b.Query, CanCancel: true}
		if len(b.BlockedBy) > 0 {
			row.Waiting = fmt.Sprintf("%s, held by %s", or(b.WaitEvent, "Lock"), strings.Trim(fmt.Sprint(b.BlockedBy), "[]"))
		}
		if strings.Contains(b.WaitEvent, "SyncRep") {
			row.CanCancel = false
			row.CancelRefusal = "It has committed and waits for its standby. Cancelling would report as safe what is not."
		}
		if may < platform.RoleOperate {
			row.Query = ""
		}
		view.Rows = append(view.Rows, row)
	}
	return view
}

// activityShow serves GET /databases/:database/activity: JSON for programs, the
// database's page at that place for people.
func (a *app) activityShow(c echo.Context) error {
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	if !isAPI(c) {
		return seeOther(c, databasePath(row.Database.Name)+"#activity")
	}
	backends, err := a.activity(c.Request().Context(), row.Database)
	if err != nil {
		return err
	}
	type backendJSON struct {
		PID       int     `json:"pid"`
		State     string  `json:"state"`
		Source    string  `json:"source"`
		RunningMS float64 `json:"running_ms"`
		Waiting   string  `json:"waiting,omitempty"`
		Query     string  `json:"query"`
	}
	list := make([]backendJSON, 0, len(backends))
	may := visitorOf(c).Access.On(row.Database.AppID)
	for _, b := range backends {
		if may < platform.RoleOperate {
			b.Query = ""
		}
		list = append(list, backendJSON{b.PID, b.State, b.Source(), float64(b.RunningFor.Microseconds()) / 1000, b.WaitEvent, b.Query})
	}
	return c.JSON(200, list)
}

// activityCancel serves POST /databases/:database/activity/:pid/cancel.
func (a *app) activityCancel(c echo.Context) error {
	return a.endActivity(c, "query", postgres.Cancel)
}

// activityTerminate serves POST /databases/:database/activity/:pid/terminate.
func (a *app) activityTerminate(c echo.Context) error {
	return a.endActivity(c, "connection", postgres.Terminate)
}

func (a *app) endActivity(c echo.Context, what string, end func(context.Context, postgres.Querier, int) error) error {
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	pid, err := number(c, "pid")
	if err != nil {
		return err
	}
	noteSubject(c, fmt.Sprintf("%s pid %d", row.Database.Name, pid))
	err = a.withServer(c.Request().Context(), row.Database, row.Server, func(ctx context.Context, conn *pgx.Conn) error { return end(ctx, conn, int(pid)) })
	if err != nil {
		return err
	}
	if isAPI(c) {
		return c.JSON(202, map[string]int64{"pid": pid})
	}
	a.flashOK(c, fmt.Sprintf("The %s of process %d was ended.", what, pid))
	return seeOther(c, a.cameFrom(c, databasePath(row.Database.Name)+"#activity"))
}
