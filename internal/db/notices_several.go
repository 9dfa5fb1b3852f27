package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// NewNoticePart is one of the databases of a notice about several.
type NewNoticePart struct {
	DatabaseID int64
	After      *time.Duration // until it ran again; nil: it does not run
}

// partsArgs are the parts as columns.
func partsArgs(parts []NewNoticePart) (ids []int64, after []*int64) {
	ids, after = make([]int64, len(parts)), make([]*int64, len(parts))
	for i, p := range parts {
		ids[i] = p.DatabaseID
		if p.After != nil {
			ms := p.After.Milliseconds()
			after[i] = &ms
		}
	}
	return ids, after
}

// showSeveral writes what somebody with that access reads of those of the notices
// that are about several databases. It returns how many of the given ones they
// may read nothing of; that of a notice is left as it was.
func showSeveral(ctx context.Context, q Querier, access platform.Access, notices []Notice) (unseen int, err error) {
	var ids []int64
	for _, n := range notices {
		if n.Several {
			ids = append(ids, n.ID)
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	type row struct {
		NoticeID      int64
		Database, App string
		AfterMS       *int64
	}
	ask := askFor(access, ids)
	rows, err := many[row](ctx, q, `select p.notice_id, d.name as database, coalesce(a.name, '') as app, p.after_ms from notice_databases p
		join databases d on d.id = p.database_id left join apps a on a.id = p.app_id
		where p.notice_id = any($1) and `+ask.seesPart()+` order by a.name, d.name`, ask.args...)
	if err != nil {
		return 0, err
	}
	parts := map[int64][]platform.NoticePart{}
	for _, r := range rows {
		p := platform.NoticePart{Database: r.Database, App: r.App, Runs: r.AfterMS != nil}
		if p.Runs {
			p.After = time.Duration(*r.AfterMS) * time.Millisecond
		}
		parts[r.NoticeID] = append(parts[r.NoticeID], p)
	}
	for i := range notices {
		n := &notices[i]
		switch {
		case !n.Several:
		case len(parts[n.ID]) == 0:
			unseen++
		default:
			n.Level, n.Subject, n.Body, n.Figures = platform.SeveralNotice(n.Level, n.Body, parts[n.ID])
		}
	}
	return unseen, nil
}

// StoppedApps are the apps that see one of the databases of a notice about
// several that did not run, and all that see one of them.
func StoppedApps(ctx context.Context, q Querier, noticeID int64) ([]int64, error) {
	return value[[]int64](ctx, q, nil, `select coalesce(array_agg(distinct app), '{}') from (
		select p.app_id as app from notice_databases p where p.notice_id = $1 and p.after_ms is null
		union select t.app_id from notice_databases p join attachments t on t.database_id = p.database_id where p.notice_id = $1 and p.after_ms is null) apps`, noticeID)
}
