package db

import (
	"context"
	"sort"
	"strconv"
	"strings"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// maxConfigVarBytes bounds one value; all of them travel with every release.
const maxConfigVarBytes = 32 << 10

type sealedVar struct {
	Name        string
	ValueSealed []byte
}

func configVarContext(appID int64, name string) string {
	return "config_var:" + strconv.FormatInt(appID, 10) + ":" + name
}

// appVar is a stored config var, or an attachment with what its URL is made of.
type appVar struct {
	AppID      int64
	VarName    *string // nil: the app has no config vars at all
	Stored     []byte
	Attachment *string
	databaseSecret
}

// The left join keeps one row for an app without config vars, which tells it
// from no app. Databases that have no server yet or any more are left out.
const appVars = `select a.id as app_id, v.var_name, v.stored, v.attachment, coalesce(v.name, '') as name,
		coalesce(v.database_name, '') as database_name, coalesce(v.role_name, '') as role_name, v.password_sealed,
		coalesce(v.port, 0) as port
	from apps a left join lateral (
		select c.name as var_name, c.value_sealed as stored, null as attachment, ` + noSecret + `
		from config_vars c where c.app_id = a.id
		union all
		select t.name || '_URL', null, t.name, d.name, d.database_name, d.role_name, d.password_sealed, coalesce(l.port, v.port)
		from attachments t join databases d on d.id = t.database_id join servers v on v.id = d.server_id
			left join pools l on l.attachment_id = t.id
		where t.app_id = a.id and d.state <> 'destroyed') v on true
	where a.destroyed_at is null and `

// ListConfigVars is the app's config vars by name: the stored ones and those
// that its attachments set, whose URLs are computed now and point to host. It
// is one query, since apps ask often while a database moves.
func ListConfigVars(ctx context.Context, q Querier, s *Sealer, host string, appID int64) ([]platform.ConfigVar, error) {
	rows, err := many[appVar](ctx, q, appVars+`a.id = $1`, appID)
	if err == nil && len(rows) == 0 {
		err = noApp()
	}
	return openVars(rows, s, host, err)
}

// ConfigVarsOfApp is ListConfigVars for an app's name.
func ConfigVarsOfApp(ctx context.Context, q Querier, s *Sealer, host, appName string) ([]platform.ConfigVar, error) {
	rows, err := many[appVar](ctx, q, appVars+`a.name = $1`, appName)
	if err == nil && len(rows) == 0 {
		err = noAppNamed(appName)
	}
	return openVars(rows, s, host, err)
}

func openVars(rows []appVar, s *Sealer, host string, err error) ([]platform.ConfigVar, error) {
	if err != nil {
		return nil, err
	}
	vars := []platform.ConfigVar{}
	for _, r := range rows {
		if r.VarName == nil {
			continue
		}
		v := platform.ConfigVar{Name: *r.VarName}
		if r.Attachment == nil {
			v.Value, err = s.Open(r.Stored, configVarContext(r.AppID, v.Name))
		} else {
			v.Attachment = *r.Attachment
			v.Value, err = r.url(s, host)
		}
		if err != nil {
			return nil, err
		}
		vars = append(vars, v)
	}
	sort.Slice(vars, func(i, j int) bool { return vars[i].Name < vars[j].Name })
	return vars, nil
}

// ConfigVar is one config var of the app, as ListConfigVars has it.
func ConfigVar(ctx context.Context, q Querier, s *Sealer, host string, appID int64, name string) (platform.ConfigVar, error) {
	vars, err := ListConfigVars(ctx, q, s, host, appID)
	if err != nil {
		return platform.ConfigVar{}, err
	}
	for _, v := range vars {
		if v.Name == name {
			return v, nil
		}
	}
	return platform.ConfigVar{}, noConfigVar(name)
}

// SetConfigVar sets one config var and makes a release. The same value again
// changes nothing: the release is then the zero value. A name that an
// attachment sets is Conflict at field "name".
func SetConfigVar(ctx context.Context, tx pgx.Tx, s *Sealer, appID int64, name, text, actor string) (platform.Release, error) {
	if err := platform.CheckConfigVarName("name", name); err != nil {
		return platform.Release{}, err
	}
	switch {
	case len(text) > maxConfigVarBytes:
		return platform.Release{}, platform.Invalid("value", "A config var holds at most %s and this is %s. Shorten it.", platform.Bytes(maxConfigVarBytes), platform.Bytes(int64(len(text))))
	case strings.ContainsRune(text, 0):
		return platform.Release{}, platform.Invalid("value", "A config var cannot hold a zero byte. Remove it.")
	}
	if _, err := lockApp(ctx, tx, appID); err != nil {
		return platform.Release{}, err
	}
	if err := refuseAttachmentsName(ctx, tx, appID, name); err != nil {
		return platform.Release{}, err
	}
	old, err := many[sealedVar](ctx, tx, `select name, value_sealed from config_vars where app_id = $1 and name = $2`, appID, name)
	if err != nil {
		return platform.Release{}, err
	}
	if len(old) == 1 {
		was, err := s.Open(old[0].ValueSealed, configVarContext(appID, name))
		if err != nil || was == text {
			return platform.Release{}, err
		}
	}
	_, err = exec(ctx, tx, `insert into config_vars (app_id, name, value_sealed) values ($1, $2, $3)
		on conflict (app_id, name) do update set value_sealed = excluded.value_sealed, updated_at = now()`,
		appID, name, s.Seal(text, configVarContext(appID, name)))
	if err != nil {
		return platform.Release{}, err
	}
	return CreateRelease(ctx, tx, appID, "Set "+name, actor, nil)
}

// DeleteConfigVar removes a stored config var and makes a release. One that an
// attachment sets is Conflict: it goes when the attachment is detached.
func DeleteConfigVar(ctx context.Context, tx pgx.Tx, appID int64, name, actor string) (platform.Release, error) {
	if _, err := lockApp(ctx, tx, appID); err != nil {
		return platform.Release{}, err
	}
	if err := refuseAttachmentsName(ctx, tx, appID, name); err != nil {
		return platform.Release{}, err
	}
	err := mustTouch(ctx, tx, noConfigVar(name), `delete from config_vars where app_id = $1 and name = $2`, appID, name)
	if err != nil {
		return platform.Release{}, err
	}
	return CreateRelease(ctx, tx, appID, "Remove "+name, actor, nil)
}

func refuseAttachmentsName(ctx context.Context, tx pgx.Tx, appID int64, name string) error {
	holder, err := value[string](ctx, tx, nil, `select coalesce((select d.name from attachments t join databases d on d.id = t.database_id
		where t.app_id = $1 and t.name || '_URL' = $2), '')`, appID, name)
	if err != nil || holder == "" {
		return err
	}
	e := platform.Conflict("%s is set by the attachment of %s. Detach that database, or promote another one, to change it.", name, holder)
	e.Field = "name"
	return e
}

func noConfigVar(name string) error {
	return platform.NotFound("The app has no config var %s. Reload the page.", name)
}
