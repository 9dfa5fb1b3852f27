package main

import (
	"context"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/page"
)

// databaseAttachments fills in where the database is attached, and the apps
// that it can be attached to.
func (a *app) databaseAttachments(ctx context.Context, access platform.Access, view *page.DatabaseShowView, d platform.Database, attachments []platform.Attachment, apps []db.AppListRow) error {
	leadTo, err := a.leadTo(ctx, access, d)
	inMaintenance := map[int64]bool{}
	for _, app := range apps {
		if access.On(app.ID) == platform.RoleManage {
			view.Apps = append(view.Apps, app.Name)
		}
		inMaintenance[app.ID] = app.MaintenanceOn
	}
	for _, t := range attachments {
		seen := access.SeesAny(t.AppID)
		if view.AppUnseen && !seen {
			continue // of no concern to whoever sees the database through another app
		}
		it := page.AttachmentRow{
			ID: t.ID, AppName: t.AppName, Name: t.Name, ConfigVar: t.ConfigVarName(), Primary: t.IsPrimary(),
			DetachRefusal: detachRefusal(t, inMaintenance[t.AppID]), Unseen: !seen, MayDetach: min(view.May, access.On(t.AppID)) == platform.RoleManage,
		}
		if t.IsPooled() {
			it.PoolID = *t.PoolID
			if it.MayDetach {
				it.LeadTo = leadTo
			}
		}
		view.Attachments = append(view.Attachments, it)
	}
	return err
}

// detachRefusal is why an attachment cannot go now; empty when it can. DATABASE
// goes only while its app is in maintenance mode: nobody takes an app's only
// database away by one click, and yet the last one can be destroyed.
func detachRefusal(t platform.Attachment, inMaintenance bool) string {
	if !t.IsPrimary() || inMaintenance {
		return ""
	}
	return fmt.Sprintf("It is the DATABASE_URL of %s. Promote another database there, or turn on maintenance mode of %s to detach it.", t.AppName, t.AppName)
}
