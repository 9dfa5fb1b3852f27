package main

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"changeover/internal/db"

	"github.com/labstack/echo/v4"
)

// metrics serves GET /metrics in Prometheus' text form, for whoever has an API
// token: of the databases and operations that its user sees, and of the process
// for administrators. It is what the tables say now; nothing is counted beside them.
func (a *app) metrics(c echo.Context) error {
	if !isAPI(c) {
		return unauthorized(c)
	}
	ctx, v := c.Request().Context(), visitorOf(c)
	rows, err := db.ListDatabases(ctx, a.pool, v.Access, db.DatabaseFilter{})
	if err != nil {
		return err
	}
	rail, err := db.RailOf(ctx, a.pool, v.UserID, v.Access)
	if err != nil {
		return err
	}
	var b strings.Builder
	databaseMetrics(&b, rows)
	stuck := 0
	for _, op := range rail.Running {
		if op.NeedsPerson {
			stuck++
		}
	}
	gauge(&b, "changeover_operations_open", "Operations that still have work to do.", sample{"", float64(len(rail.Running))})
	gauge(&b, "changeover_operations_need_person", "Operations that cannot go on by themselves.", sample{"", float64(stuck)})
	if v.Access.Admin {
		a.processMetrics(&b)
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", []byte(b.String()))
}

func (a *app) processMetrics(b io.Writer) {
	a.hub.mu.Lock()
	browsers, topics := len(a.hub.browsers), len(a.hub.feeds)
	a.hub.mu.Unlock()
	gauge(b, "changeover_live_browsers", "Browsers with an open live connection to this process.", sample{"", float64(browsers)})
	gauge(b, "changeover_live_topics", "Topics that these browsers watch.", sample{"", float64(topics)})
	pool := a.pool.Stat()
	gauge(b, "changeover_control_connections", "Connections to the control database, by what they do.",
		sample{`{state="in use"}`, float64(pool.AcquiredConns())}, sample{`{state="idle"}`, float64(pool.IdleConns())})
	gauge(b, "changeover_uptime_seconds", "Age of this worker process.", sample{"", time.Since(a.startedAt).Seconds()})
	gauge(b, "changeover_goroutines", "Goroutines of this worker process.", sample{"", float64(runtime.NumGoroutine())})
	a.counts.write(b)
}

// sample is one value with its labels: `{database="…"}`, or none.
type sample struct {
	labels string
	value  float64
}

func gauge(w io.Writer, name, help string, samples ...sample) {
	metric(w, "gauge", name, help, samples)
}

func metric(w io.Writer, kind, name, help string, samples []sample) {
	if len(samples) == 0 {
		return
	}
	_, _ = fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, s := range samples {
		_, _ = fmt.Fprintf(w, "%s%s %s\n", name, s.labels, strconv.FormatFloat(s.value, 'g', -1, 64))
	}
}

func databaseMetrics(w io.Writer, rows []db.DatabaseListRow) {
	states := map[string]int{}
	var up, size, connections, commits, bytes, seconds []sample
	for _, r := range rows {
		states[string(r.Database.State)]++
		// Names are our own words and digits: nothing in them needs escaping.
		labels := fmt.Sprintf(`{database="%s",app="%s"}`, r.Database.Name, r.Database.AppName)
		answers := 0.0
		if r.Reading.Known && r.Reading.Answers {
			answers = 1
			size = append(size, sample{labels, float64(r.Reading.DataBytes)})
			connections = append(connections, sample{labels, float64(r.Reading.Connections)})
		}
		up = append(up, sample{labels, answers})
		if lag := lagOf(r.Database, r.Reading); lag != nil && lag.Known {
			commits = append(commits, sample{labels, float64(lag.Commits)})
			bytes = append(bytes, sample{labels, float64(lag.Bytes)})
			seconds = append(seconds, sample{labels, lag.Seconds})
		}
	}
	var counts []sample
	for state, n := range states {
		counts = append(counts, sample{fmt.Sprintf(`{state="%s"}`, state), float64(n)})
	}
	slices.SortFunc(counts, func(a, b sample) int { return strings.Compare(a.labels, b.labels) })
	gauge(w, "changeover_databases", "Databases that are not destroyed, by state.", counts...)
	gauge(w, "changeover_database_up", "Whether the database answers.", up...)
	gauge(w, "changeover_database_bytes", "Size of the data.", size...)
	gauge(w, "changeover_database_connections", "Connections of clients.", connections...)
	gauge(w, "changeover_follower_lag_commits", "Commits behind the leader.", commits...)
	gauge(w, "changeover_follower_lag_bytes", "Bytes of WAL behind the leader.", bytes...)
	gauge(w, "changeover_follower_lag_seconds", "Seconds behind the leader.", seconds...)
}
