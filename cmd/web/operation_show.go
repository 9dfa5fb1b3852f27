package main

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// drawnOperation is an operation with everything that draws it.
type drawnOperation struct {
	op       platform.Operation
	steps    []platform.OperationStep
	change   *db.Changeover // nil for what switches nothing
	timeline component.Timeline
}

func (a *app) drawOperation(ctx context.Context, op platform.Operation) (drawnOperation, error) {
	d := drawnOperation{op: op}
	var err error
	if d.steps, err = db.OperationSteps(ctx, a.pool, op.ID); err != nil {
		return d, err
	}
	if op.Kind.Switches() {
		change, err := db.ChangeoverOf(ctx, a.pool, op.ID)
		if err != nil {
			return d, err
		}
		d.change = &change
	}
	usual, err := a.usual(ctx, op.Kind, op.DatabaseID, a.jobs.Steps(op.Kind))
	if err != nil {
		return d, err
	}
	var expected time.Duration
	if d.change != nil {
		outages, err := a.outagesBefore(ctx, op.DatabaseID, op.ID)
		if err != nil {
			return d, err
		}
		expected = median(outages)
	}
	d.timeline = timeline(op, d.steps, a.jobs.Steps(op.Kind), d.change, usual, expected)
	return d, nil
}

// operationShow serves GET /operations/:id.
func (a *app) operationShow(c echo.Context) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	op, err := db.OperationByID(ctx, a.pool, id)
	if err != nil {
		return err
	}
	if isAPI(c) {
		return a.operationJSON(c, op)
	}
	view, err := a.operationView(ctx, visitorOf(c).Access, op)
	if err != nil {
		return err
	}
	if view.Maintenance != nil {
		view.Maintenance.CSRF = visitorOf(c).CSRF
	}
	f, err := a.frame(c, fmt.Sprintf("%s %d of %s", view.Title, op.ID, view.DatabaseName), layout.NavDatabases, db.LiveOperation(op.ID))
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Databases", URL: "/databases"}, appCrumb(view), databaseCrumb(view), component.Link{Text: view.Title})
	if op.EndedAt != nil {
		f.Freshness, f.FreshAt = "Ended", *op.EndedAt
	}
	return a.render(c, 200, page.OperationShow(f, view))
}

func (a *app) operationJSON(c echo.Context, op platform.Operation) error {
	ctx := c.Request().Context()
	drawn, err := a.drawOperation(ctx, op)
	if err != nil {
		return err
	}
	ids := []int64{op.DatabaseID}
	if op.TargetID != nil {
		ids = append(ids, *op.TargetID)
	}
	names, err := db.DatabaseNames(ctx, a.pool, ids)
	if err != nil {
		return err
	}
	j := operationJSON{
		ID: op.ID, Kind: string(op.Kind), State: string(op.State), Reason: op.Reason, NeedsPerson: op.NeedsPerson, Database: names[op.DatabaseID],
		RequestedBy: op.RequestedBy, RequestedAt: op.RequestedAt, StartedAt: op.StartedAt, EndedAt: op.EndedAt, NoReturnAt: op.NoReturnAt,
		Attempt: op.Attempt, Steps: []stepJSON{},
	}
	if op.TargetID != nil {
		j.Target = names[*op.TargetID]
	}
	for i, s := range drawn.steps {
		t := drawn.timeline.Steps[i]
		j.Steps = append(j.Steps, stepJSON{
			Name: s.Name, Title: t.Title, State: string(s.State), Detail: s.Detail, Downtime: t.Downtime,
			StartedAt: s.StartedAt, FinishedAt: s.FinishedAt, MS: milliseconds(s),
		})
	}
	if drawn.change != nil {
		j.Switch, j.OutageMS = toSwitchJSON(*drawn.change), drawn.change.OutageMS
	}
	return c.JSON(200, j)
}

