package page

import (
	"testing"
	"time"

	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"

	"github.com/a-h/templ"
)

// pages is every page of the product in the states that matter, by name.
func pages(t *testing.T) map[string]templ.Component {
	t.Helper()
	catalogue, err := platform.ShippedCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	f := func(title string, active layout.Nav, crumbs ...string) layout.Frame {
		frame := layout.Frame{
			Title: title, Active: active, Apps: 8, Databases: 12, UnreadNotices: 4, Email: "mei@example.com", Initials: "MT",
			CSRF: "token-of-the-session", ControlLatency: 1200 * time.Microsecond, Version: "1.4.0", Asset: asset, Topics: []string{"running", "databases"},
			RenderedAt: time.Now(),
			Running: []layout.RunningOperation{
				{ID: 41, Title: "Follower changeover", Database: "postgresql-shaped-12345", Reason: "Waiting for 0 commits", Figure: "3.2 MB", Step: 7, Steps: 13, Percent: 54},
				{ID: 42, Title: "Create follower", Database: "postgresql-tapered-91520", Reason: "Copying", Figure: "61 %", Step: 2, Steps: 5, Percent: 30},
			},
		}
		for _, c := range crumbs {
			frame.Breadcrumbs = append(frame.Breadcrumbs, component.Link{Text: c, URL: "/databases"})
		}
		return frame
	}
	const shaped = "postgresql-shaped-12345"
	first := newView(t, catalogue)
	refusedForm := first
	refusedForm.Form = component.Form{CSRF: "token-of-the-session", Values: map[string]string{"app": "Sushi!", "plan": "standard-4"}, Errors: map[string]string{"app": `An app's name has 2 to 30 lower-case letters, digits and hyphens and begins with a letter, such as sushi. Change "Sushi!" to that.`}}
	show := showView(t, catalogue)
	creating := creatingView(t, catalogue)
	bare := f("Sign in", layout.NavNone)
	bare.Topics, bare.Running = nil, nil
	ops := func(v OperationShowView) templ.Component {
		return OperationShow(f(v.Title, layout.NavDatabases, "Databases", "sushi", shaped, v.Title), v)
	}
	p, _ := catalogue.Plan("standard-3")
	return map[string]templ.Component{
		"settings-mail":   SettingsMail(f("Mail", layout.NavSettings, "Settings", "Mail"), mailView()),
		"sign-in":         SignIn(bare, SignInView{Host: "db.example.com", Form: component.Form{CSRF: "t"}}),
		"sign-in-link":    SignInLink(bare, SignInLinkView{Host: "db.example.com", Email: "mei@example.com", Token: "abc", Form: component.Form{CSRF: "t", Errors: map[string]string{"password": "The password has 7 characters. Use 12 or more."}}}),
		"databases":       DatabaseIndex(f("Databases", layout.NavDatabases, "Databases"), sampleDatabases()),
		"first-run":       DatabaseIndex(f("Databases", layout.NavDatabases, "Databases"), DatabaseIndexView{FirstRun: &first}),
		"database-new":    DatabaseNew(f("Create a database", layout.NavDatabases, "Databases", "Create"), refusedForm),
		"database":        DatabaseShow(f(shaped, layout.NavDatabases, "Databases", "sushi", shaped), show),
		"database-making": DatabaseShow(f(shaped, layout.NavDatabases, "Databases", "sushi", shaped), creating),
		"follower-new": FollowerNew(f("Create a follower", layout.NavDatabases, "Databases", "sushi", shaped, "Create a follower"), FollowerNewView{
			Form: component.Form{CSRF: "t"}, LeaderName: shaped, AppName: "sushi", LeaderPlan: p, LeaderZone: "a", DataBytes: 39 << 30, Choices: catalogue.FollowerChoices(p, 80<<30),
			Zones: []ZoneChoice{{Name: "a", FreeBytes: 600 << 30}, {Name: "b", FreeBytes: 812 << 30, Recommended: true}}, CopyEstimate: "about 4 min for 38.4 GB",
		}),
		"change-plan":         ChangePlan(f("Change plan", layout.NavDatabases, "Databases", "sushi", shaped, "Change plan"), changeView(catalogue)),
		"change-plan-held":    ChangePlan(f("Change plan", layout.NavDatabases, "Databases", "sushi", shaped, "Change plan"), heldView(catalogue)),
		"change-plan-asking":  ChangePlan(f("Change plan", layout.NavDatabases, "Databases", "sushi", shaped, "Change plan"), askingView(catalogue)),
		"operation":           ops(runningView()),
		"operation-pooled":    ops(pooledView()),
		"pool":                PoolShow(f(platform.PoolAttachment, layout.NavDatabases, "Databases", shaped, platform.PoolAttachment), samplePool(true, false)),
		"pool-away":           PoolShow(f(platform.PoolAttachment, layout.NavDatabases, "Databases", shaped, platform.PoolAttachment), samplePool(false, true)),
		"operation-done":      ops(doneView()),
		"operation-undone":    ops(undoneView()),
		"apps":                AppIndex(f("Apps", layout.NavApps, "Apps"), AppIndexView{Form: component.Form{CSRF: "t"}, Apps: []AppRow{{Name: "sushi", Formation: "web=2 worker=1", Databases: []component.Link{{Text: shaped, URL: "/databases/" + shaped}}, Release: 71, MonthlyCents: 25000}, {Name: "kitchen", MaintenanceOn: true}}}),
		"app":                 AppShow(f("sushi", layout.NavApps, "Apps", "sushi"), appView()),
		"notices":             NoticeIndex(wide(f("Notices", layout.NavNotices, "Notices")), noticeView()),
		"audit":               AuditIndex(f("Audit", layout.NavAudit, "Audit"), AuditIndexView{Rows: []AuditRow{{At: sampleTime(), Actor: "mei@example.com", Action: "POST /databases/:database/changeover", Subject: shaped, SubjectURL: "/databases/" + shaped, Outcome: "done", IP: "127.0.0.1"}, {At: sampleTime(), Actor: "jun@example.com", Action: "POST /databases/:database/destroy", Subject: shaped, Outcome: "refused", Detail: "It has 2 followers.", IP: "127.0.0.1"}}}),
		"settings":            Settings(f("Settings", layout.NavSettings, "Settings"), SettingsView{Email: "mei@example.com", HasPassword: true, URL: "http://127.0.0.1:8090", NewToken: "cht_4f0a…", Sessions: []SessionRow{{ID: "1", Current: true, Browser: "Firefox on Linux", IP: "127.0.0.1", CreatedAt: sampleTime(), LastSeenAt: time.Now()}, {ID: "2", Browser: "Chrome on macOS", IP: "10.0.0.7", CreatedAt: sampleTime(), LastSeenAt: sampleTime()}}, Tokens: []TokenRow{{ID: 1, Name: "deploy of sushi", CreatedAt: sampleTime()}}}),
		"plans":               PlanIndex(f("Plans", layout.NavPlans, "Plans"), PlanIndexView{Catalogue: catalogue, MemoryScale: "1/64"}),
		"search":              Search(f("Search", layout.NavNone, "Search"), SearchView{Query: "shaped", Databases: []SearchHit{{Link: component.Link{Text: shaped, URL: "/databases/" + shaped}, Note: "sushi, standard-0", Status: component.Status{Tone: component.ToneOK, Word: "Available"}}}}),
		"confirm-destroy":     Confirm(f("Destroy", layout.NavDatabases, "Databases", "sushi", shaped, "Destroy"), confirmView()),
		"confirm-promote":     Confirm(f("Promote", layout.NavDatabases, "Databases", "sushi", shaped, "Promote"), ConfirmView{Form: component.Form{CSRF: "t"}, Title: "Promote " + shaped, Lead: "It becomes the DATABASE_URL of an app.", Apps: []string{"sushi", "kitchen"}, Button: "Promote it to DATABASE_URL", PostURL: "/x", Back: component.Link{Text: "Back", URL: "/databases"}}),
		"confirm-refused":     Confirm(f("Promote", layout.NavDatabases, "Databases", "sushi", shaped, "Promote"), ConfirmView{Title: "Promote " + shaped, Lead: "It becomes the DATABASE_URL of an app.", Refusal: "It is still a follower and can only be read: sushi could not write. ", WayOut: component.Link{Text: "Unfollow it first", URL: "/databases/" + shaped + "/unfollow"}, Back: component.Link{Text: "Back", URL: "/databases"}}),
		"error-404":           Error(f("Not found", layout.NavNone, "Not found"), ErrorView{Status: 404, Message: "There is no database postgresql-none-00000. It may have been destroyed, or its name has a typing error."}),
		"error-409":           Error(f("In the way", layout.NavNone, "In the way"), ErrorView{Status: 409, Message: "A follower changeover of postgresql-shaped-12345 is running. Wait for it or cancel it.", Link: component.Link{Text: "Open the operation", URL: "/operations/41"}}),
		"error-500":           Error(f("Error", layout.NavNone, "Error"), ErrorView{Status: 500, Message: "The page could not be made.", Reference: "9f3a61c2"}),
		"error-503":           Error(away(bare), ErrorView{Status: 503, SignedOut: true, Message: "Changeover's own database does not answer since 14:03:12 UTC. Your databases go on: they do not need it. This page tries again by itself when you reload it."}),
		"error-403":           Error(f("Not allowed", layout.NavNone, "Not allowed"), ErrorView{Status: 403, Message: "Destroying postgresql-shaped-12345 needs the role manage on sushi; yours is operate. Somebody who manages sushi can do it, or give you the role."}),
		"error-422":           Error(f("Refused", layout.NavNone, "Refused"), ErrorView{Status: 422, Message: "postgresql-shaped-12345 is the DATABASE_URL of sushi and has 2 followers. Change both first.", Link: component.Link{Text: "Open the database", URL: "/databases/" + shaped}}),
		"apps-empty":          AppIndex(f("Apps", layout.NavApps, "Apps"), AppIndexView{Form: component.Form{CSRF: "t"}}),
		"app-empty":           AppShow(f("sushi", layout.NavApps, "Apps", "sushi"), AppShowView{Name: "sushi", CreatedAt: sampleTime(), VarForm: component.Form{CSRF: "t"}, FormationForm: component.Form{CSRF: "t"}}),
		"databases-none-fit":  DatabaseIndex(f("Databases", layout.NavDatabases, "Databases"), DatabaseIndexView{Total: 12, AppCount: 8, Query: "zebra", Month: "October"}),
		"notices-empty":       NoticeIndex(wide(f("Notices", layout.NavNotices, "Notices")), NoticeIndexView{}),
		"notices-all-read":    NoticeIndex(wide(f("Notices", layout.NavNotices, "Notices")), NoticeIndexView{UnreadOnly: true}),
		"audit-empty":         AuditIndex(f("Audit", layout.NavAudit, "Audit"), AuditIndexView{Filtered: true, ExportURL: "/audit.csv?q=zebra"}),
		"search-empty":        Search(f("Search", layout.NavNone, "Search"), SearchView{Query: "zebra"}),
		"database-away":       DatabaseShow(f(shaped, layout.NavDatabases, "Databases", "sushi", shaped), awayView(show)),
		"styleguide":          Styleguide(f("Styleguide", layout.NavNone, "Styleguide")),
		"database-revealed":   DatabaseShow(f(shaped, layout.NavDatabases, "Databases", "sushi", shaped), revealed(show)),
		"operation-cancelled": ops(cancelledView()),
	}
}

