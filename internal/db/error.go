package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5/pgconn"
)

// sentence is what a violated constraint says to a person. A %s in text is the
// value that was refused.
type sentence struct {
	kind  platform.Kind
	field string
	text  string
}

// sentenceFor is the sentence of a constraint's name. Constraints without one
// (states, levels) are only violated by a mistake in the program.
func sentenceFor(constraint string) (sentence, bool) {
	switch constraint {
	case "users_email_key":
		return sentence{platform.KindConflict, "email", "There is already a user %s. Sign in with that address, or choose another."}, true
	case "users_email_check":
		return sentence{platform.KindInvalid, "email", "An e-mail address has one @ and no spaces, such as chef@example.com."}, true
	case "invitations_email_check":
		return sentence{platform.KindInvalid, "email", "An e-mail address has one @ and no spaces, such as chef@example.com."}, true
	case "invitations_open_key":
		return sentence{platform.KindConflict, "email", "This address was invited in this very moment by somebody else. Reload the page."}, true
	case "apps_name_key":
		return sentence{platform.KindConflict, "name", "The name %s is taken. Choose another name for the app."}, true
	case "apps_name_check":
		return sentence{platform.KindInvalid, "name", "An app's name has 2 to 30 lower-case letters, digits and hyphens, begins with a letter and does not end with a hyphen, such as sushi."}, true
	case "formations_quantity_check":
		return sentence{platform.KindInvalid, "quantity", "A process type has between 0 and 1000 processes. Type a number in that range."}, true
	case "databases_name_key":
		return sentence{platform.KindConflict, "name", "There is already a database %s. Try again; the next one gets another name."}, true
	case "servers_port_key":
		return sentence{platform.KindConflict, "port", "Port %s belongs to another server for as long as that one exists. Choose another port."}, true
	case "pools_port_key":
		return sentence{platform.KindConflict, "port", "Port %s belongs to another connection pool for as long as that one exists. Choose another port."}, true
	case "pools_attachment_id_key":
		return sentence{platform.KindConflict, "", "The attachment has a connection pool already. Reload the page."}, true
	case "attachments_app_id_name_key":
		return sentence{platform.KindConflict, "name", "The app already has an attachment %s. Choose another name, or detach that one first."}, true
	case "billing_periods_open_key":
		return sentence{platform.KindConflict, "", "The database is already billed for a plan. End that period first."}, true
	case "databases_window_check":
		return sentence{platform.KindInvalid, "window", "A maintenance window opens on a day of the week at a full or a half hour. Choose both from the lists."}, true
	case "blackouts_order_check":
		return sentence{platform.KindInvalid, "until", "The blackout must end after it begins. Choose a later end."}, true
	case "maintenances_open_key":
		return sentence{platform.KindConflict, "", "A maintenance of this database is under way already. Run it, wait for it or cancel it, then try again."}, true
	case "operation_claims_pkey":
		return sentence{platform.KindConflict, "", "Another operation is running on this database. Wait until it has ended, or cancel it."}, true
	}
	if strings.HasSuffix(constraint, "_fkey") {
		return sentence{platform.KindNotFound, "", "Something this refers to does not exist any more. Reload the page and try again."}, true
	}
	return sentence{}, false
}

// refusedValue finds the value in PostgreSQL's detail of a unique violation,
// "Key (app_id, name)=(3, DATABASE) already exists.", in whatever language the
// rest of it is. The details of other violations hold whole rows and stay out.
var refusedValue = regexp.MustCompile(`\([^=]*\)=\((?:.*, )?(.*)\)`)

// translate makes a *platform.Error of a violated constraint and of a control
// database that does not answer. Every error from the driver goes through it.
func translate(err error) error {
	var known *platform.Error
	var pg *pgconn.PgError
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &pg):
		return translateServerError(err, pg)
	case doesNotAnswer(err):
		return unavailable(err)
	}
	return err
}

func translateServerError(err error, pg *pgconn.PgError) error {
	switch {
	case pg.Code == "57014":
		return platform.Unavailable(err, "The control database needed more than %s for one question and was stopped. Try again in a minute.", statementTimeout)
	case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "57P"), pg.Code == "53300":
		return unavailable(err)
	case pg.Code == "53100":
		return platform.Unavailable(err, "The disk of the control database is full. Free some space on it and try again.")
	}
	s, ok := sentenceFor(pg.ConstraintName)
	if !ok {
		return err
	}
	text := s.text
	if strings.Contains(text, "%s") {
		v := "that you typed"
		if m := refusedValue.FindStringSubmatch(pg.Detail); m != nil && pg.Code == "23505" {
			v = m[1]
		}
		text = fmt.Sprintf(text, v)
	}
	return &platform.Error{Kind: s.kind, Field: s.field, Message: text, Err: err}
}

// doesNotAnswer is whether the connection, and not the question, failed.
func doesNotAnswer(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.Timeout(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "closed pool")
}

func unavailable(err error) error {
	return platform.Unavailable(err, "The control database does not answer. The databases go on without it; try again in a few seconds.")
}
