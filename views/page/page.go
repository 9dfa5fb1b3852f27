// Package page owns one templ for each page: its view model on top, its markup
// below. A page imports only internal/platform, views/layout and
// views/component; the web package fills the view models.
package page

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/a-h/templ"
)

func id(n int64) string { return strconv.FormatInt(n, 10) }

// databaseURL is the path of a database, or of a page below it.
func databaseURL(name string, below ...string) templ.SafeURL {
	return templ.SafeURL("/databases/" + url.PathEscape(name) + tail(below))
}

// appURL is the path of an app, or of a page below it.
func appURL(name string, below ...string) templ.SafeURL {
	return templ.SafeURL("/apps/" + url.PathEscape(name) + tail(below))
}

// poolURL is the path of a connection pool, or of a page below it.
func poolURL(database string, pool int64, below ...string) templ.SafeURL {
	return databaseURL(database, append([]string{"pools", id(pool)}, below...)...)
}

func operationURL(n int64, below ...string) templ.SafeURL {
	return templ.SafeURL("/operations/" + id(n) + tail(below))
}

func tail(parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	return "/" + strings.Join(parts, "/")
}

// colour is an attachment's name without what all of them share.
func colour(name string) string { return strings.TrimPrefix(name, "HEROKU_POSTGRESQL_") }