// asset stands for static.Files.URL, which views must not import.
func asset(name string) string { return "/static/" + name }

func wide(f layout.Frame) layout.Frame { f.Wide = true; return f }

func away(f layout.Frame) layout.Frame { f.ControlAway = true; return f }

func newView(t *testing.T, c platform.Catalogue) DatabaseNewView {
	t.Helper()
	return DatabaseNewView{
		Form: component.Form{CSRF: "token-of-the-session"}, Plans: c.Plans, Apps: []string{"sushi"}, StartedAt: time.Now().Add(-41 * time.Second), URL: "http://127.0.0.1:8090", Email: "mei@example.com",
		Installed: []Installed{{17, "17.6", "/usr/lib/postgresql/17/bin"}, {15, "15.14", "/usr/lib/postgresql/15/bin"}},
		Found: []component.Check{
			{Tone: component.ToneOK, Label: "PostgreSQL 17.6", Detail: "/usr/lib/postgresql/17/bin", Mono: true},
			{Tone: component.ToneOK, Label: "Control database", Detail: "embedded, answers in 1.2 ms"},
			{Tone: component.ToneWarn, Label: "Zones", Detail: "1: a follower would be on the same machine"},
			{Tone: component.ToneOK, Label: "Disk", Detail: "812 GB free"},
		},
	}
}

