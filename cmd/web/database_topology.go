package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"
)

// topology is the picture of the leader, its followers and the apps around the
// database whose page this is. apps are those that access sees.
func (a *app) topology(access platform.Access, row db.DatabaseListRow, leader *db.DatabaseListRow, followers []db.DatabaseListRow, apps []db.AppListRow) component.Topology {
	var t component.Topology
	top := row
	if leader != nil {
		top = *leader
	}
	t.Leader = a.topologyNode(access, top, row.Database.ID)
	t.Leader.Version = top.Reading.Version
	for _, f := range followers {
		t.Followers = append(t.Followers, a.topologyNode(access, f, row.Database.ID))
	}
	for _, n := range append([]db.DatabaseListRow{top}, followers...) {
		addTopologyApps(&t, n, apps)
	}
	return t
}

func (a *app) topologyNode(access platform.Access, row db.DatabaseListRow, current int64) component.TopologyNode {
	d, r, plan := row.Database, row.Reading, a.plan(row.Database.Plan)
	n := component.TopologyNode{
		Name: d.Name, Plan: d.Plan, Zone: row.Zone, Label: attachmentOn(row), Status: a.databaseStatus(row), Current: d.ID == current, Replaced: d.ReplacedByID != nil,
		Connections: r.Connections, ConnectionLimit: plan.Connections, DataBytes: r.DataBytes, StorageBytes: plan.StorageBytes,
		CommitsPerSecond: r.CommitsPerS, WALPerSecond: r.WALBytesPerS, Lag: lagOf(d, r), Answers: r.Known && r.Answers,
	}
	if !row.SeenBy(access) {
		// Another's: that it is there and how far it is behind is all of it that
		// concerns this page.
		return component.TopologyNode{Name: d.Name, Zone: row.Zone, Plan: d.Plan, Label: n.Label, Status: n.Status, Lag: n.Lag, Answers: n.Answers, Unseen: true}
	}
	if d.IsFollower() && d.ReadableAt == nil && r.CopyTotalBytes > 0 && n.Lag == nil {
		n.Progress = fmt.Sprintf("copied %s of %s", platform.Bytes(r.CopiedBytes), platform.Bytes(r.CopyTotalBytes))
	}
	return n
}

// addTopologyApps adds the apps that use a node, each once.
func addTopologyApps(t *component.Topology, row db.DatabaseListRow, apps []db.AppListRow) {
	seen := map[string]bool{}
	for _, attachment := range row.Attachments {
		name, _, _ := strings.Cut(attachment, "::")
		// The owner's own name for a follower is not a use of it.
		if seen[name] || row.Database.IsFollower() && name == row.Database.AppName {
			continue
		}
		seen[name] = true
		for _, app := range apps {
			if app.Name == name {
				t.Apps = append(t.Apps, component.TopologyApp{Name: name, Formation: app.Formation, MaintenanceOn: app.MaintenanceOn, To: row.Database.Name})
			}
		}
	}
}

// addTopologyPools draws the connection pools of a database between it and its apps.
func addTopologyPools(t *component.Topology, database string, attachments []page.AttachmentRow) {
	for i, app := range t.Apps {
		for _, attachment := range attachments {
			if attachment.PoolID != 0 && attachment.AppName == app.Name && app.To == database {
				t.Apps[i].Pool = poolPath(database, attachment.PoolID)
			}
		}
	}
}

// formationWords is "web=2 worker=1".
func formationWords(formation []platform.Process) string {
	parts := make([]string, 0, len(formation))
	for _, p := range formation {
		parts = append(parts, fmt.Sprintf("%s=%d", p.Type, p.Quantity))
	}
	return strings.Join(parts, " ")
}

// lagPoints is how many points a line of the plot has at most.
const lagPoints = 240

// lagPlot is the lag of a follower, or of all followers of a leader.
func (a *app) lagPlot(ctx context.Context, row db.DatabaseListRow, followers []db.DatabaseListRow, operations []db.PastOperation, plot component.LagPlot, now time.Time) (component.LagPlot, error) {
	plot.DatabaseName = row.Database.Name
	plot.To, plot.From = now, now.Add(-lagSpan(plot.Range))
	shown := followers
	if row.Database.IsFollower() {
		shown = []db.DatabaseListRow{row}
	}
	ids := make([]int64, len(shown))
	for i, f := range shown {
		ids[i] = f.Database.ID
	}
	lists, err := db.LagSamples(ctx, a.pool, ids, plot.From, plot.To, lagPoints)
	if err != nil {
		return plot, err
	}
	for _, f := range shown {
		samples := lists[f.Database.ID]
		series := component.LagSeries{Name: f.Database.Name, Label: or(attachmentOn(f), shortName(f.Database.Name))}
		gap := 3 * max(lagSpan(plot.Range)/lagPoints, 5*time.Second)
		for i, s := range samples {
			// A hole in the samples is drawn as one: nobody knows what it was.
			if i > 0 && s.At.Sub(samples[i-1].At) > gap {
				series.Points = append(series.Points, component.LagPoint{At: samples[i-1].At.Add(time.Second)})
			}
			series.Points = append(series.Points, component.LagPoint{At: s.At, Commits: s.Commits, Bytes: s.Bytes, Seconds: s.Seconds, Known: true})
		}
		series.Points = withNewest(series.Points, lagOf(f.Database, f.Reading))
		plot.Series = append(plot.Series, series)
	}
	if len(plot.Series) == 0 {
		return plot, nil
	}
	plot.Summary = lagSummary(plot.Series)
	for _, op := range operations {
		if op.Kind == platform.FollowerChangeover && op.State == platform.OperationCompleted && op.RefusedAt != nil && op.OutageMS != nil && op.RefusedAt.After(plot.From) {
			plot.Switches = append(plot.Switches, component.SwitchMark{At: *op.RefusedAt, OutageMS: *op.OutageMS, URL: operationPath(op.ID)})
		}
	}
	return plot, nil
}

// withNewest ends a line with what is known now: a sample stands for the worst
// of its stretch of time, the last point must not.
func withNewest(points []component.LagPoint, lag *platform.Lag) []component.LagPoint {
	if lag == nil {
		return points
	}
	newest := component.LagPoint{At: lag.At, Commits: lag.Commits, Bytes: lag.Bytes, Seconds: lag.Seconds, Known: lag.Known}
	if !lag.Known && !lag.Since.IsZero() {
		newest.At = lag.Since
	}
	if n := len(points); n > 0 && !newest.At.After(points[n-1].At) && lag.Known {
		newest.At = points[n-1].At
		points = points[:n-1]
	}
	return append(points, newest)
}

// lagSummary says which follower was above the line of 200 commits, and how far.
func lagSummary(all []component.LagSeries) string {
	worst, label := int64(0), ""
	for _, s := range all {
		for _, p := range s.Points {
			if p.Commits > worst {
				worst, label = p.Commits, s.Label
			}
		}
	}
	switch {
	case worst == 0:
		return "0 commits behind throughout."
	case worst <= platform.CaughtUpCommits:
		return fmt.Sprintf("Never more than %s behind.", plural(int(worst), "commit"))
	}
	return fmt.Sprintf("%s was up to %s commits behind; %d counts as caught up.", label, component.Number(worst), platform.CaughtUpCommits)
}
