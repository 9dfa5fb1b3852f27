package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"
)

// errorStatus is the HTTP status of a kind of error.
func errorStatus(kind platform.Kind) int {
	switch kind {
	case platform.KindInvalid:
		return http.StatusUnprocessableEntity
	case platform.KindNotFound:
		return http.StatusNotFound
	case platform.KindConflict:
		return http.StatusConflict
	case platform.KindForbidden:
		return http.StatusForbidden
	case platform.KindUnavailable:
		return http.StatusServiceUnavailable
	case platform.KindTooMany:
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
}

// failure is an error as it is answered: a status and a sentence. Reference is
// set for an internal error only; the log has the rest under it.
type failure struct {
	Status    int
	Message   string
	Field     string
	Link      string
	Reference string
	After     time.Duration // how long to wait before the next try; 0: not known
}

// failureOf is the one place where errors become answers.
func failureOf(err error, reference string) failure {
	var ours *platform.Error
	var routed *echo.HTTPError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return failure{Status: http.StatusRequestEntityTooLarge, Message: "The request is larger than 1 MB, which is more than any form here needs. Send less."}
	case errors.As(err, &ours):
		f := failure{Status: errorStatus(ours.Kind), Message: ours.Message, Field: ours.Field, Link: ours.Link, After: ours.After}
		if ours.Kind == platform.KindInternal {
			f.Message, f.Reference = internalMessage, reference
		}
		return f
	case errors.As(err, &routed) && routed.Code < 500:
		return routedFailure(routed.Code)
	case controlAway(err):
		return failure{Status: http.StatusServiceUnavailable, Message: "The control database does not answer. The databases go on without it; try again in a few seconds."}
	case errors.Is(err, context.DeadlineExceeded):
		return failure{Status: http.StatusServiceUnavailable, Message: "The answer took longer than this page waits for. Try again in a few seconds."}
	}
	return failure{Status: http.StatusInternalServerError, Message: internalMessage, Reference: reference}
}

const internalMessage = "This is a fault in Changeover, and the databases are not affected by it. Give the reference to whoever runs Changeover: the log has the details under it."

// controlAway is whether a question failed because its connection did.
func controlAway(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) && !network.Timeout() || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

// routedFailure is an answer of the router itself.
func routedFailure(status int) failure {
	switch status {
	case http.StatusNotFound:
		return failure{Status: status, Message: "There is no page at this address. Check it, or start from the list of databases."}
	case http.StatusMethodNotAllowed:
		return failure{Status: status, Message: "This address does not take that kind of request. Go to the page and use its buttons."}
	case http.StatusUnauthorized:
		return failure{Status: status, Message: "The Authorization header has no valid token. Send Authorization: Bearer with a token from Settings or from changeover token."}
	}
	return failure{Status: status, Message: "The request was not understood. Go back and send the form again."}
}

// handleError is echo's error handler: whatever a handler or a middleware
// returned becomes JSON for a request with Authorization, else a page.
func (a *app) handleError(err error, c echo.Context) {
	if c.Response().Committed || errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil {
		return // answered already, or nobody is there to read it
	}
	f := failureOf(err, requestID(c))
	if f.Status >= 500 {
		a.log.Error("request failed", "request", requestID(c), "method", c.Request().Method, "path", c.Path(), "status", f.Status, "error", err)
	}
	if f.Status == http.StatusServiceUnavailable {
		c.Response().Header().Set("Retry-After", "5")
	}
	retryAfter(c, f.After)
	c.Response().Header().Set("Cache-Control", "no-store")
	if isAPI(c) {
		_ = c.JSON(f.Status, errorJSON(f))
		return
	}
	view := page.ErrorView{Status: f.Status, Message: f.Message, Reference: f.Reference, SignedOut: visitorOf(c).UserID == 0}
	if f.Link != "" {
		view.Link = component.Link{Text: "Show what is in the way", URL: f.Link}
	}
	if f.Status == http.StatusNotFound && strings.HasPrefix(c.Path(), jobs.UnsubscribePath) {
		view.Title = "This link stops no mails" // whoever came from a mail looked for no page
	}
	frame := a.errorFrame(c, view)
	if err := a.render(c, f.Status, page.Error(frame, view)); err != nil {
		a.log.Error("the error page was not rendered", "request", requestID(c), "error", err)
		_ = c.String(f.Status, f.Message)
	}
}

// retryAfter says to programs what the sentence says to people. Less than a
// second is a second.
func retryAfter(c echo.Context, wait time.Duration) {
	if wait > 0 {
		c.Response().Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
}

// errorJSON is an error's JSON form.
func errorJSON(f failure) map[string]string {
	body := map[string]string{"error": f.Message}
	for key, value := range map[string]string{"field": f.Field, "link": f.Link, "reference": f.Reference} {
		if value != "" {
			body[key] = value
		}
	}
	return body
}

// refusedForm answers a POST whose form cannot be taken: 422 (or what the
// error's kind says) with the form again. An error that no form can show
// (internal, gone, not found) is returned for the error page.
func (a *app) refusedForm(c echo.Context, err error, again func(form component.Form) error) error {
	var ours *platform.Error
	if isAPI(c) || !errors.As(err, &ours) {
		return err
	}
	switch ours.Kind {
	case platform.KindInvalid, platform.KindConflict, platform.KindForbidden, platform.KindUnavailable, platform.KindTooMany:
	default:
		return err
	}
	noteRefusal(c, err)
	retryAfter(c, ours.After)
	form := component.Form{CSRF: visitorOf(c).CSRF, Values: typed(c), Errors: map[string]string{}}
	if ours.Field == "" {
		form.Summary = ours.Message
	} else {
		form.Errors[ours.Field] = ours.Message
	}
	c.Response().Status = errorStatus(ours.Kind)
	return again(form)
}

// typed is what was typed into a form, without what must not be sent back.
func typed(c echo.Context) map[string]string {
	values := map[string]string{}
	form, err := c.FormParams()
	if err != nil {
		return values
	}
	for name, all := range form {
		switch name {
		case "csrf_token", "form_page", "password", "password_again", "current", "smtp_password", "code", "credential", proofPassword, proofPasskey:
		default:
			if len(all) > 0 {
				values[name] = all[0]
			}
		}
	}
	return values
}