const secretURL = "postgres://u4f0a91:hunter2secret@127.0.0.1:20001/d8k2?sslmode=require"

func showView(t *testing.T, c platform.Catalogue) DatabaseShowView {
	t.Helper()
	plan, err := c.Plan("standard-0")
	if err != nil {
		t.Fatal(err)
	}
	one, ms := 61, 138.0
	zero := 0.0
	end := sampleTime()
	return DatabaseShowView{
		May: platform.RoleManage,
		ID:  12, Name: "postgresql-shaped-12345", AppName: "sushi", Plan: plan, State: platform.DatabaseAvailable,
		Status: component.Status{Tone: component.ToneOK, Word: "Available"}, Role: component.Role{Kind: component.RoleLeader, Note: "2 followers"},
		Topology: sampleTopology(), Lag: samplePlot(),
		Facts: DatabaseFacts{
			Answers: true, Version: "17.6", Connections: 87, ConnectionLimit: 120, DataBytes: 38<<30 + 400<<20, Tables: 142, ForkFollow: "Available", CreatedAt: sampleTime().AddDate(0, -7, 0), Zone: "a", Port: 20001, CostCents: 1253,
			Followers: []component.Link{{Text: "WHITE", URL: "#"}, {Text: "LAVENDER", URL: "#"}},
		},
		Connection: ConnectionView{DatabaseName: "postgresql-shaped-12345", Masked: "postgres://u4f0a91:••••••••@127.0.0.1:20001/d8k2?sslmode=require"},
		Attachments: []AttachmentRow{
			{ID: 1, AppName: "sushi", Name: "DATABASE", ConfigVar: "DATABASE_URL", Primary: true, Connections: &one},
			{ID: 2, AppName: "kitchen", Name: "HEROKU_POSTGRESQL_COBALT", ConfigVar: "HEROKU_POSTGRESQL_COBALT_URL"},
		},
		AttachForm: component.Form{CSRF: "token-of-the-session"}, Apps: []string{"sushi", "kitchen"},
		Activity: ActivityView{May: platform.RoleManage, DatabaseName: "postgresql-shaped-12345", Working: 3, Idle: 82, Total: 87, Rows: []ActivityRow{
			{PID: 21877, State: "idle in transaction", Source: "psql, mei@", Running: 842 * time.Second, Waiting: "Client", Query: "select * from orders where id = 881204 for update", CanCancel: true},
			{PID: 30412, State: "active", Source: "sushi worker.1", Running: 3204 * time.Millisecond, Waiting: "Lock, 21877", Query: "update orders set state = 'packed' where id = 881204 and state = 'paid' returning id, state, updated_at, customer_id", CanCancel: true},
			{PID: 29951, State: "active", Source: "sushi web.1", Running: 2 * time.Millisecond, Query: "commit", CancelRefusal: "It waits for its standby: a cancelled wait would count as acknowledged."},
		}},
		HistoryTotal: 4,
		History: []HistoryRow{
			{OperationID: 40, Title: "Renew the infrastructure", Note: "standard-0, follower changeover", Tone: component.ToneOK, RequestedAt: sampleTime(), EndedAt: &end, OutageMS: &ms},
			{OperationID: 39, Title: "Renew, put back", Note: "deadline of 30 s passed", Tone: component.ToneBack, RequestedAt: sampleTime(), EndedAt: &end, OutageMS: &ms},
			{OperationID: 38, Title: "Create follower LAVENDER", Tone: component.ToneOK, RequestedAt: sampleTime(), EndedAt: &end, OutageMS: &zero},
			{OperationID: 37, Title: "Create database", Tone: component.ToneOK, RequestedAt: sampleTime(), EndedAt: &end},
		},
		Danger: []DangerItem{
			{Title: "Fence", Text: "It refuses every write until it is unfenced. Connections end once.", Button: "Fence…", URL: "/databases/postgresql-shaped-12345/fence", TestID: "fence"},
			{Title: "Destroy this database", Refusal: "It is the DATABASE_URL of sushi and has 2 followers. Both must be changed first.", Button: "Destroy postgresql-shaped-12345"},
		},
	}
}

