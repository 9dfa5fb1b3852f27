package db

import (
	"context"
	"net"
	"net/url"
	"strconv"

	"changeover/internal/platform"
)

// databaseSecret is what a database's URL is computed from.
type databaseSecret struct {
	Name           string
	DatabaseName   string
	RoleName       string
	PasswordSealed []byte
	Port           int
}

const secretColumns = `d.name, d.database_name, d.role_name, d.password_sealed, v.port`

// noSecret stands in the same columns where there is no database.
const noSecret = `'' as name, '' as database_name, '' as role_name, ''::bytea as password_sealed, 0 as port`

func passwordContext(databaseName string) string { return "database_password:" + databaseName }

func (d databaseSecret) url(s *Sealer, host string) (string, error) {
	password, err := s.Open(d.PasswordSealed, passwordContext(d.Name))
	if err != nil {
		return "", err
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(d.RoleName, password),
		Host: net.JoinHostPort(host, strconv.Itoa(d.Port)), Path: "/" + d.DatabaseName, RawQuery: "sslmode=require",
	}
	return u.String(), nil
}

// DatabaseURL is how an app reaches the database that runs at host. It is
// Conflict while the database has no server.
func DatabaseURL(ctx context.Context, q Querier, s *Sealer, host string, databaseID int64) (string, error) {
	none := platform.Conflict("The database has no server yet, so it has no URL. Wait until it is available.")
	d, err := one[databaseSecret](ctx, q, none, `select `+secretColumns+`
		from databases d join servers v on v.id = d.server_id where d.id = $1 and d.state <> 'destroyed'`, databaseID)
	if err != nil {
		return "", err
	}
	return d.url(s, host)
}

// ServerURL is how an app would reach the database on one of its servers,
// whichever its config vars point to now.
func ServerURL(ctx context.Context, q Querier, s *Sealer, host string, databaseID, serverID int64) (string, error) {
	d, err := one[databaseSecret](ctx, q, noServer(), `select `+secretColumns+`
		from databases d join servers v on v.id = $2 where d.id = $1 and v.destroyed_at is null`, databaseID, serverID)
	if err != nil {
		return "", err
	}
	return d.url(s, host)
}

// DatabasePassword is the password of the app's role, for its verifier.
func DatabasePassword(ctx context.Context, q Querier, s *Sealer, databaseID int64) (string, error) {
	type row struct {
		Name           string
		PasswordSealed []byte
	}
	d, err := one[row](ctx, q, noDatabase(), `select name, password_sealed from databases where id = $1`, databaseID)
	if err != nil {
		return "", err
	}
	return s.Open(d.PasswordSealed, passwordContext(d.Name))
}
