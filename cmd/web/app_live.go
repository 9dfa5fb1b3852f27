package main

import (
	"context"

	"changeover/internal/db"
	"changeover/views/page"
)

// renderApp makes the live fragments of an app's page. Its people, attachments
// and config vars are none: their rows are of the reader, or hold what the reader
// has just revealed or typed.
func (a *app) renderApp(ctx context.Context, id int64, e eyes) (r rendered, err error) {
	app, err := db.AppByID(ctx, a.pool, id)
	if err != nil {
		return r, err
	}
	view, err := a.appView(ctx, e.access, app)
	if err != nil {
		return r, err
	}
	members, invitations, err := a.appMembers(ctx, view.May, id)
	if err != nil {
		return r, err
	}
	r.shape = appShape(view, members, invitations)
	r.fragments, err = renderFragments(ctx, page.AppHead(view), page.AppFormation(view), page.AppReleases(view))
	return r, err
}

// appShape is what of the page is no fragment, as somebody with that role sees it.
func appShape(view page.AppShowView, members []db.Member, invitations []db.Invitation) string {
	parts := []any{view.May, view.DestroyRefusal, view.ConfigVars}
	for _, m := range members {
		parts = append(parts, m.UserID, m.Email, m.Name, m.Active, m.Role)
	}
	for _, t := range view.Attachments {
		parts = append(parts, t.Name, t.Database.Text, t.Pool, t.Plan)
	}
	for _, i := range invitations {
		parts = append(parts, i.ID)
	}
	return shapeOf(parts...)
}