func revealed(v DatabaseShowView) DatabaseShowView {
	v.Connection.URL = secretURL
	v.Notes = []component.Status{{Tone: component.ToneWarn, Word: "Fenced since 15:07.", Note: "It was replaced by postgresql-angular-20431 and costs $50 a month until it is destroyed."}}
	v.ChangePlanRefusal = "It is fenced: change the plan of the database that replaced it."
	return v
}

// awayView is a database that does not answer.
func awayView(v DatabaseShowView) DatabaseShowView {
	v.Status = component.Status{Tone: component.ToneBad, Word: "Does not answer"}
	v.Facts.Answers, v.Facts.UnknownSince, v.Facts.Problem = false, sampleTime(), "The server on port 20001 refuses connections."
	v.Topology = sampleTopologyAlone()
	v.Activity = ActivityView{DatabaseName: v.Name, Problem: "It cannot be asked: the server on port 20001 refuses connections."}
	v.Lag.Series, v.History, v.HistoryTotal = nil, nil, 0
	return v
}

func creatingView(t *testing.T, c platform.Catalogue) DatabaseShowView {
	v := showView(t, c)
	v.State, v.Status = platform.DatabaseCreating, component.Status{Tone: component.ToneBusy, Word: "Creating", Note: "step 2 of 5"}
	v.Facts = DatabaseFacts{Answers: true, CreatedAt: time.Now(), Zone: "a", Following: &component.Link{Text: "shaped-12345", URL: "#"}}
	now := time.Now().Add(-3 * time.Second)
	done := now.Add(212 * time.Millisecond)
	pct := 31
	v.Operation = &OperationCard{ID: 7, Title: "Create follower", Status: component.Status{Tone: component.ToneBusy, Word: "Running, step 2 of 4"}, Step: 2, Steps: 4, Percent: 40, CanCancel: true, Copied: 12 << 30, Bytes: 38 << 30, Timeline: component.Timeline{Steps: []component.TimelineStep{
		{Position: 1, Name: "reserve", Title: "Reserve a port", State: platform.StepDone, StartedAt: &now, FinishedAt: &done},
		{Position: 2, Name: "copy", Title: "Copy the leader", Detail: "12.0 of 38.0 GB at 165 MB/s, about 3 min more", State: platform.StepRunning, StartedAt: &done, Percent: &pct},
		{Position: 3, Name: "start", Title: "Start it", State: platform.StepPending, Usual: 1081 * time.Millisecond},
		{Position: 4, Name: "wait", Title: "Wait until it has caught up", State: platform.StepPending},
	}}}
	return v
}

