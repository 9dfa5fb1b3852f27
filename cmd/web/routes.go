package main

import (
	"net/http"

	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// audience is whom a route is for.
type audience int

const (
	public   audience = iota // everybody, signed in or not
	user                     // who is signed in, or has an API token
	viewer                   // of those, who has the role view on what the path names
	operator                 // the role operate on it
	manager                  // the role manage on it
	admin                    // administrators
)

// role is what the audience needs on the apps of what the path names.
func (w audience) role() platform.Role {
	switch w {
	case viewer:
		return platform.RoleView
	case operator:
		return platform.RoleOperate
	case manager:
		return platform.RoleManage
	}
	return platform.RoleNone
}

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
	once  routeFlag = 1 << iota // the same form sent twice within seconds acts once
	fresh                       // it destroys or gives away: whoever asks has proved within minutes who they are

	// Every other route that changes something says by one of these why it asks for no proof.
	adds
	undone
	keeps
	ends
	takes
	shows
	secret
	itself
)

// noProof is why a route asks for no proof, by its flag.
func noProof() map[routeFlag]string {
	return map[routeFlag]string{
		adds:   "it only adds something, which is removed again, or sends what there is",
		undone: "the same page puts it back as it was, or sets it again",
		keeps:  "nothing is lost: what was before is kept until it is destroyed, which asks, or for 24 hours, in which it can be switched back",
		ends:   "what it ends is begun again by whoever wanted it, and it cannot wait",
		takes:  "it takes back what was given, which cannot wait; giving it again asks",
		shows:  "it shows what the role may use in any case, and every look is in the audit",
		secret: "a secret is typed into its form, and the page that asks would have to hold it",
		itself: "it asks for a proof itself, or is a step of giving one",
	}
}

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
		{post, "/sign-in", a.signInCreate, public, "sign in", "", itself},
		{get, "/sign-in/forgotten", a.forgottenNew, public, "", reads, 0},
		{post, "/sign-in/forgotten", a.forgottenSend, public, "ask for a reset link", "", itself},
		{get, "/sign-in/second", a.secondShow, public, "", reads, 0},
		{post, "/sign-in/second", a.secondCreate, public, "sign in with a second factor", "", itself},
		{post, "/sign-in/passkey/options", a.passkeyOptions, public, "", "a challenge, which opens nothing", itself},
		{post, "/sign-in/passkey", a.passkeySignIn, public, "sign in with a passkey", "", itself},
		{get, "/sign-in/provider", a.identityBegin, public, "", "it sends the browser to the identity provider", 0},
		{get, "/sign-in/provider/return", a.identityReturn, public, "sign in with the identity provider", "", 0},
		{get, "/sign-in/:token", a.signInLinkShow, public, "", reads, 0},
		{post, "/sign-in/:token", a.signInLinkUse, public, "sign in with a link", "", itself},
		{get, invitationPath + ":token", a.invitationShow, public, "", reads, 0},
		{post, invitationPath + ":token", a.invitationAccept, public, "accept invitation", "", itself},
		{post, "/sign-out", a.signOut, user, "sign out", "", takes},

		{get, "/databases", a.databaseIndex, user, "", reads, 0},
		{get, "/databases/new", a.databaseNew, user, "", reads, 0},
		{post, "/databases", a.databaseCreate, user, "create database", "", once | adds},
		{get, "/databases/:database", a.databaseShow, viewer, "", reads, 0},
		{post, "/databases/:database/url", a.databaseReveal, operator, "reveal database URL", "", shows},
		{get, "/databases/:database/followers/new", a.followerNew, operator, "", reads, 0},
		{post, "/databases/:database/followers", a.followerCreate, operator, "create follower", "", once | adds},
		{get, "/databases/:database/change-plan", a.changePlan, operator, "", reads, 0},
		{post, "/databases/:database/changeover", a.changeoverStart, operator, "start follower changeover", "", once | keeps},
		{post, "/databases/:database/upgrade", a.upgradeStart, operator, "start upgrade", "", once | keeps},
		{get, "/databases/:database/switch-back", a.switchBackConfirm, operator, "", reads, 0},
		{post, "/databases/:database/switch-back", a.switchBackStart, operator, "start switch back", "", once | keeps},
		{get, "/databases/:database/destroy-old-server", a.oldServerConfirm, manager, "", reads, 0},
		{post, "/databases/:database/destroy-old-server", a.oldServerDestroy, manager, "destroy old server", "", once | fresh},
		{get, "/databases/:database/window", a.windowShow, operator, "", reads, 0},
		{post, "/databases/:database/window", a.windowSet, operator, "set maintenance window", "", once | undone},
		{get, "/databases/:database/recreate", a.recreateConfirm, manager, "", reads, 0},
		{post, "/databases/:database/recreate", a.recreateStart, manager, "re-create follower", "", once | fresh},
		{get, "/databases/:database/unfollow", a.unfollowConfirm, manager, "", reads, 0},
		{post, "/databases/:database/unfollow", a.unfollowStart, manager, "unfollow", "", once | fresh},
		{get, "/databases/:database/promote", a.promoteConfirm, manager, "", reads, 0},
		{post, "/databases/:database/promote", a.promoteStart, manager, "promote", "", once | fresh},
		{get, "/databases/:database/fence", a.fenceConfirm, manager, "", reads, 0},
		{post, "/databases/:database/fence", a.fenceStart, manager, "fence", "", once | fresh},
		{get, "/databases/:database/unfence", a.unfenceConfirm, manager, "", reads, 0},
		{post, "/databases/:database/unfence", a.unfenceStart, manager, "unfence", "", once | undone},
		{get, "/databases/:database/separate", a.separateConfirm, manager, "", reads, 0},
		{post, "/databases/:database/separate", a.separateStart, manager, "make a separate fork", "", once | fresh},
		{get, "/databases/:database/destroy", a.destroyConfirm, manager, "", reads, 0},
		{post, "/databases/:database/destroy", a.destroyStart, manager, "destroy database", "", once | fresh},
		{get, "/databases/:database/activity", a.activityShow, viewer, "", reads, 0},
		{post, "/databases/:database/activity/:pid/cancel", a.activityCancel, operator, "cancel query", "", ends},
		{post, "/databases/:database/activity/:pid/terminate", a.activityTerminate, operator, "terminate connection", "", ends},
		{post, "/databases/:database/attachments", a.attachmentCreate, manager, "attach", "", once | fresh},
		{post, "/databases/:database/attachments/:id/detach", a.attachmentDelete, manager, "detach", "", once | fresh},
		{get, "/databases/:database/pools/:id", a.poolShow, viewer, "", reads, 0},
		{post, "/databases/:database/pools/:id/url", a.poolReveal, operator, "reveal connection pool URL", "", shows},
		{post, "/databases/:database/pools/:id/lead", a.poolLead, manager, "lead connection pool to the new leader", "", once | keeps},
		{get, "/databases/:database/pools/:id/detach", a.poolDetachConfirm, manager, "", reads, 0},

		{get, "/apps", a.appIndex, user, "", reads, 0},
		{post, "/apps", a.appCreate, user, "create app", "", once | adds},
		{get, "/apps/:app", a.appShow, viewer, "", reads, 0},
		{get, "/apps/:app/config-vars", a.configVarIndex, operator, "", reads, 0},
		{post, "/apps/:app/config-vars", a.configVarSet, operator, "set config var", "", once | secret},
		{post, "/apps/:app/config-vars/:name/delete", a.configVarDelete, operator, "remove config var", "", once | fresh},
		{post, "/apps/:app/config-vars/:name/reveal", a.configVarReveal, operator, "reveal config var", "", shows},
		{post, "/apps/:app/maintenance", a.maintenanceSet, operator, "set maintenance mode", "", undone},
		{post, "/apps/:app/formation", a.formationSet, operator, "scale", "", undone},
		{post, "/apps/:app/collaborators", a.collaboratorAdd, manager, "add collaborator", "", once | fresh},
		{post, "/apps/:app/collaborators/:id/role", a.collaboratorRole, manager, "change role", "", once | fresh},
		{post, "/apps/:app/collaborators/:id/remove", a.collaboratorRemove, manager, "remove collaborator", "", once | fresh},
		{post, "/apps/:app/invitations/:id/revoke", a.invitationRevoke, manager, "revoke invitation", "", once | takes},
		{get, "/apps/:app/leave", a.appLeaveConfirm, viewer, "", reads, 0},
		{post, "/apps/:app/leave", a.appLeave, viewer, "leave app", "", once | fresh},
		{get, "/apps/:app/destroy", a.appDestroyConfirm, manager, "", reads, 0},
		{post, "/apps/:app/destroy", a.appDestroy, manager, "destroy app", "", once | fresh},

		{get, "/operations/:id", a.operationShow, viewer, "", reads, 0},
		{post, "/operations/:id/cancel", a.operationCancel, operator, "cancel operation", "", once | keeps},
		{post, "/operations/:id/retry", a.operationRetry, operator, "retry operation", "", once | keeps},

		{get, "/maintenances", a.maintenanceIndex, user, "", reads, 0},
		{get, "/maintenances/calendar", a.calendarShow, user, "", reads, 0},
		{post, "/maintenances/calendar", a.calendarCreate, user, "make calendar feed", "", fresh},
		{post, "/maintenances/calendar/revoke", a.calendarRevoke, user, "revoke calendar feed", "", once | takes},
		{get, "/maintenances/:id", a.maintenanceShow, viewer, "", reads, 0},
		{post, "/maintenances/:id/move", a.maintenanceMove, operator, "move maintenance", "", once | undone},
		{post, "/maintenances/:id/postpone", a.maintenancePostpone, operator, "postpone maintenance", "", once | undone},
		{get, "/maintenances/:id/run", a.maintenanceRunConfirm, operator, "", reads, 0},
		{post, "/maintenances/:id/run", a.maintenanceRun, operator, "run maintenance now", "", once | keeps},
		{get, "/maintenances/:id/cancel", a.maintenanceCancelConfirm, operator, "", reads, 0},
		{post, "/maintenances/:id/cancel", a.maintenanceCancel, operator, "cancel maintenance", "", once | keeps},
		{get, "/blackouts/new", a.blackoutNew, user, "", reads, 0},
		{post, "/blackouts", a.blackoutCreate, user, "add blackout", "", once | adds},
		{post, "/blackouts/:id/remove", a.blackoutRemove, user, "remove blackout", "", once | undone},
		{get, feedPath + ":token", a.calendarFetch, public, "", reads, 0},

		{get, "/notices", a.noticeIndex, user, "", reads, 0},
		{get, "/notices/:id", a.noticeShow, viewer, "", reads, 0},
		{post, "/notices/read", a.noticesRead, user, "", "a reader's own mark", undone},
		{post, "/notices/:id/read", a.noticeRead, viewer, "", "a reader's own mark", undone},
		{post, "/notices/:id/unread", a.noticeUnread, viewer, "", "a reader's own mark", undone},
		{get, page.NoticesPath, a.noticeMailShow, user, "", reads, 0},
		{post, page.NoticesPath, a.noticeMailSet, user, "choose what is mailed", "", once | undone},
		{get, jobs.UnsubscribePath + ":token", a.unsubscribeShow, public, "", reads, 0},
		{post, jobs.UnsubscribePath + ":token", a.unsubscribe, public, "stop mails about notices", "", itself},
		{get, page.WebhooksPath, a.webhookIndex, admin, "", reads, 0},
		{post, page.WebhooksPath, a.webhookCreate, admin, "make webhook", "", secret},
		{get, "/apps/:app/webhooks", a.appWebhooks, manager, "", reads, 0},
		{post, "/apps/:app/webhooks", a.appWebhookCreate, manager, "make webhook", "", secret},
		{get, "/webhooks/:id", a.webhookShow, manager, "", reads, 0},
		{post, "/webhooks/:id/test", a.webhookTest, manager, "send test webhook", "", adds},
		{post, "/webhooks/:id/on", a.webhookOn, manager, "turn webhook on", "", undone},
		{post, "/webhooks/:id/secret", a.webhookSecret, manager, "make new webhook secret", "", fresh},
		{post, "/webhooks/:id/remove", a.webhookRemove, manager, "remove webhook", "", once | fresh},
		{post, "/webhooks/:id/deliveries/:delivery/again", a.deliveryAgain, manager, "send notice again", "", once | adds},
		{get, "/audit", a.auditIndex, user, "", reads, 0},
		{get, "/audit.csv", a.auditExport, user, "", reads, 0},
		{get, "/plans", a.planIndex, user, "", reads, 0},
		{get, "/search", a.search, user, "", reads, 0},

		{get, "/settings", a.settingsShow, user, "", reads, 0},
		{post, "/settings/name", a.nameSet, user, "change name", "", once | undone},
		{post, "/settings/email", a.emailSet, admin, "change address", "", once | fresh},
		{post, "/settings/password", a.passwordSet, user, "change password", "", itself},
		{post, "/settings/authenticator/begin", a.authenticatorBegin, user, "set up an authenticator app", "", fresh},
		{get, "/settings/authenticator", a.authenticatorShow, user, "", reads, 0},
		{post, "/settings/authenticator", a.authenticatorConfirm, user, "confirm an authenticator app", "", fresh},
		{post, "/settings/authenticator/remove", a.authenticatorRemove, user, "turn an authenticator app off", "", once | fresh},
		{post, "/settings/provider/unlink", a.identityUnlink, user, "unlink an account at the identity provider", "", once | fresh},
		{post, "/settings/passkeys/options", a.proofOptions, user, "", "a challenge, which opens nothing", itself},
		{post, "/settings/passkeys/new", a.passkeyNew, user, "begin a passkey", "", fresh},
		{post, "/settings/passkeys", a.passkeyCreate, user, "add a passkey", "", fresh},
		{post, "/settings/passkeys/:id/remove", a.passkeyRemove, user, "remove a passkey", "", once | fresh},
		{post, "/settings/recovery-codes", a.recoveryCreate, user, "make recovery codes", "", fresh},
		{post, "/settings/sessions/end-others", a.sessionEndOthers, user, "end other sessions", "", takes},
		{post, "/settings/sessions/:id/end", a.sessionEnd, user, "end session", "", takes},
		{post, "/settings/tokens", a.tokenCreate, user, "create API token", "", once | fresh},
		{post, "/settings/tokens/:id/revoke", a.tokenRevoke, user, "revoke API token", "", once | takes},

		{get, "/settings/people", a.peopleIndex, admin, "", reads, 0},
		{post, "/settings/people", a.personInvite, admin, "invite person", "", once | fresh},
		{post, "/settings/people/invitations/:id/revoke", a.personInvitationRevoke, admin, "revoke invitation", "", once | takes},
		{get, "/settings/people/:id", a.personShow, admin, "", reads, 0},
		{post, "/settings/people/:id/email", a.personEmail, admin, "change address of a person", "", once | fresh},
		{post, "/settings/people/:id/admin", a.personAdmin, admin, "set administrator", "", once | fresh},
		{post, "/settings/people/:id/end-sessions", a.personEndSessions, admin, "end sessions of a person", "", once | takes},
		{post, "/settings/people/:id/deactivate", a.personDeactivate, admin, "deactivate person", "", once | fresh},
		{post, "/settings/people/:id/reactivate", a.personReactivate, admin, "reactivate person", "", once | fresh},

		{get, "/settings/reset-link", a.resetLinkNew, admin, "", reads, 0},
		{post, "/settings/reset-link", a.resetLinkCreate, admin, "make reset link", "", fresh},

		{get, "/settings/mail", a.mailShow, admin, "", reads, 0},
		{post, "/settings/mail", a.mailSet, admin, "set mail server", "", once | fresh},
		{post, "/settings/mail/test", a.mailTest, admin, "send test mail", "", once | adds},
		{post, "/settings/mail/remove", a.mailRemove, admin, "turn mail off", "", once | fresh},

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
	e.Use(a.observe, a.secureHeaders, a.checkHost, limitBody, compress(), a.identify, a.checkAddress, a.checkForm)
	routes := a.routes()
	if a.cfg.Development {
		routes = append(routes, route{get, "/styleguide", a.styleguide, user, "", reads, 0})
	}
	for _, r := range routes {
		handler := r.handler
		if r.flags&once != 0 {
			handler = a.onlyOnce(handler)
		}
		if r.flags&fresh != 0 {
			handler = a.proved(handler)
		}
		e.Add(r.method, r.path, a.audited(r, a.admit(r, handler)))
	}
	return e
}
