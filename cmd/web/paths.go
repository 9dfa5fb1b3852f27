package main

import (
	"context"
	"net/url"
	"strconv"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
)

// linkFor is the link to a database; only its name for whoever does not see it.
func (a *app) linkFor(ctx context.Context, access platform.Access, name string) (component.Link, error) {
	if access.Admin {
		return databaseLink(name), nil
	}
	reach, err := db.ReachOfDatabase(ctx, a.pool, name)
	if err != nil || !reach.Sees(access) {
		return component.Link{Text: name}, err
	}
	return databaseLink(name), nil
}

// rowLink is linkFor with a text of its own, for a database that is known.
func rowLink(access platform.Access, row db.DatabaseListRow, text string) component.Link {
	if !row.SeenBy(access) {
		return component.Link{Text: text}
	}
	return component.Link{Text: text, URL: databasePath(row.Database.Name)}
}

// appLinkFor is the link to an app; only its name for whoever does not see it.
func appLinkFor(access platform.Access, id int64, name string) component.Link {
	if !access.SeesAny(id) {
		return component.Link{Text: name}
	}
	return appLink(name)
}

func databasePath(name string) string { return "/databases/" + url.PathEscape(name) }

func appPath(name string) string { return "/apps/" + url.PathEscape(name) }

func operationPath(id int64) string { return "/operations/" + strconv.FormatInt(id, 10) }
