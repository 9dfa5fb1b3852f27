package platform

import "time"

// MaintenanceKind is what a maintenance does to its database.
type MaintenanceKind string

// The kinds of maintenance; each has a procedure of the same name.
const (
	MaintenanceUpgrade    MaintenanceKind = "upgrade"
	MaintenanceSwitchBack MaintenanceKind = "switch_back"
)

// MaintenanceState is where a maintenance stands.
type MaintenanceState string

// The states of a maintenance. Ready means that all is prepared and nobody
// knows when it may run: blackouts cover every opening, or it runs at once.
const (
	MaintenancePreparing MaintenanceState = "preparing"
	MaintenanceReady     MaintenanceState = "ready"
	MaintenanceScheduled MaintenanceState = "scheduled"
	MaintenanceRunning   MaintenanceState = "running"
	MaintenanceCompleted MaintenanceState = "completed"
	MaintenanceCancelled MaintenanceState = "cancelled"
	MaintenanceFailed    MaintenanceState = "failed"
)

// Open is whether something is still to come of it.
func (s MaintenanceState) Open() bool {
	switch s {
	case MaintenancePreparing, MaintenanceReady, MaintenanceScheduled, MaintenanceRunning:
		return true
	}
	return false
}

// Maintenance is a planned switch of a database.
type Maintenance struct {
	ID           int64
	DatabaseID   int64
	DatabaseName string
	AppID        int64 // the app the database is billed to
	AppName      string
	OperationID  int64 // the operation that prepares and runs it
	Kind         MaintenanceKind
	State        MaintenanceState
	FromPlan     string
	ToPlan       string
	// ScheduledAt is when it is to begin; nil where that is not known. While it
	// prepares, it is when it would begin if it is ready by then.
	ScheduledAt *time.Time
	// ChosenTime is set when a person chose the time: a change of the window
	// leaves it alone.
	ChosenTime bool
	// AtOnce is set when it runs as soon as it is ready.
	AtOnce     bool
	RequiredBy *time.Time
	MovedBy    string // who moved it last; empty when nobody did
	// Postponed counts the switches that were begun and put back.
	Postponed int
	Reason    string // why it was postponed, moved, cancelled or failed
	CreatedBy string
	CreatedAt time.Time
	ReadyAt   *time.Time
	StartedAt *time.Time // of the run that ended it, or of the newest
	EndedAt   *time.Time
	OutageMS  *float64 // measured, of the switch
	// ToldTomorrowFor is the time for which the notice of the day before was given.
	ToldTomorrowFor *time.Time
	// KeptServerID is the old server while it is kept for switching back, until KeptUntil.
	KeptServerID *int64
	KeptUntil    *time.Time
}

// Title is what it does, for people: "Upgrade to standard-2".
func (m Maintenance) Title() string {
	switch {
	case m.Kind == MaintenanceSwitchBack:
		return "Switch back to " + m.ToPlan
	case m.FromPlan == m.ToPlan:
		return "Renew the infrastructure"
	}
	return "Upgrade to " + m.ToPlan
}

// MaintenanceDue is what a maintenance that is ready needs now.
type MaintenanceDue struct {
	Run bool
	// Missed means that its four hours have passed: it needs another time.
	Missed bool
	// TellTomorrow means that the notice of the day before is to be given.
	TellTomorrow bool
	// Wait is for how long nothing is to be done; 0 where something is now, and
	// where only a person can change that nothing is.
	Wait time.Duration
}

// Due says what is to be done now with a maintenance that is prepared.
func (m Maintenance) Due(now time.Time) MaintenanceDue {
	switch {
	case m.AtOnce:
		return MaintenanceDue{Run: true}
	case m.ScheduledAt == nil:
		return MaintenanceDue{}
	case !now.Before(m.ScheduledAt.Add(WindowLength)):
		return MaintenanceDue{Missed: true}
	case !now.Before(*m.ScheduledAt):
		return MaintenanceDue{Run: true}
	}
	eve := m.ScheduledAt.Add(-24 * time.Hour)
	told := m.ToldTomorrowFor != nil && m.ToldTomorrowFor.Equal(*m.ScheduledAt)
	switch {
	case !told && !now.Before(eve):
		return MaintenanceDue{TellTomorrow: true}
	case !told:
		return MaintenanceDue{Wait: eve.Sub(now)}
	}
	return MaintenanceDue{Wait: m.ScheduledAt.Sub(now)}
}
