package main

import (
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
)

// A follower that cannot follow any more is re-created from its page, by whoever
// types the app's name; what follows nothing is not.
func TestFollowerIsRecreatedFromItsPage(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	app := dbtest.App(t, s.pool, "sushi")
	leader := dbtest.Database(t, s.pool, app.ID, 20901)
	follower := dbtest.Follower(t, s.pool, leader, app.ID, 20902)
	path := databasePath(follower.Name) + "/recreate"

	v.get(databasePath(leader.Name) + "/recreate")
	v.wantText("It follows nothing")
	if v.page.Find("[data-testid=confirm-form]").Length() != 0 {
		t.Error("a leader is offered to be re-created")
	}
	v.get(databasePath(follower.Name))
	if link := v.page.Find(`[data-testid=recreate]`).AttrOr("href", ""); link != path {
		t.Fatalf("its page leads to %q, want %q", link, path)
	}
	v.get(path)
	v.wantText("takes its place")
	v.submit(path, "confirm", "ramen")
	v.want(422, path)
	v.submit(path, "confirm", "sushi")
	if v.status != 200 || !strings.HasPrefix(v.path, "/operations/") && v.path != databasePath(follower.Name) {
		t.Fatalf("%d at %s\n%s", v.status, v.path, v.text())
	}
	operations, err := db.OpenOperations(t.Context(), s.pool)
	if err != nil || len(operations) != 1 || operations[0].Kind != platform.RecreateFollower || operations[0].DatabaseID != follower.ID {
		t.Fatalf("%+v (%v)", operations, err)
	}
	v.get(path)
	v.wantText("Re-create follower of it is running")
}
