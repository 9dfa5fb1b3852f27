package db_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5/pgxpool"
)

// What pages say is unread is added up from sums; whatever was done, it is what
// counting one by one gives, for everybody and every part of the mailbox.
func TestNoticeSumsAreWhatCountingGives(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	random := rand.New(rand.NewPCG(3, 5))
	users := []db.User{dbtest.User(t, pool, "chef@example.com"), dbtest.User(t, pool, "waiter@example.com"), dbtest.User(t, pool, "guest@example.com")}
	apps := []platform.App{dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen"), dbtest.App(t, pool, "udon")}
	var databases []platform.Database
	for i, app := range apps {
		databases = append(databases, dbtest.Database(t, pool, app.ID, 21001+i))
	}
	some := func(ids ...int64) *int64 {
		if i := random.IntN(len(ids) + 1); i < len(ids) {
			return &ids[i]
		}
		return nil
	}
	var notices []int64
	any := func() int64 { return notices[random.IntN(len(notices))] }
	for i := range 300 {
		user := users[random.IntN(len(users))].ID
		switch what := random.IntN(20); {
		case what < 9 || len(notices) == 0:
			n := db.NewNotice{Kind: platform.NoticeFollowerReady, DatabaseID: some(databases[0].ID, databases[1].ID, databases[2].ID), AppID: some(apps[0].ID, apps[1].ID, apps[2].ID), Subject: "s", Body: "b"}
			switch random.IntN(4) {
			case 0:
				n.UserID = &user
			case 1: // about several
				n.DatabaseID, n.AppID = nil, nil
				for _, i := range random.Perm(len(databases))[:1+random.IntN(len(databases))] {
					n.Several = append(n.Several, db.NewNoticePart{DatabaseID: databases[i].ID})
				}
			}
			notices = append(notices, must(db.CreateNotice(ctx, pool, n))(t))
		case what < 16:
			if err := db.SetNoticeRead(ctx, pool, user, any(), what < 14); err != nil && platform.KindOf(err) != platform.KindNotFound {
				t.Fatal(err)
			}
		case what == 16:
			noError(t, db.MarkNoticesRead(ctx, pool, user, platform.Everything(), db.NoticeFilter{UpToID: any(), DatabaseID: databases[1].ID}))
		case what == 17:
			noError(t, db.FoldNoticeSums(ctx, pool))
		case what == 18:
			_, err := pool.Exec(ctx, "update notices set at = now() - interval '1 year' where id = $1", any())
			noError(t, err)
		default:
			must(db.DeleteOldNotices(ctx, pool, time.Now().Add(-time.Hour), 3))(t)
			var left []int64
			noError(t, pool.QueryRow(ctx, "select coalesce(array_agg(id), '{}') from notices").Scan(&left))
			notices = left
		}
		if i%30 == 0 || i > 295 {
			compareSums(t, pool, users, apps, databases, notices)
		}
	}
	// Somebody who goes takes their marks along, and what was theirs alone.
	_, err := pool.Exec(ctx, "delete from users where id = $1", users[2].ID)
	noError(t, err)
	compareSums(t, pool, users, apps, databases, notices)
}

func compareSums(t *testing.T, pool *pgxpool.Pool, users []db.User, apps []platform.App, databases []platform.Database, notices []int64) {
	t.Helper()
	ctx := t.Context()
	for _, user := range users {
		for _, access := range []platform.Access{platform.Everything(), {Apps: map[int64]platform.Role{apps[0].ID: platform.RoleView}}, {}} {
			for _, f := range []db.NoticeFilter{{}, {AppID: apps[0].ID}, {AppID: apps[1].ID}, {DatabaseID: databases[1].ID}, {DatabaseID: -1}} {
				than := int64(0)
				if len(notices) > 0 {
					than = notices[len(notices)*2/3]
				}
				got := must(db.CountNotices(ctx, pool, user.ID, access, f, than))(t)
				var want db.NoticeCounts
				f.Limit = 1000
				for _, n := range must(db.ListNotices(ctx, pool, user.ID, access, f))(t) {
					want.Total++
					if !n.Read {
						want.Unread++
					}
					if n.ID > than {
						want.Newer++
					}
				}
				f.UnreadOnly = true
				listed := len(must(db.ListNotices(ctx, pool, user.ID, access, f))(t))
				if got != want || listed != want.Unread {
					t.Fatalf("of %+v: counted %+v with %d listed as unread, want %+v", f, got, listed, want)
				}
				if f.AppID == 0 && f.DatabaseID == 0 {
					if rail := must(db.RailOf(ctx, pool, user.ID, access))(t); rail.UnreadNotices != want.Unread {
						t.Fatalf("the rail says %d unread, want %d", rail.UnreadNotices, want.Unread)
					}
				}
			}
		}
	}
}

// Sums that are added up by two at once, beside changes, lose and double nothing.
func TestNoticeSumsAreFoldedBesideChanges(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	chef := dbtest.User(t, pool, "chef@example.com")
	d := dbtest.Database(t, pool, dbtest.App(t, pool, "sushi").ID, 21001)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range 40 {
				id, err := db.CreateNotice(ctx, pool, db.NewNotice{Kind: platform.NoticeFollowerReady, DatabaseID: &d.ID, Subject: "s", Body: "b"})
				if err == nil && id%3 == 0 {
					err = db.SetNoticeRead(ctx, pool, chef.ID, id, true)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for range 30 {
				if err := db.FoldNoticeSums(ctx, pool); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	noError(t, db.FoldNoticeSums(ctx, pool))
	var rows, total, unread int
	noError(t, pool.QueryRow(ctx, `select (select count(*) from notice_sums) + (select count(*) from notice_read_sums), (select count(*) from notices),
		(select count(*) from notices) - (select count(*) from notice_reads)`).Scan(&rows, &total, &unread))
	got := must(db.CountNotices(ctx, pool, chef.ID, platform.Everything(), db.NoticeFilter{}, 0))(t)
	if rows != 2 || got.Total != total || got.Unread != unread || total != 120 {
		t.Errorf("%d rows of sums, %+v, want 2 rows, %d and %d unread", rows, got, total, unread)
	}
}

// A read that is taken back while retention forgets its notice counts once.
func TestNoticeSumsWhenANoticeGoesWhileItIsMarkedUnread(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	chef := dbtest.User(t, pool, "chef@example.com")
	id := must(db.CreateNotice(ctx, pool, db.NewNotice{Kind: platform.NoticeFollowerReady, UserID: &chef.ID, Subject: "s", Body: "b"}))(t)
	noError(t, db.SetNoticeRead(ctx, pool, chef.ID, id, true))
	tx := must(pool.Begin(ctx))(t)
	noError(t, db.SetNoticeRead(ctx, tx, chef.ID, id, false))
	forgotten := make(chan error, 1)
	go func() {
		n, err := db.DeleteOldNotices(ctx, pool, time.Now().Add(time.Hour), 10)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d notices forgotten, want 1", n)
		}
		forgotten <- err
	}()
	for waiting := false; !waiting; time.Sleep(time.Millisecond) {
		noError(t, pool.QueryRow(ctx, `select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`).Scan(&waiting))
	}
	noError(t, tx.Commit(ctx))
	noError(t, <-forgotten)
	var notices, reads int
	noError(t, pool.QueryRow(ctx, `select (select sum(n) from notice_sums), (select sum(n) from notice_read_sums)`).Scan(&notices, &reads))
	if notices != 0 || reads != 0 {
		t.Errorf("the sums are %d notices and %d reads, want none of either", notices, reads)
	}
}

// The migration begins with what there is.
func TestNoticeSumsAreFilled(t *testing.T) {
	pool, ctx := dbtest.Open(t, dbtest.EmptyURL(t)), t.Context()
	list, err := db.Migrations()
	noError(t, err)
	before := slices.IndexFunc(list, func(m db.Migration) bool { return m.Name == "page_speed" })
	noError(t, db.MigrateTo(ctx, pool, list[:before]))
	chef, d := dbtest.User(t, pool, "chef@example.com"), dbtest.Database(t, pool, dbtest.App(t, pool, "sushi").ID, 21001)
	for i := range 30 {
		var about *int64
		if i%2 == 0 {
			about = &d.ID
		}
		var id int64 // by hand: CreateNotice knows columns that there are not yet
		noError(t, pool.QueryRow(ctx, `insert into notices (kind, level, database_id, subject, body) values ($1, 'ok', $2, 's', 'b') returning id`, platform.NoticeFollowerReady, about).Scan(&id))
		if i%3 == 0 {
			noError(t, db.SetNoticeRead(ctx, pool, chef.ID, id, true))
		}
	}
	noError(t, db.Migrate(ctx, pool))
	if got := must(db.CountNotices(ctx, pool, chef.ID, platform.Everything(), db.NoticeFilter{DatabaseID: d.ID}, 0))(t); got.Total != 15 || got.Unread != 10 {
		t.Errorf("counted %+v, want 15 and 10 unread", got)
	}
}
