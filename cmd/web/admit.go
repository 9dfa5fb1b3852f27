package main

import (
	"context"
	"net/http"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

const (
	appKey    = "app of the path"
	doorKey   = "refused at the door"
	signInKey = "not signed in"
)

// admit lets in whom the route is for. What the visitor may not see is answered
// as if it did not exist, with the same words; whoever sees it and has too
// small a role there is told which one it takes and who can give it.
func (a *app) admit(r route, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		v := visitorOf(c)
		if v.ReadOnly && r.method != get {
			c.Set(doorKey, true)
			return platform.Forbidden("This API token may only read. Make one of the scope full under Settings to change something.")
		}
		if r.who == public {
			return next(c)
		}
		if v.UserID == 0 {
			c.Set(signInKey, true)
			return toSignIn(c)
		}
		if v.NeedsFactor && !opensWithoutFactor(r.path) {
			return toFactor(c)
		}
		if err := a.door(c, r.who, v.Access); err != nil {
			c.Set(doorKey, true)
			return err
		}
		return next(c)
	}
}

// toSignIn answers a visitor who is nobody yet.
func toSignIn(c echo.Context) error {
	switch r := c.Request(); {
	case isAPI(c):
		return unauthorized(c)
	case r.Header.Get("Upgrade") != "":
		return platform.Forbidden("Sign in first.")
	case r.Method == http.MethodGet && r.URL.Path != "/":
		return seeOther(c, "/sign-in?next="+queryEscape(r.URL.RequestURI()))
	}
	return seeOther(c, "/sign-in")
}

// door is nil for whoever may go through it.
func (a *app) door(c echo.Context, who audience, access platform.Access) error {
	switch who {
	case user:
		return nil
	case admin:
		if !access.Admin {
			return platform.Forbidden("Only an administrator may do this. Ask one.")
		}
		return nil
	}
	reach, err := a.findReach(c)
	if err != nil {
		return err
	}
	if p := reach.Person; p != nil {
		if *p != visitorOf(c).UserID {
			return notThere(c)
		}
		return nil // every route on a notice is a reader's own
	}
	if !reach.Sees(access) {
		return notThere(c)
	}
	if who == viewer {
		return nil
	}
	return a.needRole(c.Request().Context(), access, who.role(), reach.Apps...)
}

// findReach looks up what the path names.
func (a *app) findReach(c echo.Context) (db.Reach, error) {
	ctx := c.Request().Context()
	var reach db.Reach
	var err error
	switch {
	case c.Param("database") != "":
		reach, err = db.ReachOfDatabase(ctx, a.pool, c.Param("database"))
	case c.Param("app") != "":
		var app platform.App
		if app, err = db.AppByName(ctx, a.pool, c.Param("app")); err == nil {
			c.Set(appKey, app)
			reach.Apps = []int64{app.ID}
		}
	default:
		var id int64
		if id, err = number(c, "id"); err != nil {
			return reach, err
		}
		switch {
		case strings.HasPrefix(c.Path(), "/notices/"):
			reach, err = db.ReachOfNotice(ctx, a.pool, id)
		case strings.HasPrefix(c.Path(), "/webhooks/"):
			reach, err = db.ReachOfWebhook(ctx, a.pool, id)
		case strings.HasPrefix(c.Path(), "/maintenances/"):
			reach, err = db.ReachOfMaintenance(ctx, a.pool, id)
		default:
			reach, err = db.ReachOfOperation(ctx, a.pool, id)
		}
	}
	if isKind(err, platform.KindNotFound) {
		err = notThere(c)
	}
	noteApps(c, reach.Apps...)
	return reach, err
}

// notThere is the one answer about what does not exist and about what is
// another's.
func notThere(c echo.Context) error {
	switch {
	case c.Param("database") != "":
		return platform.NotFound("There is no database %s. Choose one from the list of databases.", shortened(c.Param("database")))
	case c.Param("app") != "":
		return noApp(c.Param("app"))
	case strings.HasPrefix(c.Path(), "/notices/"):
		return platform.NotFound("There is no such notice. Go back to the list of notices.")
	case strings.HasPrefix(c.Path(), "/webhooks/"):
		return platform.NotFound("There is no such webhook. Go back to the list of webhooks.")
	case strings.HasPrefix(c.Path(), "/maintenances/"):
		return platform.NotFound("There is no such maintenance. Go back to the list of maintenances.")
	}
	return platform.NotFound("There is no operation %s.", shortened(c.Param("id")))
}

func noApp(name string) error {
	return platform.NotFound("There is no app %s. Choose one from the list of apps.", shortened(name))
}

// needRole is nil for whoever has the role on each of the apps, else Forbidden
// with a sentence that says what is missing and who can give it. The visitor
// sees what the apps are of, and with it their names.
func (a *app) needRole(ctx context.Context, access platform.Access, role platform.Role, apps ...int64) error {
	if access.OnAll(apps...) >= role {
		return nil
	}
	for _, id := range apps {
		have := access.On(id)
		if have >= role {
			continue
		}
		app, err := db.AppByID(ctx, a.pool, id)
		if err != nil {
			return err
		}
		var managers []string
		if have >= platform.RoleView { // else who they are is not for this visitor
			if managers, err = db.Managers(ctx, a.pool, id); err != nil {
				return err
			}
		}
		return role.Need(have, app.Name, managers)
	}
	return platform.Forbidden("Only an administrator may do this. Ask one.") // it belongs to no app
}

// appFor is the app that was typed into a form, for an act that needs role on
// it. One that the visitor does not see is refused like one that does not exist.
func (a *app) appFor(c echo.Context, name string, role platform.Role) (platform.App, error) {
	ctx, access := c.Request().Context(), visitorOf(c).Access
	app, err := db.AppByName(ctx, a.pool, name)
	if isKind(err, platform.KindNotFound) || err == nil && !access.SeesAny(app.ID) {
		return platform.App{}, platform.Invalid("app", "There is no app %s. Choose one from the list, or create it first.", shortened(name))
	}
	if err != nil {
		return platform.App{}, err
	}
	noteApps(c, app.ID)
	return app, a.needRole(ctx, access, role, app.ID)
}
