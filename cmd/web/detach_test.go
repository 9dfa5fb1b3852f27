package main

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// An app's only database can go, but not by one click: first maintenance mode.
func TestDetachOfTheOnlyDatabase(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	v.get("/databases/new")
	v.submit("/databases", "app", "sushi", "plan", "standard-0")
	list, err := db.ListDatabases(t.Context(), s.pool, platform.Everything(), db.DatabaseFilter{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d databases (%v)", len(list), err)
	}
	d := list[0].Database
	var made platform.Attachment
	err = db.InTx(t.Context(), s.pool, func(tx pgx.Tx) error {
		made, err = db.Attach(t.Context(), tx, db.NewAttachment{AppID: d.AppID, DatabaseID: d.ID, Name: platform.PrimaryAttachment, Actor: "someone@example.com"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(t.Context(), `update databases set state = 'available' where id = $1`, d.ID); err != nil {
		t.Fatal(err)
	}
	page := "/databases/" + d.Name
	detach := fmt.Sprintf("%s/attachments/%d/detach", page, made.ID)

	v.get(page)
	v.wantText("turn on maintenance mode of sushi to detach it")
	v.post(detach, url.Values{"csrf_token": {v.csrf()}})
	v.want(http.StatusConflict, detach)
	if _, ok, err := db.PrimaryAttachment(t.Context(), s.pool, d.AppID); err != nil || !ok {
		t.Errorf("sushi lost its DATABASE_URL to one click (%v)", err)
	}

	v.get("/apps/sushi")
	v.submit("/apps/sushi/maintenance", "on", "true")
	v.get(page)
	v.submit(detach)
	v.want(http.StatusOK, page)
	if _, ok, err := db.PrimaryAttachment(t.Context(), s.pool, d.AppID); err != nil || ok {
		t.Errorf("sushi still has its DATABASE_URL (%v)", err)
	}
}
