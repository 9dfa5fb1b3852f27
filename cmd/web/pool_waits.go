package main

import (
	"context"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"
)

// waitPoints is how many points of the plot of waits are asked for.
const waitPoints = 360

func (a *app) waitPlot(ctx context.Context, p pooledAttachment, d platform.Database, span string) (component.WaitPlot, error) {
	now := time.Now()
	plot := component.WaitPlot{URL: poolPath(d.Name, p.ID), Range: span, From: now.Add(-lagSpan(span)), To: now}
	samples, err := db.PoolSamples(ctx, a.pool, p.ID, plot.From, plot.To, waitPoints)
	if err != nil {
		return plot, err
	}
	gap := 3 * max(lagSpan(span)/waitPoints, 5*time.Second)
	for i, s := range samples {
		// A hole in the samples is drawn as one: nobody knows what it was.
		if i > 0 && s.At.Sub(samples[i-1].At) > gap {
			plot.Points = append(plot.Points, component.WaitPoint{At: samples[i-1].At.Add(time.Second)})
		}
		plot.Points = append(plot.Points, component.WaitPoint{At: s.At, Known: true, LongestMS: s.WaitMS, AverageMS: s.AverageMS, ClientsWaiting: s.ClientsWaiting, ServersUsed: s.ServersUsed})
	}
	holds, err := db.PoolHolds(ctx, a.pool, p.Attachment, plot.From)
	if err != nil {
		return plot, err
	}
	for _, h := range holds {
		plot.Switches = append(plot.Switches, component.HoldMark{At: h.At, HeldMS: h.HeldMS, AtLeast: h.HeldAtLeast, URL: operationPath(h.OperationID)})
	}
	// No figure here: this line is not live, and what it says of a moment ago would be wrong.
	plot.Summary = "Of a client for a connection to the server, looked at once a second; a switch's own figure is measured"
	return plot, nil
}

// renderPool makes the live fragments of a pool's page.
func (a *app) renderPool(ctx context.Context, id int64, e eyes) (r rendered, err error) {
	p, err := a.poolByID(ctx, id)
	if err != nil {
		return r, err
	}
	row, err := a.databaseNamed(ctx, e.access, p.DatabaseName)
	if err != nil {
		return r, err
	}
	view, err := a.poolView(ctx, e.access, p, row, "1h")
	if err != nil {
		return r, err
	}
	r.shape = poolShape(view)
	if n := len(view.Waits.Points); n > 1 {
		view.Waits.Points = view.Waits.Points[n-1:]
	}
	r.fragments, err = renderFragments(ctx, page.PoolHead(view), page.PoolFigures(view), page.PoolFacts(view), component.WaitNow(view.Waits))
	return r, err
}
