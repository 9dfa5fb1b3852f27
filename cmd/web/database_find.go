package main

import (
	"cmp"
	"context"
	"slices"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

// findDatabase is the database named in the path, with everything that the
// list shows of it.
func (a *app) findDatabase(c echo.Context) (db.DatabaseListRow, error) {
	return a.databaseNamed(c.Request().Context(), visitorOf(c).Access, c.Param("database"))
}

// databaseNamed is a database with what access sees of it; the pages of those
// around it ask with platform.Everything and take care of what they show.
func (a *app) databaseNamed(ctx context.Context, access platform.Access, name string) (db.DatabaseListRow, error) {
	rows, err := db.ListDatabases(ctx, a.pool, access, db.DatabaseFilter{Name: name})
	if err != nil {
		return db.DatabaseListRow{}, err
	}
	if name == "" || len(rows) == 0 {
		return db.DatabaseListRow{}, platform.NotFound("There is no database %s. Choose one from the list of databases.", shortened(name))
	}
	return rows[0], nil
}

// relatives are the leader of d, nil of one that follows nothing, and the
// followers of its leader or of its own, oldest first.
func (a *app) relatives(ctx context.Context, d platform.Database) (leader *db.DatabaseListRow, followers []db.DatabaseListRow, err error) {
	top := d.ID
	if d.IsFollower() {
		top = *d.FollowingID
	}
	rows, err := db.ListDatabases(ctx, a.pool, platform.Everything(), db.DatabaseFilter{LeaderID: top})
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(rows, func(x, y db.DatabaseListRow) int { return cmp.Compare(x.Database.ID, y.Database.ID) })
	for i, r := range rows {
		switch {
		case r.Database.ID != top:
			followers = append(followers, r)
		case d.IsFollower():
			leader = &rows[i]
		}
	}
	if d.IsFollower() && leader == nil {
		err = platform.NotFound("There is no database %s. Choose one from the list of databases.", d.Name)
	}
	return leader, followers, err
}

// serverOf is the server that the database is; nil before there is one.
func (a *app) serverOf(ctx context.Context, d platform.Database) (*platform.Server, error) {
	server, err := db.ServerOf(ctx, a.pool, d.ID)
	if isKind(err, platform.KindNotFound) {
		return nil, nil
	}
	return &server, err
}
