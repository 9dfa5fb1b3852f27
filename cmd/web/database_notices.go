package main

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/page"
)

// noticesOnPage is how many notices a database's page lists.
const noticesOnPage = 5

// databaseNotices fills in the newest notices about a database. Whether they were
// read is each reader's own and is left out.
func (a *app) databaseNotices(ctx context.Context, access platform.Access, id int64, view *page.DatabaseShowView) error {
	about := db.NoticeFilter{DatabaseID: id, Limit: noticesOnPage}
	list, err := db.ListNotices(ctx, a.pool, 0, access, about)
	if err != nil {
		return err
	}
	for _, n := range list {
		view.Notices = append(view.Notices, page.NoticeLine{ID: n.ID, Tone: noticeTone(n.Level), Subject: n.Subject, At: n.At})
	}
	if view.NoticesTotal = len(list); len(list) < noticesOnPage {
		return nil
	}
	counts, err := db.CountNotices(ctx, a.pool, 0, access, about, 0)
	view.NoticesTotal = counts.Total
	return err
}
