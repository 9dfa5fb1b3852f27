package dbtest

import (
	"bytes"
	"testing"

	"changeover/internal/db"
	"changeover/internal/platform"
)

// Sealer seals under a key that every test has.
func Sealer(t testing.TB) *db.Sealer {
	t.Helper()
	s, err := db.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// User is a new user without a password.
func User(t testing.TB, q db.Querier, email string) db.User {
	t.Helper()
	u, err := db.CreateUser(t.Context(), q, email, false)
	return must(t, u, err)
}

// App is a new app.
func App(t testing.TB, q db.Querier, name string) platform.App {
	t.Helper()
	a, err := db.CreateApp(t.Context(), q, name, "fixture")
	return must(t, a, err)
}

// Database is an available database on standard-0 with a running server on
// port, billed to the app and attached to nothing. No such server really runs.
func Database(t testing.TB, q db.Querier, appID int64, port int) platform.Database {
	t.Helper()
	d, err := db.CreateDatabase(t.Context(), q, Sealer(t), db.NewDatabase{AppID: appID, Plan: "standard-0", Major: 15})
	must(t, d, err)
	return putOnServer(t, q, d, port, nil)
}

// Follower is an available follower of leader, as Database.
func Follower(t testing.TB, q db.Querier, leader platform.Database, appID int64, port int) platform.Database {
	t.Helper()
	d, err := db.CreateFollower(t.Context(), q, Sealer(t), leader, appID, leader.Plan)
	must(t, d, err)
	return putOnServer(t, q, d, port, leader.ServerID)
}

func putOnServer(t testing.TB, q db.Querier, d platform.Database, port int, leaderServer *int64) platform.Database {
	t.Helper()
	ctx := t.Context()
	v, err := db.CreateServer(ctx, q, db.NewServer{
		DatabaseID: d.ID, Zone: "a", Port: port, Major: d.Major, Plan: d.Plan, LeaderID: leaderServer,
	})
	must(t, v, err)
	for _, err := range []error{
		db.SetServerState(ctx, q, v.ID, platform.ServerRunning),
		db.SetDatabaseServer(ctx, q, d.ID, &v.ID),
		db.SetDatabaseState(ctx, q, d.ID, platform.DatabaseAvailable),
	} {
		must(t, v, err)
	}
	d, err = db.DatabaseByID(ctx, q, d.ID)
	return must(t, d, err)
}

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}
