package jobs

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// What a move costs where none was measured here yet: docs/upgrade-essential.md
// says what it was measured on.
const (
	moveBase           = 1500 * time.Millisecond
	moveBytesPerSecond = 20 << 20
)

// EstimateMove is for how long an Essential database of that size would refuse
// writes while it is copied. from says what the figure comes from: the last moves
// of this installation, whichever databases they were of, or the shipped figure.
func (j *Jobs) EstimateMove(ctx context.Context, dataBytes int64) (expected time.Duration, from string, err error) {
	figures, err := db.MoveFigures(ctx, j.Pool, 3)
	if err != nil {
		return 0, "", err
	}
	expected, from = estimateMove(dataBytes, figures)
	return expected, from, nil
}

// estimateMove takes the shipped figure times what the last moves took in
// comparison with it.
func estimateMove(dataBytes int64, figures []db.MoveFigure) (time.Duration, string) {
	shipped := func(bytes int64) float64 {
		return moveBase.Seconds() + float64(bytes)/moveBytesPerSecond
	}
	seconds := shipped(dataBytes)
	if len(figures) == 0 {
		return time.Duration(seconds * float64(time.Second)), "from what copying cost where Changeover was measured: none was made here yet"
	}
	var took, usual float64
	var bytes int64
	for _, f := range figures {
		took, usual, bytes = took+f.OutageMS/1000, usual+shipped(f.DataBytes), bytes+f.DataBytes
	}
	return time.Duration(seconds * took / usual * float64(time.Second)),
		fmt.Sprintf("from the last %s here: %s in %s", counted(len(figures), "move"), platform.Bytes(bytes), roughly(time.Duration(took*float64(time.Second))))
}

// roughly is a duration as a sentence says it.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return "1 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f min", d.Minutes())
}

// startMove begins the upgrade of an Essential database.
func (j *Jobs) startMove(ctx context.Context, tx pgx.Tx, actor string, d platform.Database, plan platform.Plan, u Upgrade) (platform.Operation, error) {
	if u.When == UpgradeInWindow || u.When == UpgradeAt || u.RequiredBy != nil {
		return platform.Operation{}, platform.Invalid("when", "%s has no maintenance window: the upgrade of an Essential database begins at once. Start it when the app can do without writes.", d.Name)
	}
	op, err := j.start(ctx, tx, db.NewOperation{Kind: platform.UpgradeEssential, DatabaseID: d.ID, AppID: &d.AppID, RequestedBy: actor})
	if err != nil {
		return op, err
	}
	if err := db.InsertSwitch(ctx, tx, op.ID); err != nil {
		return op, err
	}
	return op, db.InsertDatabaseMove(ctx, tx, op.ID, d, plan.Name, u.Maintenance)
}

// PreflightMove is the dry look before an Essential database is copied.
func (j *Jobs) PreflightMove(ctx context.Context, databaseID int64) (checks []platform.Check, err error) {
	p, err := j.place(ctx, j.Pool, databaseID)
	if err != nil {
		return nil, err
	}
	if !p.exists() {
		return nil, platform.Conflict("%s has no server yet. Wait until it is available.", p.Database.Name)
	}
	facts, err := j.readFacts(ctx, p)
	if err != nil {
		return nil, err
	}
	long, err := j.longTransactions(ctx, p)
	if err != nil {
		return nil, err
	}
	disk := platform.Check{State: platform.CheckOK, Title: "Disk", Detail: fmt.Sprintf("Zone %s has room for a second copy of %s.", p.Server.Zone, platform.Bytes(facts.DataBytes))}
	if err := j.roomFor(p.Server.Zone, facts.DataBytes); err != nil {
		disk.State, disk.Detail = platform.CheckStop, err.Error()
	}
	transactions := platform.Check{State: platform.CheckOK, Title: "Long transactions", Detail: "None is open for long."}
	if len(long) > 0 {
		transactions.State = platform.CheckKnow
		transactions.Detail = fmt.Sprintf("%s open for more than 5 seconds and would be rolled back.", map[bool]string{true: "1 is", false: fmt.Sprintf("%d are", len(long))}[len(long) == 1])
	}
	return []platform.Check{
		{State: platform.CheckOK, Title: "Size", Detail: fmt.Sprintf("%s in %s.", platform.Bytes(facts.DataBytes), counted(facts.Tables, "table"))},
		disk, transactions,
		{State: platform.CheckKnow, Title: "Connections", Detail: fmt.Sprintf("%s open now. Every session is ended once when it begins, and once more when it ends.", map[bool]string{true: "1 is", false: fmt.Sprintf("%d are", facts.Connections)}[facts.Connections == 1])},
		{State: platform.CheckKnow, Title: "Unlike in Standard", Detail: "Writes are refused for as long as the data is copied, so it takes longer the more there is."},
	}, nil
}
