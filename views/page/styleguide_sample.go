package page

import (
	"math"
	"time"

	"changeover/internal/platform"
	"changeover/views/component"
)

// The styleguide's examples: one made-up story, so that the pictures of two
// runs can be compared.

func sampleTime() time.Time { return time.Date(2026, 10, 8, 13, 3, 2, 114e6, time.UTC) }

type sampleStep struct {
	name, title, detail string
	ms                  int
	downtime, noReturn  bool
}

func sampleSteps() []sampleStep {
	return []sampleStep{
		{name: "check", title: "Check before starting", detail: "9 fine, 1 to know: follower LAVENDER does not move by itself", ms: 212},
		{name: "provision_follower", title: "Provision a follower on standard-2", detail: "postgresql-angular-20431 in zone b, 38.4 GB at 165 MB/s", ms: 232418},
		{name: "wait_until_caught_up", title: "Wait until it has caught up", detail: "From 3,904 to 125 commits behind; 200 is near enough", ms: 41210},
		{name: "maintenance_on", title: "Turn on maintenance mode of sushi", ms: 88},
		{name: "scale_down", title: "Scale down web=2 worker=1", detail: "Both process types are at 0", ms: 3120},
		{name: "fence_writes", title: "Fence postgresql-shaped-12345", detail: "25 direct connections of kitchen are ended", ms: 66, downtime: true},
		{name: "wait_for_zero", title: "Wait until 0 commits behind", detail: "3.2 MB behind, 41 commits", ms: 24, downtime: true},
		{name: "unfollow", title: "Unfollow postgresql-angular-20431", detail: "It becomes writable for good", ms: 67, downtime: true, noReturn: true},
		{name: "check_recovery", title: "Check that it is out of recovery", detail: "select pg_is_in_recovery() is false", ms: 3, downtime: true},
		{name: "promote", title: "Promote it to DATABASE_URL of sushi", detail: "Release v72", ms: 31, downtime: true},
		{name: "start_old", title: "Start the old leader in recovery", ms: 209},
		{name: "scale_up", title: "Scale up web=2 worker=1", ms: 2904},
		{name: "maintenance_off", title: "Turn off maintenance mode of sushi", ms: 71},
	}
}

// sampleTimeline has n steps done; the next one is in state next.
func sampleTimeline(n int, next platform.StepState) component.Timeline {
	var t component.Timeline
	at := sampleTime()
	for i, s := range sampleSteps() {
		step := component.TimelineStep{Position: i + 1, Name: s.name, Title: s.title, Detail: s.detail, State: platform.StepPending, Downtime: s.downtime, NoReturn: s.noReturn, Usual: time.Duration(s.ms) * time.Millisecond}
		start, end := at, at.Add(step.Usual)
		switch {
		case i < n:
			step.State, step.StartedAt, step.FinishedAt = platform.StepDone, &start, &end
			at = end
		case i == n:
			step.State, step.StartedAt = next, &start
			if next == platform.StepFailed {
				step.FinishedAt = &end
			}
		}
		t.Steps = append(t.Steps, step)
	}
	t.Band = component.Band{Deadline: 30 * time.Second, Text: "Reads go on. Direct connections get an error that says when to retry."}
	t.PastNoReturn = n >= 8
	return t
}

func samplePlan() component.Timeline {
	t := sampleTimeline(-1, platform.StepPending)
	t.Plan = true
	t.Headings = map[int]string{1: "Now, while sushi goes on", 4: "Then, the switch"}
	t.Band.Expected = 142 * time.Millisecond
	t.Band.Text = "Reads go on. Past 30 s everything is put back by itself."
	return t
}

