package jobs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// noticeOf gives a notice about a maintenance, once for the event that once names.
func (j *Jobs) noticeOf(ctx context.Context, tx pgx.Tx, m platform.Maintenance, kind platform.NoticeKind, level platform.NoticeLevel, once, subject string, paragraphs ...string) error {
	var body []string
	for _, p := range paragraphs {
		if p = strings.TrimSpace(p); p != "" {
			body = append(body, p)
		}
	}
	_, err := db.CreateNotice(ctx, tx, db.NewNotice{Kind: kind, Level: level, Subject: subject, Body: strings.Join(body, "\n\n"),
		DatabaseID: &m.DatabaseID, AppID: &m.AppID, OperationID: &m.OperationID,
		Once: fmt.Sprintf("maintenance:%d:%s:%s", m.ID, kind, once)})
	return err
}

func (j *Jobs) noticePreparing(ctx context.Context, tx pgx.Tx, m platform.Maintenance) error {
	when := "The switch comes as soon as it is ready."
	switch {
	case m.AtOnce:
	case m.ScheduledAt == nil:
		when = "Blackouts cover every opening of its window for more than a year: remove one, or choose a time."
	default:
		when = fmt.Sprintf("The switch is expected at %s; another notice says when it is ready.", platform.MomentUTC(*m.ScheduledAt))
	}
	return j.noticeOf(ctx, tx, m, platform.NoticeMaintenancePreparing, "info", "", "Preparing: "+m.Title()+" of "+m.DatabaseName,
		fmt.Sprintf("A replacement of %s on %s is being prepared, as %s has asked for. %s goes on as before meanwhile.", m.DatabaseName, m.ToPlan, m.CreatedBy, m.DatabaseName), when,
		"What to do. Nothing. It can be cancelled at any time before the switch: then the replacement is destroyed and nothing has changed.")
}

func (j *Jobs) noticeScheduled(ctx context.Context, tx pgx.Tx, m platform.Maintenance, at *time.Time, remark string) error {
	when := "It has no time yet: blackouts cover every opening of its window for more than a year. Run it now, move it to a time, or remove a blackout."
	if at != nil {
		when = fmt.Sprintf("The switch is scheduled for %s and may begin until four hours later. Writes are refused for a moment then.", platform.MomentUTC(*at))
	}
	if m.AtOnce {
		when = "The switch begins now, as was asked for."
	}
	return j.noticeOf(ctx, tx, m, platform.NoticeMaintenanceScheduled, "info", "", "Ready: "+m.Title()+" of "+m.DatabaseName,
		fmt.Sprintf("The replacement of %s has caught up. %s", m.DatabaseName, when), remark,
		"What to do. Nothing. You can run it now, move it, or cancel it: then the replacement is destroyed and nothing has changed.")
}

// noticeMoved tells of a new time; m is the maintenance as it was before.
func (j *Jobs) noticeMoved(ctx context.Context, tx pgx.Tx, m platform.Maintenance, at *time.Time, level platform.NoticeLevel, why, remark string) error {
	when, once := "It has no time now: run it, move it to a time, or remove a blackout.", "none"
	if at != nil {
		when, once = fmt.Sprintf("It is scheduled for %s now.", platform.MomentUTC(*at)), fmt.Sprint(at.Unix())
	}
	was := "none"
	if m.ScheduledAt != nil {
		was = fmt.Sprint(m.ScheduledAt.Unix())
	}
	return j.noticeOf(ctx, tx, m, platform.NoticeMaintenanceMoved, level, fmt.Sprintf("%d:%s:%s:%d", m.Postponed, was, once, j.Now().UnixMilli()), "Moved: "+m.Title()+" of "+m.DatabaseName, when, "Why. "+why, remark)
}

func (j *Jobs) noticeTomorrow(ctx context.Context, tx pgx.Tx, m platform.Maintenance) error {
	return j.noticeOf(ctx, tx, m, platform.NoticeMaintenanceTomorrow, "info", fmt.Sprint(m.ScheduledAt.Unix()), "Within a day: "+m.Title()+" of "+m.DatabaseName,
		fmt.Sprintf("The switch of %s is due at %s. Writes are refused for a moment then; connections end and must be made anew.", m.DatabaseName, platform.MomentUTC(*m.ScheduledAt)),
		"What to do. Nothing. Until then you can move it or cancel it.")
}

func (j *Jobs) noticeStarting(ctx context.Context, tx pgx.Tx, m platform.Maintenance) error {
	return j.noticeOf(ctx, tx, m, platform.NoticeMaintenanceStarting, "info", fmt.Sprintf("%d:%d", m.Postponed, j.Now().Unix()), "Starting: "+m.Title()+" of "+m.DatabaseName,
		fmt.Sprintf("The maintenance of %s begins now. A notice says when it is done.", m.DatabaseName))
}
