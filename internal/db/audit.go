package db

import (
	"context"
	"time"
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
}

// AddAudit keeps an entry; its ID and At are set by the control database.
func AddAudit(ctx context.Context, q Querier, e AuditEntry) error {
	_, err := exec(ctx, q, `insert into audit (actor, action, subject, outcome, detail, ip) values ($1, $2, $3, $4, left($5, 2000), $6)`,
		e.Actor, e.Action, e.Subject, e.Outcome, e.Detail, e.IP)
	return err
}

// AuditFilter narrows the audit; the zero value is all of it.
type AuditFilter struct {
	Actor    string
	Subject  string
	Outcome  string
	Text     string // part of the actor, action, subject or detail
	BeforeID int64  // older than this one: the next page
	Limit    int    // 0: 100
}

// ListAudit is the entries, newest first. Ask for one more than a page to know
// whether there is another.
func ListAudit(ctx context.Context, q Querier, f AuditFilter) ([]AuditEntry, error) {
	return many[AuditEntry](ctx, q, `select id, at, actor, action, subject, outcome, detail, ip from audit
		where ($1 = '' or actor = $1) and ($2 = '' or subject = $2) and ($3 = '' or outcome = $3)
			and ($4 = '' or actor ilike $4 or action ilike $4 or subject ilike $4 or detail ilike $4)
			and ($5::bigint = 0 or id < $5)
		order by id desc limit $6`, f.Actor, f.Subject, f.Outcome, likePart(f.Text), f.BeforeID, limitOr(f.Limit, 100))
}
