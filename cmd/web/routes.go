package main

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// audience is whom a route is for.
type audience int

const (
	public audience = iota // everybody, signed in or not
	user                   // who is signed in, or has an API token
	admin                  // of those, administrators
)

// route is one URL. Every route that changes something has either the words
// for its audit row, or the reason why none is written.
type route struct {
	method  string
	path    string
	handler echo.HandlerFunc
	who     audience
	audit   string // what the audit row calls the act
	noAudit string // why there is no row
	once    bool   // the same form sent twice within seconds acts once
}

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// routes is every URL of the program.
func (a *app) routes() []route {
	return []route{
		{get, "/", a.home, user, "", "", false},
		{get, "/sign-in", a.signInNew, public, "", "", false},
		{post, "/sign-in", a.signInCreate, public, "sign in", "", false},
		{get, "/sign-in/:token", a.signInLinkShow, public, "", "", false},
		{post, "/sign-in/:token", a.signInLinkUse, public, "sign in with a link", "", false},
		{post, "/sign-out", a.signOut, user, "sign out", "", false},

		{get, "/databases", a.databaseIndex, user, "", "", false},
		{get, "/databases/new", a.databaseNew, user, "", "", false},
		{post, "/databases", a.databaseCreate, user, "create database", "", true},
		{get, "/databases/:database", a.databaseShow, user, "", "", false},
		{post, "/databases/:database/url", a.databaseReveal, user, "reveal database URL", "", false},
		{get, "/databases/:database/followers/new", a.followerNew, user, "", "", false},
		{post, "/databases/:database/followers", a.followerCreate, user, "create follower", "", true},
		{get, "/databases/:database/change-plan", a.changePlan, user, "", "", false},
		{post, "/databases/:database/changeover", a.changeoverStart, user, "start follower changeover", "", true},
		{get, "/databases/:database/unfollow", a.unfollowConfirm, user, "", "", false},
		{post, "/databases/:database/unfollow", a.unfollowStart, user, "unfollow", "", true},
		{get, "/databases/:database/promote", a.promoteConfirm, user, "", "", false},
		{post, "/databases/:database/promote", a.promoteStart, user, "promote", "", true},
		{get, "/databases/:database/fence", a.fenceConfirm, user, "", "", false},
		{post, "/databases/:database/fence", a.fenceStart, user, "fence", "", true},
		{get, "/databases/:database/unfence", a.unfenceConfirm, user, "", "", false},
		{post, "/databases/:database/unfence", a.unfenceStart, user, "unfence", "", true},
		{get, "/databases/:database/separate", a.separateConfirm, user, "", "", false},
		{post, "/databases/:database/separate", a.separateStart, user, "make a separate fork", "", true},
		{get, "/databases/:database/destroy", a.destroyConfirm, user, "", "", false},
		{post, "/databases/:database/destroy", a.destroyStart, user, "destroy database", "", true},
		{get, "/databases/:database/activity", a.activityShow, user, "", "", false},
		{post, "/databases/:database/activity/:pid/cancel", a.activityCancel, user, "cancel query", "", false},
		{post, "/databases/:database/activity/:pid/terminate", a.activityTerminate, user, "terminate connection", "", false},
		{post, "/databases/:database/attachments", a.attachmentCreate, user, "attach", "", true},
		{post, "/databases/:database/attachments/:id/detach", a.attachmentDelete, user, "detach", "", true},

		{get, "/apps", a.appIndex, user, "", "", false},
		{post, "/apps", a.appCreate, user, "create app", "", true},
		{get, "/apps/:app", a.appShow, user, "", "", false},
		{get, "/apps/:app/config-vars", a.configVarIndex, user, "", "", false},
		{post, "/apps/:app/config-vars", a.configVarSet, user, "set config var", "", true},
		{post, "/apps/:app/config-vars/:name/delete", a.configVarDelete, user, "remove config var", "", true},
		{post, "/apps/:app/config-vars/:name/reveal", a.configVarReveal, user, "reveal config var", "", false},
		{post, "/apps/:app/maintenance", a.maintenanceSet, user, "set maintenance mode", "", false},
		{post, "/apps/:app/formation", a.formationSet, user, "scale", "", false},
		{get, "/apps/:app/destroy", a.appDestroyConfirm, user, "", "", false},
		{post, "/apps/:app/destroy", a.appDestroy, user, "destroy app", "", true},

		{get, "/operations/:id", a.operationShow, user, "", "", false},
		{post, "/operations/:id/cancel", a.operationCancel, user, "cancel operation", "", true},
		{post, "/operations/:id/retry", a.operationRetry, user, "retry operation", "", true},

		{get, "/notices", a.noticeIndex, user, "", "", false},
		{get, "/notices/:id", a.noticeShow, user, "", "", false},
		{post, "/notices/:id/read", a.noticeRead, user, "", "a reader's own mark", false},
		{post, "/notices/:id/unread", a.noticeUnread, user, "", "a reader's own mark", false},
		{get, "/audit", a.auditIndex, user, "", "", false},
		{get, "/plans", a.planIndex, user, "", "", false},
		{get, "/search", a.search, user, "", "", false},

		{get, "/settings", a.settingsShow, user, "", "", false},
		{post, "/settings/password", a.passwordSet, user, "change password", "", false},
		{post, "/settings/sessions/end-others", a.sessionEndOthers, user, "end other sessions", "", false},
		{post, "/settings/sessions/:id/end", a.sessionEnd, user, "end session", "", false},
		{post, "/settings/tokens", a.tokenCreate, user, "create API token", "", true},
		{post, "/settings/tokens/:id/revoke", a.tokenRevoke, user, "revoke API token", "", true},

		{get, "/live", a.liveSocket, user, "", "", false},
		{get, "/healthz", a.healthz, public, "", "", false},
		{get, "/readyz", a.readyz, public, "", "", false},
		{get, "/metrics", a.metrics, user, "", "", false},
		{get, "/static/*", a.staticFile, public, "", "", false},
	}
}

// router puts the routes and everything around them together.
func (a *app) router() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = a.handleError
	e.Use(a.observe, a.secureHeaders, a.checkHost, limitBody, compress(), a.identify, a.checkForm)
	routes := a.routes()
	if a.cfg.Development {
		routes = append(routes, route{get, "/styleguide", a.styleguide, user, "", "", false})
	}
	for _, r := range routes {
		handler := r.handler
		if r.once {
			handler = a.onlyOnce(handler)
		}
		if r.audit != "" {
			handler = a.audited(r.audit, handler)
		}
		e.Add(r.method, r.path, a.admit(r.who, handler))
	}
	return e
}