func sampleOutage() component.Outage {
	sessions, transactions, wait := 27, 3, 189.0
	return component.Outage{
		RefusedMS: 142, RefusedAt: sampleTime(), AcceptedAt: sampleTime().Add(142 * time.Millisecond),
		SessionsEnded: &sessions, TransactionsEnded: &transactions, LongestWaitMS: &wait, ExpectedMS: 140,
		Strip: []component.StripPart{{Name: "Fence", MS: 16}, {Name: "Wait for 0 behind", MS: 24}, {Name: "Unfollow", MS: 67, NoReturn: true}, {Name: "Check", MS: 3}, {Name: "Promote", MS: 31}},
		Proof: &component.Proof{OldTimeline: 3, NewTimeline: 4, OldEnd: "3A/F2006C28", ForkPoint: "3A/F2006C28"},
	}
}

func sampleTopology() component.Topology {
	forty, nine := 61, 9
	return component.Topology{
		Apps: []component.TopologyApp{
			{Name: "sushi", Formation: "web=2 worker=1", Connections: &forty},
			{Name: "kitchen", Formation: "web=1", MaintenanceOn: true},
			{Name: "metabase", Connections: &nine, To: "postgresql-lively-61177"},
		},
		Leader: component.TopologyNode{
			Name: "postgresql-shaped-12345", Plan: "standard-0", Zone: "a", Version: "17.6", Current: true, Answers: true,
			Status: component.Status{Tone: component.ToneOK, Word: "Available"}, Connections: 87, ConnectionLimit: 120,
			DataBytes: 38<<30 + 400<<20, StorageBytes: 64 << 30, CommitsPerSecond: 312, WALPerSecond: 4.5 * (1 << 20),
		},
		Followers: []component.TopologyNode{
			{Name: "postgresql-angular-20431", Plan: "standard-2", Zone: "b", Label: "WHITE", Answers: true, Status: component.Status{Tone: component.ToneOK, Word: "Readable"}, Connections: 14, ConnectionLimit: 400, Lag: &platform.Lag{Known: true, Commits: 125, Bytes: 1887437, Seconds: .4}},
			{Name: "postgresql-lively-61177", Plan: "standard-0", Zone: "c", Label: "LAVENDER", Answers: true, Status: component.Status{Tone: component.ToneOK, Word: "Readable"}, Connections: 9, ConnectionLimit: 120, Lag: &platform.Lag{Known: true}},
		},
	}
}

// sampleTopologyCrowded has more apps than fit, followers that share a zone, one
// held up by a query, one being made.
func sampleTopologyCrowded() component.Topology {
	t := sampleTopology()
	for _, name := range []string{"reports", "storefront", "warehouse", "backoffice-of-the-kitchen", "loyalty"} {
		t.Apps = append(t.Apps, component.TopologyApp{Name: name, Formation: "web=1"})
	}
	t.Leader.Connections, t.Leader.DataBytes = 118, 60<<30
	held := component.TopologyNode{Name: "postgresql-sinuous-30982", Plan: "standard-0", Zone: "b", Label: "HEROKU_POSTGRESQL_LAVENDER", Answers: true, Status: component.Status{Tone: component.ToneWarn, Word: "Held up by a query"}, Connections: 34, ConnectionLimit: 120, Lag: &platform.Lag{Known: true, Commits: 18204, Bytes: 1388 << 20, Seconds: 2880}}
	making := component.TopologyNode{Name: "postgresql-tangled-02194", Plan: "standard-2", Zone: "c", Status: component.Status{Tone: component.ToneBusy, Word: "Creating"}, ConnectionLimit: 400, Progress: "copied 12.1 of 38.4 GB"}
	unknown := component.TopologyNode{Name: "postgresql-flat-70954", Plan: "standard-0", Zone: "d", Label: "COBALT", Status: component.Status{Tone: component.ToneBad, Word: "Does not answer"}, ConnectionLimit: 120, Lag: &platform.Lag{Since: sampleTime()}}
	t.Followers = append(t.Followers, held, making, unknown)
	return t
}

