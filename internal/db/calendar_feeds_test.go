package db_test

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

func TestCalendarFeedHasOneTokenAndKeepsItsHash(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	mei, jun := dbtest.User(t, pool, "mei@example.com"), dbtest.User(t, pool, "jun@example.com")
	_, there, err := db.CalendarFeedOf(ctx, pool, mei.ID)
	noError(t, err)
	if there {
		t.Fatal("a feed before one was made")
	}
	first := must(db.CreateCalendarFeed(ctx, pool, mei.ID))(t)
	second := must(db.CreateCalendarFeed(ctx, pool, mei.ID))(t)
	other := must(db.CreateCalendarFeed(ctx, pool, jun.ID))(t)
	_, err = db.FindCalendarFeed(ctx, pool, first)
	wantSentence(t, err, platform.KindNotFound, "", "revoked")
	if f := must(db.FindCalendarFeed(ctx, pool, second))(t); f.UserID != mei.ID || f.LastFetchedAt != nil {
		t.Errorf("%+v", f)
	}
	if f := must(db.FindCalendarFeed(ctx, pool, other))(t); f.UserID != jun.ID {
		t.Errorf("%+v", f)
	}
	f, there, err := db.CalendarFeedOf(ctx, pool, mei.ID)
	noError(t, err)
	if !there || f.LastFetchedAt == nil {
		t.Errorf("%+v: it was fetched", f)
	}
	var stored string
	noError(t, pool.QueryRow(ctx, `select string_agg(f::text, ' ') from calendar_feeds f`).Scan(&stored))
	if strings.Contains(stored, second) || stored == "" {
		t.Errorf("the token is stored: %s", stored)
	}
	noError(t, db.DeleteCalendarFeed(ctx, pool, mei.ID))
	_, err = db.FindCalendarFeed(ctx, pool, second)
	wantSentence(t, err, platform.KindNotFound, "", "revoked")
	wantSentence(t, db.DeleteCalendarFeed(ctx, pool, mei.ID), platform.KindNotFound, "", "")
}

func TestCalendarEventGrowsItsRevisionAndKeepsItsUID(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	d := dbtest.Database(t, pool, dbtest.App(t, pool, "sushi").ID, 20000)
	at := thursday.Add(24 * time.Hour)
	m := maintenance(t, pool, d, &at)
	event := func() db.CalendarEvent {
		t.Helper()
		list := must(db.CalendarEvents(ctx, pool, db.MaintenanceFilter{}, thursday))(t)
		if len(list) != 1 || list[0].ID != m.ID {
			t.Fatalf("%+v", list)
		}
		return list[0]
	}
	before := event()
	later := at.Add(7 * 24 * time.Hour)
	noError(t, db.ScheduleMaintenance(ctx, pool, m.ID, &later, true, "jun", ""))
	after := event()
	if after.CalendarUID != before.CalendarUID || len(after.CalendarUID) != 36 || after.Revision <= before.Revision || !after.ScheduledAt.Equal(later) {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	noError(t, db.EndMaintenance(ctx, pool, m.ID, platform.MaintenanceCancelled, thursday.Add(time.Hour), nil, "not now"))
	if ended := event(); ended.Revision <= after.Revision || ended.State != platform.MaintenanceCancelled || !ended.ScheduledAt.Equal(later) {
		t.Errorf("%+v", ended)
	}
	if list := must(db.CalendarEvents(ctx, pool, db.MaintenanceFilter{}, thursday.Add(2*time.Hour)))(t); len(list) != 0 {
		t.Errorf("what ended before: %+v", list)
	}
}

// What somebody sees of maintenances are those of databases whose app, or an
// app that they are attached to, gives a role.
func TestMaintenancesAreSeenThroughApps(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	sushi, ramen, soba := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen"), dbtest.App(t, pool, "soba")
	at := thursday
	own := maintenance(t, pool, dbtest.Database(t, pool, sushi.ID, 20000), &at)
	attached := dbtest.Database(t, pool, ramen.ID, 20001)
	must(inTx(t, pool, func(tx pgx.Tx) (platform.Attachment, error) {
		return db.Attach(ctx, tx, db.NewAttachment{AppID: sushi.ID, DatabaseID: attached.ID, Name: "REPORTING", Actor: "chef"})
	}))(t)
	lent := maintenance(t, pool, attached, &at)
	foreign := maintenance(t, pool, dbtest.Database(t, pool, soba.ID, 20002), &at)
	noError(t, db.EndMaintenance(ctx, pool, foreign.ID, platform.MaintenanceFailed, thursday, nil, ""))

	for _, c := range []struct {
		access       *platform.Access
		coming, past int
	}{
		{nil, 2, 1},
		{&platform.Access{Admin: true}, 2, 1},
		{&platform.Access{Apps: map[int64]platform.Role{sushi.ID: platform.RoleView}}, 2, 0},
		{&platform.Access{Apps: map[int64]platform.Role{ramen.ID: platform.RoleView}}, 1, 0},
		{&platform.Access{Apps: map[int64]platform.Role{soba.ID: platform.RoleManage}}, 0, 1},
		{&platform.Access{}, 0, 0},
	} {
		f := db.MaintenanceFilter{Access: c.access}
		coming, past := must(db.ComingMaintenances(ctx, pool, f))(t), must(db.PastMaintenances(ctx, pool, f))(t)
		events := must(db.CalendarEvents(ctx, pool, f, thursday.Add(-time.Hour)))(t)
		between := must(db.MaintenancesBetween(ctx, pool, f, thursday, thursday.Add(time.Hour)))(t)
		if len(coming) != c.coming || len(past) != c.past || len(events) != c.coming+c.past || len(between) != c.coming ||
			must(db.CountComingMaintenances(ctx, pool, f))(t) != c.coming || must(db.CountPastMaintenances(ctx, pool, f))(t) != c.past {
			t.Errorf("%+v: %d coming, %d past, %d events, %d between", c.access, len(coming), len(past), len(events), len(between))
		}
		if c.coming == 1 && coming[0].ID != lent.ID || c.coming == 2 && coming[0].ID != own.ID {
			t.Errorf("%+v", coming)
		}
	}
}
