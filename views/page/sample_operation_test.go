package page

import (
	"time"

	"changeover/internal/platform"
	"changeover/views/component"
)

func runningView() OperationShowView {
	s := sampleStanding(true, false)
	v := OperationShowView{
		ID: 41, Kind: platform.FollowerChangeover, Title: "Follower changeover", State: platform.OperationRunning, Status: component.Status{Tone: component.ToneBusy, Word: "Running, step 7 of 13"},
		DatabaseName: "postgresql-shaped-12345", FromPlan: "standard-0", ToPlan: "standard-2", AppName: "sushi", RequestedBy: "mei@example.com", RequestedAt: sampleTime(), Step: 7, Steps: 13, Attempt: 1,
		Timeline: sampleRunning(), CanCancel: true, Standing: &s, ConnectedTotal: 27, ConnectedDatabase: "postgresql-shaped-12345",
		Connected: []component.Connected{{Name: "kitchen web.1", Note: "2 refused writes", Count: 25}, {Name: "psql, mei@", PID: 21877, Note: "pid 21877, idle in transaction for 14 min", CanEnd: true, DatabaseName: "postgresql-shaped-12345"}},
		NotMoving: []string{"Follower LAVENDER, postgresql-lively-61177", "HEROKU_POSTGRESQL_COBALT on kitchen"},
	}
	at := time.Now().Add(-2318 * time.Millisecond)
	v.Timeline.Band.RefusedAt = &at
	v.Timeline.Steps[6].StartedAt = &at
	return v
}

// pooledView waits for transactions through the connection pools.
func pooledView() OperationShowView {
	v := runningView()
	v.Timeline.Band.RefusedAt = nil
	v.Moving = []string{"Connection pool DATABASE_CONNECTION_POOL of sushi: its clients wait, and its URL stays."}
	v.Pooled = []component.Connected{{PID: 8117, Name: "idle in transaction", Note: "pid 8117, open for 41 s: select 1", Count: 1, DatabaseName: v.DatabaseName, CanEnd: true}}
	v.Connected = nil
	return v
}

func doneView() OperationShowView {
	v := runningView()
	s, o, end := sampleStanding(false, true), sampleOutage(), sampleTime().Add(280*time.Second)
	held := 171.2
	o.HeldMS = &held
	v.State, v.Status, v.CanCancel, v.EndedAt = platform.OperationCompleted, component.Status{Tone: component.ToneOK, Word: "Completed"}, false, &end
	v.TargetName, v.Timeline, v.Standing, v.Outage = "postgresql-angular-20431", sampleDone(), &s, &o
	v.LeftToDo = []Todo{
		{Title: "The old leader is still billed", Text: "postgresql-shaped-12345 is fenced and costs $50 a month until it is destroyed.", Act: component.Button{Text: "Destroy…", Danger: true, URL: "/databases/postgresql-shaped-12345/destroy", TestID: "todo-destroy"}},
		{Title: "Follower LAVENDER follows the old leader", Text: "Re-create it on the new one: about 4 min, then the old follower can go.", Act: component.Button{Text: "Re-create LAVENDER", Post: true, URL: "/databases/postgresql-angular-20431/followers"}},
		{Title: "kitchen still has the old leader as COBALT", Text: "It can only read there. Attaching makes a release of kitchen.", Act: component.Button{Text: "Attach the new leader", Post: true, URL: "/x"}},
	}
	v.Facts = []component.Fact{{Label: "Requested by", Value: "mei@example.com"}, {Label: "Release", Value: "v72 of sushi"}, {Label: "PG Version", Value: "17.6, as before"}, {Label: "Last WAL of the old leader", Value: "3A/F2006C28", Mono: true}, {Label: "Timeline of the new leader", Value: "4"}, {Label: "Price", Value: "$50 → $200 a month"}}
	return v
}

func undoneView() OperationShowView {
	v := runningView()
	s, verdict, end := sampleStanding(false, false), sampleVerdict(), sampleTime().Add(280*time.Second)
	sessions, ms := 14, 30071.0
	v.State, v.Status, v.CanCancel, v.EndedAt = platform.OperationUndone, component.Status{Tone: component.ToneBack, Word: "Put back"}, false, &end
	v.Timeline, v.Standing, v.Verdict = sampleUndone(), &s, &verdict
	v.Verdict.Acts = []component.Button{{Text: "Cancel pid 8817", Post: true, URL: "/databases/postgresql-angular-20431/activity/8817/cancel"}, {Text: "Terminate", Post: true, Danger: true, URL: "/databases/postgresql-angular-20431/activity/8817/terminate"}}
	v.Outage = &component.Outage{RefusedMS: ms, RefusedAt: sampleTime(), AcceptedAt: end, SessionsEnded: &sessions, Undone: true}
	v.CanRetry, v.RetryFrom = true, 6
	v.Attempts = []AttemptRow{{StartedAt: sampleTime(), Status: component.Status{Tone: component.ToneBack, Word: "put back"}, OutageMS: &ms}}
	v.Facts = []component.Fact{{Label: "Requested by", Value: "jun@"}, {Label: "Releases made", Value: "none"}, {Label: "Config vars changed", Value: "none"}}
	return v
}

