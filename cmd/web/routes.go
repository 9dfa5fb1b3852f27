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

// route is one URL. Every route has either the words for its audit row, or the
// reason why none is written.
type route struct {
	method  string
	path    string
	handler echo.HandlerFunc
	who     audience
	audit   string // what the audit row calls the act
	noAudit string // why there is none
	flags   routeFlag
}

// routeFlag is what else holds for a route.
type routeFlag int

const (
	once routeFlag = 1 << iota // the same form sent twice within seconds acts once
)

// reads is why most routes leave no audit row.
const reads = "it only reads"

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// routes is every URL of the program.
func (a *app) routes() []route {
	return []route{
		{get, "/", a.home, user, "", reads, 0},
		{get, "/sign-in", a.signInNew, public, "", reads, 0},
		{post, "/sign-in", a.signInCreate, public, "sign in", "", 0},
		{get, "/sign-in/:token", a.signInLinkShow, public, "", reads, 0},
		{post, "/sign-in/:token", a.signInLinkUse, public, "sign in with a link", "", 0},
		{post, "/sign-out", a.signOut, user, "sign out", "", 0},

		{get, "/databases", a.databaseIndex, user, "", reads, 0},
		{get, "/databases/new", a.databaseNew, user, "", reads, 0},
		{post, "/databases", a.databaseCreate, user, "create database", "", once},
		{get, "/databases/:database", a.databaseShow, user, "", reads, 0},
		{post, "/databases/:database/url", a.databaseReveal, user, "reveal database URL", "", 0},
		{get, "/databases/:database/followers/new", a.followerNew, user, "", reads, 0},
		{post, "/databases/:database/followers", a.followerCreate, user, "create follower", "", once},
		{get, "/databases/:database/change-plan", a.changePlan, user, "", reads, 0},
		{post, "/databases/:database/changeover", a.changeoverStart, user, "start follower changeover", "", once},
		{get, "/databases/:database/unfollow", a.unfollowConfirm, user, "", reads, 0},
		{post, "/databases/:database/unfollow", a.unfollowStart, user, "unfollow", "", once},
		{get, "/databases/:database/promote", a.promoteConfirm, user, "", reads, 0},
		{post, "/databases/:database/promote", a.promoteStart, user, "promote", "", once},
		{get, "/databases/:database/fence", a.fenceConfirm, user, "", reads, 0},
		{post, "/databases/:database/fence", a.fenceStart, user, "fence", "", once},
		{get, "/databases/:database/unfence", a.unfenceConfirm, user, "", reads, 0},
		{post, "/databases/:database/unfence", a.unfenceStart, user, "unfence", "", once},
		{get, "/databases/:database/separate", a.separateConfirm, user, "", reads, 0},
		{post, "/databases/:database/separate", a.separateStart, user, "make a separate fork", "", once},
		{get, "/databases/:database/destroy", a.destroyConfirm, user, "", reads, 0},
		{post, "/databases/:database/destroy", a.destroyStart, user, "destroy database", "", once},
		{get, "/databases/:database/activity", a.activityShow, user, "", reads, 0},
		{post, "/databases/:database/activity/:pid/cancel", a.activityCancel, user, "cancel query", "", 0},
		{post, "/databases/:database/activity/:pid/terminate", a.activityTerminate, user, "terminate connection", "", 0},
		{post, "/databases/:database/attachments", a.attachmentCreate, user, "attach", "", once},
		{post, "/databases/:database/attachments/:id/detach", a.attachmentDelete, user, "detach", "", once},

		{get, "/apps", a.appIndex, user, "", reads, 0},
		{post, "/apps", a.appCreate, user, "create app", "", once},
		{get, "/apps/:app", a.appShow, user, "", reads, 0},
		{get, "/apps/:app/config-vars", a.configVarIndex, user, "", reads, 0},
		{post, "/apps/:app/config-vars", a.configVarSet, user, "set config var", "", once},
		{post, "/apps/:app/config-vars/:name/delete", a.configVarDelete, user, "remove config var", "", once},
		{post, "/apps/:app/config-vars/:name/reveal", a.configVarReveal, user, "reveal config var", "", 0},
		{post, "/apps/:app/maintenance", a.maintenanceSet, user, "set maintenance mode", "", 0},
		{post, "/apps/:app/formation", a.formationSet, user, "scale", "", 0},
		{get, "/apps/:app/destroy", a.appDestroyConfirm, user, "", reads, 0},
		{post, "/apps/:app/destroy", a.appDestroy, user, "destroy app", "", once},

		{get, "/operations/:id", a.operationShow, user, "", reads, 0},
		{post, "/operations/:id/cancel", a.operationCancel, user, "cancel operation", "", once},
		{post, "/operations/:id/retry", a.operationRetry, user, "retry operation", "", once},

		{get, "/notices", a.noticeIndex, user, "", reads, 0},
		{get, "/notices/:id", a.noticeShow, user, "", reads, 0},
		{post, "/notices/:id/read", a.noticeRead, user, "", "a reader's own mark", 0},
		{post, "/notices/:id/unread", a.noticeUnread, user, "", "a reader's own mark", 0},
		{get, "/audit", a.auditIndex, user, "", reads, 0},
		{get, "/plans", a.planIndex, user, "", reads, 0},
		{get, "/search", a.search, user, "", reads, 0},

		{get, "/settings", a.settingsShow, user, "", reads, 0},
		{post, "/settings/password", a.passwordSet, user, "change password", "", 0},
		{post, "/settings/sessions/end-others", a.sessionEndOthers, user, "end other sessions", "", 0},
		{post, "/settings/sessions/:id/end", a.sessionEnd, user, "end session", "", 0},
		{post, "/settings/tokens", a.tokenCreate, user, "create API token", "", once},
		{post, "/settings/tokens/:id/revoke", a.tokenRevoke, user, "revoke API token", "", once},

		{get, "/live", a.liveSocket, user, "", reads, 0},
		{get, "/healthz", a.healthz, public, "", reads, 0},
		{get, "/readyz", a.readyz, public, "", reads, 0},
		{get, "/metrics", a.metrics, user, "", reads, 0},
		{get, "/static/*", a.staticFile, public, "", reads, 0},
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
		routes = append(routes, route{get, "/styleguide", a.styleguide, user, "", reads, 0})
	}
	for _, r := range routes {
		handler := r.handler
		if r.flags&once != 0 {
			handler = a.onlyOnce(handler)
		}
		if r.audit != "" {
			handler = a.audited(r.audit, handler)
		}
		e.Add(r.method, r.path, a.admit(r.who, handler))
	}
	return e
}