func changeView(c platform.Catalogue) ChangePlanView {
	today, _ := c.Plan("standard-0")
	target, _ := c.Plan("standard-2")
	v := ChangePlanView{
		Form: component.Form{CSRF: "token-of-the-session"}, DatabaseName: "postgresql-shaped-12345", AppName: "sushi", Plan: today, Version: "17.6", DataBytes: 38 << 30, Connections: 6, ConnectionLimit: 120, Target: target, Method: "changeover",
		Tier: "standard", Tiers: []TierChoice{{Name: "essential", Title: "Essential", Refusal: "Essential is not offered: 37.9 GB is more than the 32 GB of essential-2."}, {Name: "standard", Title: "Standard", Selected: true}, {Name: "premium", Title: "Premium"}, {Name: "private", Title: "Private"}, {Name: "shield", Title: "Shield"}},
		Follower: "postgresql-angular-20431", Followers: []FollowerPick{{Name: "postgresql-angular-20431", Plan: "standard-2", Zone: "b", Lag: &platform.Lag{Known: true, Commits: 125, Bytes: 1887437, Seconds: .4}, Selected: true, Note: "ready now"}, {Name: "postgresql-lively-61177", Plan: "standard-0", Zone: "c", Refusal: "It is on standard-0, and standard-2 was chosen."}},
		NewFollower: FollowerPick{Name: "new", Plan: "standard-2", Note: "about 4 min first; the app goes on"},
		CheckedAt:   time.Now(), Checks: sampleChecks()[:7], Timeline: samplePlan(), ConnectedTotal: 6, HasJobs: true, ExpectedMS: 142, ExpectedFrom: "from 3 switches of this data: 138, 142, 151 ms",
		Connected: []component.Connected{{Name: "sushi web.1", Count: 3}, {Name: "sushi worker.1", Count: 2}, {Name: "psql, jun@", Count: 1}},
		NotMoving: []string{"Follower LAVENDER", "HEROKU_POSTGRESQL_COBALT on kitchen"},
	}
	for _, p := range c.OfTier("standard") {
		v.Choices = append(v.Choices, PlanChoice{Plan: p, Today: p.Name == today.Name, Selected: p.Name == target.Name})
	}
	v.Methods = []Method{
		{Key: "upgrade", Title: "Upgrade", Text: "Keeps the name, moves the followers, waits for the window.", State: "Not available yet", Why: "Changeover cannot do it yet.", WouldHelp: "It needs maintenance windows and a replacement that takes the name over. Follower changeover gives the same plan today.", Version: MethodCell{"would stay 17.6", ""}, Names: MethodCell{"would keep its name", ""}},
		{Key: "changeover", Title: "Follower changeover", Text: "A follower on the new plan becomes the leader, at once.", Possible: true, State: "Yes", Recommended: true, RecommendedWhy: "The only one that is possible today.", Version: MethodCell{"stays 17.6", ""}, Outage: MethodCell{"0.14 s", "from 3 switches of this data: 138, 142, 151 ms"}, Preparation: MethodCell{"none, the follower is ready", ""}, ExtraCost: MethodCell{"$50 a month", "the old leader, until it is destroyed"}, Followers: MethodCell{"1 stays behind", "one button re-creates it"}, Names: MethodCell{"new name; DATABASE_URL moves", ""}, UndoUntil: MethodCell{"the follower is unfollowed", "step 8 of 13"}},
		{Key: "copy", Title: "Copy", Text: "Dump and load into a new database. The way across major versions.", State: "Not available yet", Why: "Changeover cannot do it yet.", WouldHelp: "It needs the parallel copy, which is not built."},
	}
	return v
}

func heldView(c platform.Catalogue) ChangePlanView {
	v := changeView(c)
	v.Hold = &PlanHold{Title: "Follower changeover is running", Why: "A database changes by one operation at a time, and this one has it.",
		ToDo: "Wait until it has ended, or look whether it can still be cancelled. Then look here again: what you have chosen stays.",
		Acts: []component.Button{{Text: "Open the operation", URL: "/operations/1"}, {Text: "Look again", URL: "/databases/postgresql-shaped-12345/change-plan"}}}
	return v
}

func askingView(c platform.Catalogue) ChangePlanView {
	v := changeView(c)
	v.Checks, v.CheckedAt, v.Asking = nil, time.Time{}, true
	v.Connected, v.ConnectedProblem = nil, "Its server has not answered yet. What it says comes here by itself."
	return v
}
