package postgres

import (
	"errors"
	"net"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// DatabaseURL is what an app connects with, TLS required.
func DatabaseURL(role, password, host string, port int, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(role, password),
		Host:     net.JoinHostPort(host, strconv.Itoa(port)),
		Path:     "/" + database,
		RawQuery: "sslmode=require",
	}
	return u.String()
}

// errURL says nothing of the URL: the errors of net/url and pgx quote it, and it
// holds a password.
var errURL = errors.New("the database URL cannot be read: it must have the form postgres://role:password@host:port/database")

// ParseURL reads a database URL. Its error never contains any part of the URL.
func ParseURL(raw string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(raw)
	if err != nil {
		return nil, errURL
	}
	return config, nil
}
