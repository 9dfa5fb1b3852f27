package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// What came of an audited request.
const (
	AuditDone    = "done"
	AuditRefused = "refused" // the asker could have known better: a rule, a right, a typing mistake
	AuditFailed  = "failed"  // something of ours did not work
)

// AuditEntry is who asked for what, and what came of it. Detail never holds a
// secret; the caller sees to that.
type AuditEntry struct {
	ID      int64 // given by the control database
	At      time.Time
	Actor   string
	Action  string // "POST /databases/:database/changeover"
	Subject string // "postgresql-shaped-12345"
	Outcome string
	Detail  string
	IP      string
	AppIDs  []int64 // apps that it concerned: who has a role on one of them sees it
}

// AddAudit keeps an entry; its ID and At are set by the control database.
func AddAudit(ctx context.Context, q Querier, e AuditEntry) error {
	_, err := exec(ctx, q, `insert into audit (actor, action, subject, outcome, detail, ip, app_ids)
		values ($1, $2, $3, $4, left($5, 2000), $6, coalesce($7, '{}'::bigint[]))`,
		e.Actor, e.Action, e.Subject, e.Outcome, e.Detail, e.IP, e.AppIDs)
	return err
}

// ProgramActor is who acted where nobody asked: the program itself.
const ProgramActor = "changeover"

// AddProgramAudit keeps what the program did by itself to a database.
func AddProgramAudit(ctx context.Context, q Querier, databaseID int64, action, detail string) error {
	_, err := exec(ctx, q, `insert into audit (actor, action, subject, outcome, detail, app_ids)
		select $2, $3, d.name, $4, left($5, 2000), array[d.app_id] from databases d where d.id = $1`, databaseID, ProgramActor, action, AuditDone, detail)
	return err
}

// AuditFilter narrows the audit; the zero value is all of it.
type AuditFilter struct {
	Actor    string
	Action   string
	Subject  string
	Outcome  string
	App      string    // a name: acts that concerned an app of that name, or were about it
	Database string    // a name: acts about it, its operations and its maintenances
	Text     string    // part of the actor, action, subject or detail
	From     time.Time // zero: no bound
	Until    time.Time // the first moment that is too late; zero: no bound
	BeforeID int64     // older than this one: the next page
	Limit    int       // 0: 100
}

// ListAudit is the entries that a reader may see, newest first: an administrator
// all of them, others their own and those of the apps on which they have a role
// now. Ask for one more than a page to know whether there is another.
func ListAudit(ctx context.Context, q Querier, reader string, access platform.Access, f AuditFilter) ([]AuditEntry, error) {
	all, apps := sight(access)
	// With the index of 0022 a part of a word is found without reading every row;
	// the plan depends on what is asked for, so it is made for it each time.
	return many[AuditEntry](ctx, q, `select id, at, actor, action, subject, outcome, detail, ip, app_ids from audit
		where ($1 = '' or actor = $1) and ($2 = '' or subject = $2) and ($3 = '' or outcome = $3)
			and ($4 = '' or lower(actor || E'\n' || action || E'\n' || subject || E'\n' || detail) like lower($4))
			and ($5::bigint = 0 or id < $5)
			and ($7 or app_ids && $8 or (actor = $9 and $9 <> ''))
			and ($10 = '' or action = $10)
			and ($11 = '' or app_ids && array(select a.id from apps a where a.name = $11) or split_part(subject, ' ', 1) = $11)
			and ($12 = '' or split_part(subject, ' ', 1) = $12
				or action like '% operation' and subject = any(array(select o.id::text from operations o
					join databases d on d.id in (o.database_id, o.target_id) where d.name = $12))
				or action like '% maintenance%' and subject = any(array(select m.id::text from maintenances m
					join databases d on d.id = m.database_id where d.name = $12)))
			and ($13::timestamptz is null or at >= $13) and ($14::timestamptz is null or at < $14)
		order by id desc limit $6`, pgx.QueryExecModeCacheDescribe, f.Actor, f.Subject, f.Outcome, likePart(f.Text), f.BeforeID, limitOr(f.Limit, 100), all, apps, reader,
		f.Action, f.App, f.Database, momentOr(f.From), momentOr(f.Until))
}

// momentOr is nil for the zero moment.
func momentOr(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// AuditProgramActions are what ProgramActor did, for a list to choose from.
func AuditProgramActions(ctx context.Context, q Querier) ([]string, error) {
	return value[[]string](ctx, q, nil, `select coalesce(array_agg(distinct action), '{}') from audit where actor = $1`, ProgramActor)
}