func cancelledView() OperationShowView {
	v := runningView()
	v.State, v.CancelRequestedBy, v.Status = platform.OperationUndoing, "mei@example.com", component.Status{Tone: component.ToneBack, Word: "Putting back, step 7 of 13"}
	v.NeedsPerson, v.Timeline.Undoing = true, true
	v.Verdict = &Verdict{Tone: component.ToneBad, Title: "A person is needed: postgresql-shaped-12345 does not start", Text: "Its log ends with: could not bind IPv4 address.", Why: "Another program has taken port 20001.", Means: "sushi cannot write. Nothing acknowledged is missing.", ToDo: "Stop that program, then retry.", Acts: []component.Button{{Text: "Retry the start", Post: true, URL: "/operations/41/retry"}}}
	return v
}

func appView() AppShowView {
	return AppShowView{
		May:  platform.RoleManage,
		Name: "sushi", CreatedAt: sampleTime(), MonthlyCents: 25000, VarForm: component.Form{CSRF: "t"}, FormationForm: component.Form{CSRF: "t"},
		ConfigVars:  []ConfigVarRow{{Name: "DATABASE_URL", Attachment: "DATABASE", Database: "postgresql-shaped-12345"}, {Name: "LOG_LEVEL", Value: "info", Revealed: true}, {Name: "SECRET_KEY", Value: ""}, {Name: "TIMEZONE", Value: "Europe/Berlin", Editing: true}},
		Attachments: []AppAttachment{{Name: "DATABASE", ConfigVar: "DATABASE_URL", Database: component.Link{Text: "postgresql-shaped-12345", URL: "#"}, Plan: "standard-0", Role: component.Role{Kind: component.RoleLeader}, Status: component.Status{Tone: component.ToneOK, Word: "Available"}, Primary: true}},
		Formation:   []platform.Process{{Type: "web", Quantity: 2}, {Type: "worker", Quantity: 1}},
		Releases:    []platform.Release{{Number: 72, Description: "Promote postgresql-angular-20431 to DATABASE_URL", Actor: "mei@example.com", CreatedAt: sampleTime()}, {Number: 71, Description: "Set LOG_LEVEL", Actor: "mei@example.com", CreatedAt: sampleTime()}}, ReleaseTotal: 72,
		DestroyRefusal: "It still has a database: destroy or detach postgresql-shaped-12345 first.",
	}
}

func noticeView() NoticeIndexView {
	return NoticeIndexView{
		MarkAllURL: "/notices/read", AllURL: "/notices", UnreadURL: "/notices?filter=unread", ClearURL: "/notices", BackURL: "/notices",
		Filter: NoticeFilter{Apps: []string{"sushi"}, Databases: []string{"postgresql-shaped-12345"}, Kinds: []NoticeKindChoice{{Group: "Followers", Value: "follower_ready", Title: "Follower ready"}}},
		Unread: 2, Total: 212, Position: 1, Opened: true,
		Groups: []NoticeGroup{
			{Title: "Today", Items: []NoticeItem{
				{ID: 9, Tone: component.ToneOK, Subject: "Completed: follower changeover", Database: "postgresql-shaped-12345", Summary: "Writes were refused for 142 ms. Nothing acknowledged is missing.", At: sampleTime(), Selected: true, Read: true},
				{ID: 8, Tone: component.ToneWarn, Subject: "A query holds up the follower", Database: "postgresql-sinuous-30982", Summary: "1,388 MB behind. pid 8123 is ended at 15:02.", At: sampleTime()},
			}},
			{Title: "Earlier", Items: []NoticeItem{{ID: 7, Tone: component.ToneOK, Subject: "Follower LAVENDER is readable", Database: "postgresql-lively-61177", Summary: "It caught up after 3 min 58 s.", At: sampleTime().AddDate(0, 0, -1), Read: true}}},
		},
		Selected: &NoticeShow{
			ID: 9, Tone: component.ToneOK, Subject: "Completed: follower changeover of postgresql-shaped-12345", To: "mei@example.com", At: sampleTime(), Database: component.Link{Text: "postgresql-shaped-12345", URL: "#"}, App: component.Link{Text: "sushi", URL: "#"}, Read: true, Figures: []component.Figure{{Label: "Writes refused", Value: "142", Unit: "ms"}, {Label: "Sessions ended", Value: "14"}},
			Body: []NoticePart{{Text: "sushi writes to postgresql-angular-20431 on standard-2."}, {Lead: "Why.", Text: "It was asked for.", Lines: []string{"connection 8123 (report), open for 21m0s: select 1"}}, {Lead: "What to do.", Text: "The old leader is fenced and billed until it is destroyed."}},
			Acts: []component.Button{{Text: "Open the operation", URL: "/operations/41"}},
		},
	}
}

func confirmView() ConfirmView {
	return ConfirmView{
		Form: component.Form{CSRF: "t"}, Title: "Destroy postgresql-shaped-12345", Lead: "The database, its data and its backups on this machine are removed. Nobody can bring them back.",
		Consequences: []component.Check{{Tone: component.ToneBad, Label: "Data", Detail: "38.4 GB in 142 tables are deleted"}, {Tone: component.ToneWarn, Label: "Config vars", Detail: "HEROKU_POSTGRESQL_AMBER_URL of sushi is removed: release v73"}, {Tone: component.ToneOK, Label: "Billing", Detail: "ends now, at $12.53"}},
		ConfirmWord:  "sushi", ConfirmWhat: "the app's name", Button: "Destroy postgresql-shaped-12345", Destructive: true, PostURL: "/databases/postgresql-shaped-12345/destroy", Back: component.Link{Text: "Keep it", URL: "/databases/postgresql-shaped-12345"},
	}
}