// operationView is all that an operation's page shows; it depends on nothing
// but access to the apps around its databases.
func (a *app) operationView(ctx context.Context, access platform.Access, op platform.Operation) (page.OperationShowView, error) {
	drawn, err := a.drawOperation(ctx, op)
	if err != nil {
		return page.OperationShowView{}, err
	}
	view := page.OperationShowView{
		ID: op.ID, Kind: op.Kind, Title: op.Kind.Title(), State: op.State, NeedsPerson: op.NeedsPerson, Status: operationStatus(op, drawn.steps),
		RequestedBy: op.RequestedBy, RequestedAt: op.RequestedAt, StartedAt: op.StartedAt, EndedAt: op.EndedAt,
		Step: max(currentStep(drawn.steps), 1), Steps: len(drawn.steps), Attempt: op.Attempt, Timeline: drawn.timeline,
		CanCancel: canCancel(op), CancelRequestedBy: op.CancelRequestedBy,
	}
	database, err := db.DatabaseByID(ctx, a.pool, op.DatabaseID)
	if err != nil {
		return view, err
	}
	view.DatabaseName, view.AppName, view.FromPlan = database.Name, database.AppName, database.Plan
	var target *platform.Database
	if op.TargetID != nil {
		t, err := db.DatabaseByID(ctx, a.pool, *op.TargetID)
		if err != nil {
			return view, err
		}
		target = &t
		view.TargetName, view.ToPlan = t.Name, t.Plan
	}
	apps := []int64{database.AppID}
	if target != nil {
		apps = append(apps, target.AppID)
	}
	if op.AppID != nil {
		apps = append(apps, *op.AppID)
	}
	view.AppUnseen = !access.SeesAny(database.AppID)
	if view.DatabaseUnseen, view.TargetUnseen, err = a.unseen(ctx, access, database, target); err != nil {
		return view, err
	}
	may := access.OnAll(apps...) >= platform.RoleOperate
	view.CanCancel = view.CanCancel && may
	view.CanRetry = may && op.State == platform.OperationUndone && a.jobs.CanRetry(ctx, op) == nil
	if view.CanRetry {
		view.RetryFrom = failedStep(drawn.steps)
	}
	holder := a.heldUpBy(ctx, drawn, target)
	view.Verdict = verdict(drawn, database, target, view, holder, may)
	view.RetryFirst = view.CanRetry && op.CancelRequestedBy == "" && view.Verdict != nil && len(view.Verdict.Acts) == 0
	if drawn.change != nil {
		view.Outage = outage(drawn)
		if view.Pooled, err = a.pooledTransactions(ctx, drawn, database, access.On(database.AppID) >= platform.RoleOperate); err != nil {
			return view, err
		}
		aside := a.changeoverAside
		if op.Kind != platform.FollowerChangeover {
			aside = func(ctx context.Context, access platform.Access, d drawnOperation, it platform.Database, _ *platform.Database, view *page.OperationShowView) error {
				return a.upgradeAside(ctx, access, d, it, view)
			}
		}
		if err := aside(ctx, access, drawn, database, target, &view); err != nil {
			return view, err
		}
		if holder != nil && view.Standing != nil {
			view.Standing.To.Word, view.Standing.Late = "Follower, held up", true
		}
	}
	view.Facts = append(view.Facts, operationFacts(access, drawn, database, target)...)
	return view, nil
}

// unseen is which of an operation's databases access does not see: it is told
// their names, and no more.
func (a *app) unseen(ctx context.Context, access platform.Access, database platform.Database, target *platform.Database) (first, second bool, err error) {
	link, err := a.linkFor(ctx, access, database.Name)
	if err != nil || target == nil {
		return link.URL == "", false, err
	}
	other, err := a.linkFor(ctx, access, target.Name)
	return link.URL == "", other.URL == "", err
}

func appCrumb(v page.OperationShowView) component.Link {
	if v.AppUnseen {
		return component.Link{Text: v.AppName}
	}
	return appLink(v.AppName)
}

