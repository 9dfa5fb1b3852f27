package db

import (
	"strconv"

	"changeover/internal/platform"
)

// asking puts a question together of what is asked for. What is not asked for is
// left out of it rather than switched off by an argument: such a question would
// be planned anew each time, and planning these takes longer than answering.
type asking struct {
	args []any
	all  bool   // asked by somebody who sees everything
	apps string // else the argument with the apps that are seen
}

// askFor begins a question of somebody with that access; first are its first arguments.
func askFor(access platform.Access, first ...any) *asking {
	a := &asking{args: first, all: access.Admin}
	if !a.all {
		a.apps = a.arg(access.AppIDs())
	}
	return a
}

// arg is the name of another argument.
func (a *asking) arg(value any) string {
	a.args = append(a.args, value)
	return "$" + strconv.Itoa(len(a.args))
}

// seesApp is whether the app of that column is seen.
func (a *asking) seesApp(column string) string {
	if a.all {
		return "true"
	}
	return column + " = any(" + a.apps + ")"
}

// seesDatabase is whether the database of that column is seen.
func (a *asking) seesDatabase(column string) string {
	if a.all {
		return "true"
	}
	return column + " in (select d.id from databases d where d.app_id = any(" + a.apps + ") union select t.database_id from attachments t where t.app_id = any(" + a.apps + "))"
}

// seesNotice is whether the user $1 sees the notice n, or sums of such. One to a
// person is that person's alone.
func (a *asking) seesNotice() string {
	if a.all {
		return "(n.user_id is null or n.user_id = $1)"
	}
	return "case when n.user_id is null then " + a.seesApp("n.app_id") + " or " + a.seesDatabase("n.database_id") + " else n.user_id = $1 end"
}

// seesPart is whether the part p of a notice about several databases is seen.
func (a *asking) seesPart() string {
	if a.all {
		return "true"
	}
	return "(" + a.seesApp("p.app_id") + " or " + a.seesDatabase("p.database_id") + ")"
}
