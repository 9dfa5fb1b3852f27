package page

import (
	"changeover/internal/platform"
	"changeover/views/component"
	"time"
)

func number(n float64) *float64 { return &n }

func sampleForm() component.Form {
	return component.Form{Errors: map[string]string{"app": "An app's name has 2 to 30 lower-case letters, digits and hyphens. Change \"Sushi!\" to that."}}
}

func sampleDatabases() DatabaseIndexView {
	ok := component.Status{Tone: component.ToneOK, Word: "Available"}
	row := func(n int64, name, app, plan string, s component.Status, r component.Role, lag *platform.Lag, c, limit int, data, storage int64, cents int64) DatabaseRow {
		return DatabaseRow{ID: n, Name: "postgresql-" + name, AppName: app, Plan: plan, Status: s, Role: r, Lag: lag, Connections: c, ConnectionLimit: limit, DataBytes: data << 20, StorageBytes: storage << 30, Answers: true, MonthlyCents: cents}
	}
	leader := component.Role{Kind: component.RoleLeader, Note: "2 followers"}
	v := DatabaseIndexView{Total: 7, AppCount: 4, Running: 2, MonthCents: 117000, SpentCents: 29442, Month: "October", AttentionCount: 3, LeaderCount: 4, FollowerCount: 3}
	a := row(1, "horizontal-33871", "bento", "premium-2", component.Status{Tone: component.ToneBack, Word: "Changeover put back", Note: "12 minutes ago"}, leader, nil, 212, 400, 141<<10, 256, 35000)
	a.Attention, a.Act = "The follower had 41 commits to go when the deadline of 30 s passed. bento writes to the old leader again; no commit was lost.", component.Button{Text: "See why, retry", URL: "/operations/40"}
	b := row(2, "sinuous-30982", "tempura", "standard-0", component.Status{Tone: component.ToneWarn, Word: "Held up by a query", Note: "48 min"}, component.Role{Kind: component.RoleFollower, Note: "of round-40218"}, &platform.Lag{Known: true, Commits: 18204, Bytes: 1388 << 20, Seconds: 2880}, 34, 120, 52429, 64, 5000)
	b.Attention, b.Act = "A query of metabase (pid 8123) stops this follower from replaying. It is ended at 15:02 unless somebody does first.", component.Button{Text: "Look at activity", URL: "/databases/postgresql-sinuous-30982#activity"}
	c := row(3, "cubic-71240", "miso", "essential-2", component.Status{Tone: component.ToneBad, Word: "Storage 94 % full"}, component.Role{Kind: component.RoleLeader}, nil, 31, 40, 30822, 32, 2000)
	c.Attention, c.Act = "At the pace of the last 7 days it is full on Mon 12 Oct. standard-0 holds 64 GB; out of Essential the way is a copy.", component.Button{Text: "Change plan", URL: "/databases/postgresql-cubic-71240/change-plan"}
	v.Attention = []DatabaseRow{a, b, c}
	white := row(5, "angular-20431", "sushi", "standard-2", ok, component.Role{Kind: component.RoleFollower, Note: "of shaped-12345"}, &platform.Lag{Known: true, Commits: 125, Bytes: 1887437, Seconds: .4}, 14, 400, 39321, 256, 20000)
	white.AttachmentName = "HEROKU_POSTGRESQL_WHITE"
	away := row(7, "tangled-02194", "soba", "standard-0", component.Status{Tone: component.ToneBusy, Word: "Creating", Note: "step 2 of 5"}, component.Role{Kind: component.RoleFollower, Note: "of shaped-12345"}, &platform.Lag{Since: sampleTime()}, 0, 120, 0, 64, 5000)
	away.Answers = false
	v.Rest = []DatabaseRow{
		row(4, "shaped-12345", "sushi", "standard-0", ok, leader, nil, 87, 120, 39321, 64, 5000),
		white,
		row(6, "flat-70954", "sushi-staging", "standard-0", ok, component.Role{Kind: component.RoleFork, Note: "of shaped-12345"}, nil, 6, 120, 2250, 64, 5000),
		away,
	}
	return v
}

// sampleWeek has a switch alone, one beside windows, more than there is room
// for, one across midnight, and a blackout.
func sampleWeek() component.Week {
	from := sampleTime().Truncate(24 * time.Hour)
	at := func(day int, hour float64) time.Time {
		return from.AddDate(0, 0, day).Add(time.Duration(hour * float64(time.Hour)))
	}
	span := func(kind component.WeekKind, begin time.Time, title, text string) component.WeekSpan {
		return component.WeekSpan{Kind: kind, From: begin, Until: begin.Add(4 * time.Hour), Title: title, Text: text, URL: "#", Name: "postgresql-shaped-12345"}
	}
	w := component.Week{From: from, Now: sampleTime(), Spans: []component.WeekSpan{
		span(component.WeekDone, at(0, 2), "soba, done 02:04", "refused 127 ms"),
		{Kind: component.WeekBlackout, From: at(1, 12), Until: at(3, 0), Title: "Blackout", Text: "autumn sale, all apps"},
		span(component.WeekDue, at(3, 2), "sushi-staging", "switch at 02:00"),
		span(component.WeekDue, at(4, 3.5), "tempura", "switch at 03:30"),
		span(component.WeekIdle, at(4, 2), "sushi", "window, nothing due"),
		span(component.WeekIdle, at(4, 4), "yuzu", "window, nothing due"),
		span(component.WeekIdle, at(5, 16), "larder", "window, nothing due"),
		span(component.WeekDue, at(6, 21), "ramen", "switch at 21:00, to 01:00"),
	}}
	for _, app := range []string{"kitchen", "bento", "udon", "miso"} {
		w.Spans = append(w.Spans, span(component.WeekDue, at(5, 8), app, "switch at 08:00"))
	}
	return w
}