func databaseCrumb(v page.OperationShowView) component.Link {
	if v.DatabaseUnseen {
		return component.Link{Text: v.DatabaseName}
	}
	return databaseLink(v.DatabaseName)
}

// failedStep is the number of the step at which an operation failed.
func failedStep(steps []platform.OperationStep) int {
	for i, s := range steps {
		if s.State == platform.StepFailed {
			return i + 1
		}
	}
	return 1
}

// outage is the measured outage with its proof; nil while there is none.
func outage(d drawnOperation) *component.Outage {
	c := d.change
	if c.OutageMS == nil || c.RefusedAt == nil || c.AcceptedAt == nil || d.op.State.Open() && d.op.NoReturnAt == nil {
		return nil
	}
	o := &component.Outage{
		RefusedMS: *c.OutageMS, RefusedAt: *c.RefusedAt, AcceptedAt: *c.AcceptedAt, SessionsEnded: c.SessionsEnded,
		TransactionsEnded: c.TransactionsEnded, ExpectedMS: float64(d.timeline.Band.Expected) / float64(time.Millisecond),
		Undone: d.op.State == platform.OperationUndone, HeldMS: c.HeldMS, HeldAtLeast: c.HeldAtLeast,
	}
	for i, s := range d.steps {
		t := d.timeline.Steps[i]
		if ms := milliseconds(s); t.Downtime && ms != nil {
			o.Strip = append(o.Strip, component.StripPart{Name: t.Title, MS: *ms, NoReturn: t.NoReturn})
		}
	}
	if c.OldEndLSN != nil && c.ForkLSN != nil && c.OldTimeline != nil && c.NewTimeline != nil {
		o.Proof = &component.Proof{OldTimeline: *c.OldTimeline, NewTimeline: *c.NewTimeline, OldEnd: lsn(c.OldEndLSN), ForkPoint: lsn(c.ForkLSN)}
	}
	return o
}

func operationFacts(access platform.Access, d drawnOperation, database platform.Database, target *platform.Database) []component.Fact {
	op := d.op
	facts := []component.Fact{{Label: "Requested by", Value: op.RequestedBy}, {Label: "Requested", Time: op.RequestedAt}, {Label: "App", Value: database.AppName, URL: appLinkFor(access, database.AppID, database.AppName).URL}}
	if op.CancelRequestedBy != "" {
		facts = append(facts, component.Fact{Label: "Cancelled by", Value: op.CancelRequestedBy})
	}
	if target != nil && target.Plan != database.Plan {
		facts = append(facts, component.Fact{Label: "Plan", Value: database.Plan + " → " + target.Plan})
	}
	if op.Attempt > 1 {
		facts = append(facts, component.Fact{Label: "Attempt", Value: fmt.Sprint(op.Attempt)})
	}
	if op.NoReturnAt != nil {
		facts = append(facts, component.Fact{Label: "Point of no return", Time: *op.NoReturnAt})
	}
	c := d.change
	if c == nil {
		return facts
	}
	if c.ReleaseNumber != nil {
		facts = append(facts, component.Fact{Label: "Release", Value: fmt.Sprintf("v%d of %s", *c.ReleaseNumber, database.AppName), URL: appLinkFor(access, database.AppID, database.AppName).URL})
	}
	if c.OldEndLSN != nil {
		facts = append(facts, component.Fact{Label: "Last WAL of the old leader", Value: lsn(c.OldEndLSN), Mono: true, TestID: "old-end"})
	}
	if c.ForkLSN != nil && c.NewTimeline != nil {
		facts = append(facts, component.Fact{Label: "New timeline begins at", Value: lsn(c.ForkLSN), Note: fmt.Sprintf("timeline %d", *c.NewTimeline), Mono: true, TestID: "fork-point"})
	}
	if c.UnloggedTables != nil && *c.UnloggedTables > 0 {
		facts = append(facts, component.Fact{Label: "Unlogged tables emptied", Value: fmt.Sprint(*c.UnloggedTables)})
	}
	return facts
}
