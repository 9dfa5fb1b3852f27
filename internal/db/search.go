package db

import (
	"context"
	"strings"

	"changeover/internal/platform"
)

// SearchHit is one app or database that a search found.
type SearchHit struct {
	Kind    string // "app" or "database"
	ID      int64
	Name    string
	Plan    string // of a database
	State   string // of a database
	AppName string // a database's app
}

// Search finds apps and databases that access sees by part of their names, and
// databases by their app's; names that begin with text come first.
func Search(ctx context.Context, q Querier, access platform.Access, text string, limit int) ([]SearchHit, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return []SearchHit{}, nil
	}
	all, apps := sight(access)
	return many[SearchHit](ctx, q, `select kind, id, name, plan, state, app_name from (
			select 'app' as kind, id, name, '' as plan, '' as state, '' as app_name
			from apps where destroyed_at is null and name ilike $1 and ($4 or id = any($5))
			union all
			select 'database', d.id, d.name, d.plan, d.state, a.name
			from databases d join apps a on a.id = d.app_id
			where d.state <> 'destroyed' and (d.name ilike $1 or a.name ilike $1)
				and ($4 or d.app_id = any($5) or exists (select from attachments t where t.database_id = d.id and t.app_id = any($5)))) hits
		order by not starts_with(name, lower($2)), kind, name limit $3`, likePart(text), text, limitOr(limit, 20), all, apps)
}

// likePart is the pattern for text anywhere; empty stays empty. What means
// something to LIKE is taken literally.
func likePart(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}
