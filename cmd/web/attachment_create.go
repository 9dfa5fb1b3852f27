package main

import (
	"fmt"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// attachmentCreate serves POST /databases/:database/attachments. Without a name
// the attachment gets a free colour, or, with the field "way" set to "pool",
// DATABASE_CONNECTION_POOL.
func (a *app) attachmentCreate(c echo.Context) error {
	made, err := a.createAttachment(c)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error {
			row, err := a.findDatabase(c)
			if err != nil {
				return err
			}
			return a.showDatabase(c, row, "", form)
		})
	}
	noteDetail(c, made.AppName+"::"+made.Name)
	if isAPI(c) {
		return c.JSON(201, map[string]any{"id": made.ID, "app": made.AppName, "name": made.Name, "config_var": made.ConfigVarName()})
	}
	if made.IsPooled() {
		a.flashOK(c, fmt.Sprintf("%s is %s of %s now, through a connection pool. Its URL stays over switches.", made.DatabaseName, made.ConfigVarName(), made.AppName))
		return seeOther(c, poolPath(made.DatabaseName, *made.PoolID))
	}
	a.flashOK(c, fmt.Sprintf("%s is %s of %s now.", made.DatabaseName, made.ConfigVarName(), made.AppName))
	return seeOther(c, databasePath(made.DatabaseName)+"#attachments")
}

func (a *app) createAttachment(c echo.Context) (platform.Attachment, error) {
	var made platform.Attachment
	input, err := readInput(c)
	if err != nil {
		return made, err
	}
	ctx := c.Request().Context()
	row, err := a.findDatabase(c)
	if err != nil {
		return made, err
	}
	name := or(input["app"], row.Database.AppName)
	app, err := a.appFor(c, name, platform.RoleManage)
	if err != nil {
		return made, err
	}
	way := or(input["way"], page.WayDirect)
	switch way {
	case page.WayPool:
		made, err = a.jobs.AttachPool(ctx, visitorOf(c).Email, app.ID, row.Database.ID, strings.ToUpper(input["name"]))
		return made, atField(err, "way")
	case page.WayDirect:
	default:
		return made, platform.Invalid("way", "An attachment is direct or goes through a connection pool. Choose one of the two.")
	}
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		made, err = db.Attach(ctx, tx, db.NewAttachment{AppID: app.ID, DatabaseID: row.Database.ID, Name: strings.ToUpper(input["name"]), Actor: visitorOf(c).Email})
		return err
	})
	return made, err
}

// attachmentDelete serves POST /databases/:database/attachments/:id/detach.
func (a *app) attachmentDelete(c echo.Context) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	attachment, err := db.AttachmentByID(ctx, a.pool, id)
	if err != nil && !isKind(err, platform.KindNotFound) {
		return err
	}
	if err != nil || attachment.DatabaseID != row.Database.ID {
		return platform.NotFound("%s has no such attachment. Reload its page.", row.Database.Name)
	}
	noteApps(c, attachment.AppID)
	if err := a.needRole(ctx, visitorOf(c).Access, platform.RoleManage, attachment.AppID); err != nil {
		return err
	}
	app, err := db.AppByID(ctx, a.pool, attachment.AppID)
	if err != nil {
		return err
	}
	if refusal := detachRefusal(attachment, app.MaintenanceOn); refusal != "" {
		return platform.Conflict("%s", refusal)
	}
	noteDetail(c, attachment.AppName+"::"+attachment.Name)
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		_, err := db.Detach(ctx, tx, id, visitorOf(c).Email, nil)
		return err
	})
	if err != nil {
		return err
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, fmt.Sprintf("%s was detached from %s.", row.Database.Name, attachment.AppName))
	return seeOther(c, databasePath(row.Database.Name)+"#attachments")
}
