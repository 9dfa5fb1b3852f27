package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

const (
	refusalKey = "refusal"
	subjectKey = "audit subject"
	actorKey   = "audit actor"
	detailKey  = "audit detail"
	appsKey    = "audit apps"
)

// noteRefusal keeps the error of a request that is answered with a form.
func noteRefusal(c echo.Context, err error) { c.Set(refusalKey, err) }

// noteSubject says what the act was about, where the path does not.
func noteSubject(c echo.Context, subject string) { c.Set(subjectKey, subject) }

// noteActor says who acted, where the visitor was nobody before.
func noteActor(c echo.Context, actor string) { c.Set(actorKey, actor) }

// noteDetail adds a sentence to the audit row; never a secret.
func noteDetail(c echo.Context, detail string) { c.Set(detailKey, detail) }

// noteApps says whose act it also is: besides the apps of what the path names.
func noteApps(c echo.Context, apps ...int64) {
	also, _ := c.Get(appsKey).([]int64)
	c.Set(appsKey, append(also, apps...))
}

// openAction is what the audit calls a request for a page to somebody who may
// not see it.
const openAction = "open"

// audited writes one row for each request to a route that changes something:
// done, refused (somebody may not, or cannot now), or failed; and one for each
// request of somebody signed in that is turned away at the door, whatever the
// route. Who is not signed in is sent there and leaves no row.
func (a *app) audited(r route, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		action := r.audit
		turnedAway, _ := c.Get(doorKey).(bool)
		notSignedIn, _ := c.Get(signInKey).(bool)
		if action == "" && turnedAway {
			action = openAction
		}
		if action == "" || notSignedIn {
			return err
		}
		entry := db.AuditEntry{
			Actor: actor(c), Action: action, Subject: auditSubject(c), Outcome: db.AuditDone, IP: a.clientIP(c),
		}
		entry.Detail, _ = c.Get(detailKey).(string)
		entry.AppIDs, _ = c.Get(appsKey).([]int64)
		refusal, _ := c.Get(refusalKey).(error)
		if refusal == nil {
			refusal = err
		}
		if refusal != nil {
			f := failureOf(refusal, requestID(c))
			entry.Outcome, entry.Detail = db.AuditRefused, f.Message
			if f.Status >= http.StatusInternalServerError {
				entry.Outcome = db.AuditFailed
				if f.Reference != "" {
					entry.Detail = "Reference " + f.Reference
				}
			}
		}
		// The act is over, so its row is written even if the browser is gone.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), 5*time.Second)
		defer cancel()
		if auditErr := db.AddAudit(ctx, a.pool, entry); auditErr != nil {
			a.log.Error("the audit row was not written", "request", requestID(c), "action", action, "outcome", entry.Outcome, "error", auditErr)
		}
		return err
	}
}

func actor(c echo.Context) string {
	if v := visitorOf(c); v.Email != "" {
		return v.Email
	}
	if s, _ := c.Get(actorKey).(string); s != "" {
		return s
	}
	return "nobody"
}

// auditSubject is what the act was about: what the handler said, else the
// names in the path.
func auditSubject(c echo.Context) string {
	if s, _ := c.Get(subjectKey).(string); s != "" {
		return s
	}
	for _, param := range []string{"database", "app"} {
		if v := c.Param(param); v != "" {
			if name := c.Param("name"); name != "" {
				return v + " " + name
			}
			return v
		}
	}
	return c.Param("id")
}

// isKind is whether err is of a kind.
func isKind(err error, kind platform.Kind) bool {
	var e *platform.Error
	return errors.As(err, &e) && e.Kind == kind
}
