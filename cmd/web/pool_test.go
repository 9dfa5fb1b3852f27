package main

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

func (s *site) attachPool(t *testing.T, appID, databaseID int64, name string, port int) platform.Attachment {
	t.Helper()
	var made platform.Attachment
	err := db.InTx(t.Context(), s.pool, func(tx pgx.Tx) (err error) {
		made, err = db.Attach(t.Context(), tx, db.NewAttachment{AppID: appID, DatabaseID: databaseID, Name: name, Actor: "fixture", Pool: &db.NewPool{Port: port, Verifier: "v"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// A database that can have no pool says why where it would be chosen, and a
// form that asks for one all the same comes back with everything that was typed.
func TestAttachFormRefusesAPool(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	app := dbtest.App(t, s.pool, "sushi")
	d := dbtest.Database(t, s.pool, app.ID, 20901)
	if _, err := s.pool.Exec(t.Context(), `update databases set plan = 'essential-0' where id = $1`, d.ID); err != nil {
		t.Fatal(err)
	}
	path := "/databases/" + d.Name
	v.get(path)
	if text := v.page.Find(string(id("way-pool"))).Text(); !strings.Contains(text, "connection pools come with Standard and higher plans") {
		t.Errorf("the pool is offered as %q", text)
	}
	if _, off := v.page.Find("input[name=way][value=pool]").Attr("disabled"); !off {
		t.Error("the pool can be chosen")
	}
	if got := v.page.Find(string(id("fact-pooling"))).Text(); !strings.Contains(got, "Not available") {
		t.Errorf("the fact says %q", got)
	}
	v.submit(path+"/attachments", "app", "sushi", "name", "REPORTS", "way", "pool")
	v.want(409, path+"/attachments")
	if got := v.page.Find(string(id("error-way"))).Text(); !strings.Contains(got, "Standard and higher") {
		t.Errorf("at the field stands %q", got)
	}
	if got := v.page.Find("input[name=name]").AttrOr("value", ""); got != "REPORTS" {
		t.Errorf("the typed name is lost: %q", got)
	}
	if _, on := v.page.Find("input[name=way][value=pool]").Attr("checked"); !on {
		t.Error("the chosen way is lost")
	}
	v.submit(path+"/attachments", "app", "sushi", "name", "REPORTS", "way", "carrier pigeon")
	v.want(422, path+"/attachments")
}

// A pool's page is its attachment's: it follows it to another database, says
// since when it does not answer, and is not there for whoever does not see its app.
func TestPoolPage(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	app := dbtest.App(t, s.pool, "sushi")
	old := dbtest.Database(t, s.pool, app.ID, 20901)
	other := dbtest.Database(t, s.pool, app.ID, 20902)
	if err := db.SetDatabasePassword(t.Context(), s.pool, s.sealer, old.ID, old.Name, "its own"); err != nil {
		t.Fatal(err)
	}
	made := s.attachPool(t, app.ID, old.ID, platform.PoolAttachment, 20911)
	path := poolPath(old.Name, *made.PoolID)

	v.get("/databases/" + old.Name)
	if n := v.page.Find(`.topology-wide [href="` + path + `"]`).Length(); n != 1 {
		t.Errorf("the picture leads to the pool %d times", n)
	}
	if got := v.page.Find(string(id("pool-DATABASE_CONNECTION_POOL"))).AttrOr("href", ""); got != path {
		t.Errorf("the list of attachments leads to %q", got)
	}
	if got := v.page.Find(string(id("fact-pooling"))).Text(); !strings.Contains(got, "DATABASE_CONNECTION_POOL") {
		t.Errorf("the fact says %q", got)
	}
	v.get("/apps/sushi")
	if got := v.page.Find(string(id("way-DATABASE_CONNECTION_POOL"))+" a").AttrOr("href", ""); got != path {
		t.Errorf("the app's page leads to %q", got)
	}

	v.get(path)
	v.want(200, path)
	v.wantText("It was just attached")
	if strings.Contains(v.body, "its own") {
		t.Error("the page shows the password")
	}
	v.submit(path + "/url")
	if got := v.page.Find(string(id("connection-url"))).Text(); !strings.Contains(got, "its+own") && !strings.Contains(got, "its%20own") || !strings.Contains(got, ":20911/") || v.header.Get("Cache-Control") != "no-store" {
		t.Errorf("revealed %q, %s", got, v.header.Get("Cache-Control"))
	}

	now := time.Now()
	noError := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	noError(db.SetPoolReading(t.Context(), s.pool, db.PoolReading{PoolID: *made.PoolID, At: &now, ClientsActive: 17, ClientsWaiting: 2, ServersUsed: 5, Size: 30}))
	v.get(path)
	if got := strings.Join(strings.Fields(v.page.Find(string(id("pool-figures"))).Text()), " "); !strings.Contains(got, "17 of 1,200") || !strings.Contains(got, "5 of 30") {
		t.Errorf("the figures are %q", got)
	}
	noError(db.SetPoolUnanswered(t.Context(), s.pool, *made.PoolID, now, "Its PgBouncer does not answer."))
	v.get(path)
	if figures := v.page.Find(string(id("pool-figures")) + " dd").Length(); figures != 0 {
		t.Errorf("%d figures of a pool that does not answer", figures)
	}
	v.wantText("It does not answer since")
	v.wantText("17 clients active and 2 waiting")

	// It moves; the address of its page stays good.
	_, err := s.pool.Exec(t.Context(), `update attachments set database_id = $2 where id = $1`, made.ID, other.ID)
	noError(err)
	v.get(path)
	v.want(200, poolPath(other.Name, *made.PoolID))

	// Another app's pool on the same database is not a stranger's to see.
	theirs := s.attachPool(t, dbtest.App(t, s.pool, "kitchen").ID, other.ID, "KITCHEN_POOL", 20912)
	guest := s.signedInAs(t, "guest@example.com", false)
	ramen := dbtest.App(t, s.pool, "ramen")
	s.attachPool(t, ramen.ID, other.ID, "RAMEN_POOL", 20913)
	s.give(t, "guest@example.com", ramen.ID, platform.RoleManage)
	guest.get(poolPath(other.Name, *theirs.PoolID))
	guest.want(404, poolPath(other.Name, *theirs.PoolID))
	guest.get(poolPath(other.Name, 99999))
	guest.want(404, poolPath(other.Name, 99999))
}

func TestPoolsInSwitch(t *testing.T) {
	n := int64(1)
	d := platform.Database{AppID: 1}
	all := []platform.Attachment{
		{AppID: 1, Name: platform.PrimaryAttachment}, {AppID: 1, Name: platform.PoolAttachment, PoolID: &n}, {AppID: 1, Name: "REPORTS", PoolID: &n},
		{AppID: 2, Name: platform.PoolAttachment, PoolID: &n}, {AppID: 2, Name: "DIRECT"},
	}
	moving, staying := poolsInSwitch(d, all, true)
	if len(moving) != 1 || moving[0].AppID != 1 || moving[0].Name != platform.PoolAttachment || len(staying) != 2 {
		t.Errorf("a changeover moves %+v and leaves %+v", moving, staying)
	}
	if moving, staying = poolsInSwitch(d, all, false); len(moving) != 3 || len(staying) != 0 {
		t.Errorf("an upgrade moves %+v and leaves %+v", moving, staying)
	}
	if moving, _ = poolsInSwitch(d, all[1:], true); len(moving) != 0 {
		t.Errorf("without DATABASE on it a changeover moves %+v", moving)
	}
}
