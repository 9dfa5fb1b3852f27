package main

import (
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

// maintenanceJSON is a maintenance for programs.
type maintenanceJSON struct {
	ID          int64      `json:"id"`
	Database    string     `json:"database"`
	App         string     `json:"app"`
	Operation   int64      `json:"operation"`
	Kind        string     `json:"kind"`
	State       string     `json:"state"`
	FromPlan    string     `json:"from_plan"`
	ToPlan      string     `json:"to_plan"`
	ScheduledAt *time.Time `json:"scheduled_at"`
	AtOnce      bool       `json:"at_once"`
	RequiredBy  *time.Time `json:"required_by"`
	Postponed   int        `json:"postponed"`
	Reason      string     `json:"reason"`
	StartedAt   *time.Time `json:"started_at"`
	EndedAt     *time.Time `json:"ended_at"`
	OutageMS    *float64   `json:"outage_ms"`
}

func toMaintenanceJSON(m platform.Maintenance) maintenanceJSON {
	return maintenanceJSON{
		ID: m.ID, Database: m.DatabaseName, App: m.AppName, Operation: m.OperationID, Kind: string(m.Kind), State: string(m.State), FromPlan: m.FromPlan,
		ToPlan: m.ToPlan, ScheduledAt: m.ScheduledAt, AtOnce: m.AtOnce, RequiredBy: m.RequiredBy, Postponed: m.Postponed, Reason: m.Reason,
		StartedAt: m.StartedAt, EndedAt: m.EndedAt, OutageMS: m.OutageMS,
	}
}

// maintenancesJSON is what is to come, and with ?past=1 what was.
func (a *app) maintenancesJSON(c echo.Context) error {
	ctx, access := c.Request().Context(), visitorOf(c).Access
	seen := db.MaintenanceFilter{Access: &access, Limit: mostPast}
	list, err := db.ComingMaintenances(ctx, a.pool, seen)
	if c.QueryParam("past") != "" && err == nil {
		list, err = db.PastMaintenances(ctx, a.pool, seen)
	}
	if err != nil {
		return err
	}
	answer := make([]maintenanceJSON, 0, len(list))
	for _, m := range list {
		answer = append(answer, toMaintenanceJSON(m))
	}
	return c.JSON(200, answer)
}