// sampleTopologyFenced is an old leader, fenced, which a follower still follows.
func sampleTopologyFenced() component.Topology {
	t := sampleTopology()
	t.Apps = nil
	t.Leader.Status, t.Leader.Replaced = component.Status{Tone: component.ToneWarn, Word: "Fenced"}, true
	t.Leader.CommitsPerSecond, t.Leader.WALPerSecond, t.Leader.Connections = 0, 0, 2
	t.Followers = t.Followers[1:]
	return t
}

// sampleTopologyAlone is a database that nothing uses and that does not answer.
func sampleTopologyAlone() component.Topology {
	t := sampleTopology()
	t.Apps, t.Followers = nil, nil
	t.Leader.Status, t.Leader.Answers = component.Status{Tone: component.ToneBad, Word: "Does not answer"}, false
	return t
}

func samplePlot() component.LagPlot {
	p := component.LagPlot{DatabaseName: "postgresql-shaped-12345", Range: "6h", Unit: "commits", To: sampleTime(), From: sampleTime().Add(-6 * time.Hour), Summary: "WHITE was above 200 for 14 minutes today"}
	white := component.LagSeries{Name: "postgresql-angular-20431", Label: "WHITE"}
	lavender := component.LagSeries{Name: "postgresql-lively-61177", Label: "LAVENDER"}
	for i := range 361 {
		x := float64(i)
		commits := 45 + 30*math.Sin(x/9) + 20*math.Sin(x/3.1) + 430*math.Exp(-math.Pow((x-290)/9, 2))
		at := p.From.Add(time.Duration(i) * time.Minute)
		white.Points = append(white.Points, component.LagPoint{At: at, Commits: int64(max(0, commits)), Bytes: int64(max(0, commits)) * 15000, Seconds: commits / 300, Known: i < 120 || i > 126})
		lavender.Points = append(lavender.Points, component.LagPoint{At: at, Commits: int64(5 + 4*math.Sin(x/5)), Bytes: 9000, Known: true})
	}
	p.Series = []component.LagSeries{white, lavender}
	p.Switches = []component.SwitchMark{{At: p.From.Add(190 * time.Minute), OutageMS: 138, URL: "/operations/41"}}
	return p
}

func sampleStanding(fenced, switched bool) component.Standing {
	s := component.Standing{
		AppName: "sushi", AppNote: "maintenance mode", Switched: switched, Arrow: "3.2 MB behind, 41 commits",
		From: component.StandingNode{Name: "postgresql-shaped-12345", Plan: "standard-0", Word: "Leader, writes", Leads: true},
		To:   component.StandingNode{Name: "postgresql-angular-20431", Plan: "standard-2", Word: "Follower, zone b"},
	}
	if fenced {
		s.From.Word, s.From.Leads, s.From.Fenced = "Leader, fenced", false, true
	}
	if switched {
		s.AppNote, s.Arrow = "web=2 worker=1", "no longer followed"
		s.From.Word, s.From.Fenced, s.From.Leads = "Fenced, still billed", false, false
		s.To.Word, s.To.Leads = "Leader, zone b", true
	}
	return s
}

func sampleChecks() []component.Check {
	return []component.Check{
		{Tone: component.ToneOK, Label: "Long transactions", Detail: "none longer than 5 s"},
		{Tone: component.ToneOK, Label: "Prepared transactions", Detail: "none"},
		{Tone: component.ToneOK, Label: "Replication slots", Detail: "none of others"},
		{Tone: component.ToneOK, Label: "Subscriptions", Detail: "none"},
		{Tone: component.ToneOK, Label: "Connections", Detail: "6 in use, the target allows 400"},
		{Tone: component.ToneOK, Label: "Disk in zone b", Detail: "812 GB free, 37.9 GB needed"},
		{Tone: component.ToneWarn, Label: "Unlogged tables", Detail: "1: session_cache, 14 MB, arrives empty"},
		{Tone: component.ToneBad, Label: "Replay", Detail: "paused on postgresql-angular-20431; resume it first"},
	}
}
