package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/page"
)

func (a *app) databaseFacts(ctx context.Context, access platform.Access, row db.DatabaseListRow, leader *db.DatabaseListRow, followers []db.DatabaseListRow, now time.Time) (page.DatabaseFacts, error) {
	d, r := row.Database, row.Reading
	plan := a.plan(d.Plan)
	facts := page.DatabaseFacts{
		Answers: r.Known && r.Answers, Problem: r.Problem, Version: r.Version, Connections: r.Connections, ConnectionLimit: plan.Connections,
		DataBytes: r.DataBytes, Tables: r.Tables, Lag: lagOf(d, r), CreatedAt: d.CreatedAt, Zone: row.Zone, Host: a.engine.Host(), CostSince: d.CreatedAt,
	}
	if r.UnansweredSince != nil {
		facts.UnknownSince = *r.UnansweredSince
	}
	if leader != nil {
		link := rowLink(access, *leader, leader.Database.Name)
		facts.Following = &link
	}
	if row.ForkedFrom != "" {
		link, err := a.linkFor(ctx, access, row.ForkedFrom)
		if err != nil {
			return facts, err
		}
		facts.ForkedFrom = &link
	}
	if leader == nil { // else they are others of its leader
		for _, f := range followers {
			facts.Followers = append(facts.Followers, rowLink(access, f, or(attachmentOn(f), shortName(f.Database.Name))))
		}
	}
	facts.ForkFollow = forkFollow(d, plan)
	if row.Server != nil {
		facts.Port = row.Server.Port
	}
	var err error
	facts.CostCents, err = db.CostCents(ctx, a.pool, d.ID, now)
	return facts, err
}

// forkFollow is the fact "Fork/Follow" in the words of the documents.
func forkFollow(d platform.Database, plan platform.Plan) string {
	switch {
	case d.IsFollower() || d.State == platform.DatabaseDestroyed:
		return "–"
	case !plan.Tier.CanFollow:
		return "Needs a Standard or higher plan"
	case d.State == platform.DatabaseFenced:
		return "Unavailable while it is fenced"
	case d.State != platform.DatabaseAvailable:
		return "Unavailable until it is available"
	case !d.ForkReady:
		return "Temporarily Unavailable until the first full checkpoint, usually a few minutes"
	}
	return "Available"
}

// connectionOf is the database's URL with its password left out.
func connectionOf(row db.DatabaseListRow, host string, port int, loose bool) page.ConnectionView {
	d := row.Database
	view := page.ConnectionView{DatabaseName: d.Name, Loose: loose, ReadOnly: d.IsFollower() || d.State == platform.DatabaseFenced}
	if port != 0 && d.State != platform.DatabaseCreating {
		view.Masked = fmt.Sprintf("postgres://%s:••••••••@%s/%s?sslmode=require", d.RoleName, net.JoinHostPort(host, strconv.Itoa(port)), d.DatabaseName)
	}
	return view
}
