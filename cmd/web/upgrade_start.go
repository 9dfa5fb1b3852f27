package main

import (
	"time"

	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/labstack/echo/v4"
)

// upgradeStart serves POST /databases/:database/upgrade.
func (a *app) upgradeStart(c echo.Context) error {
	op, err := a.startUpgrade(c)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showChangePlan(c, form) })
	}
	return accepted(c, op.ID, c.Param("database"))
}

func (a *app) startUpgrade(c echo.Context) (platform.Operation, error) {
	input, err := readInput(c)
	if err != nil {
		return platform.Operation{}, err
	}
	row, err := a.findDatabase(c)
	if err != nil {
		return platform.Operation{}, err
	}
	u := jobs.Upgrade{DatabaseID: row.Database.ID, Plan: input["plan"], When: jobs.UpgradeWhen(input["when"]), Maintenance: input["maintenance"] == "yes" || input["maintenance"] == "true"}
	if u.Plan == "" {
		return platform.Operation{}, platform.Invalid("plan", "Choose the plan to upgrade to; the same plan renews the infrastructure.")
	}
	if u.When == jobs.UpgradeAt {
		if u.At, err = readMoment(input, "at"); err != nil {
			return platform.Operation{}, err
		}
	}
	if input["required_by"] != "" {
		by, err := time.Parse(time.DateOnly, input["required_by"])
		if err != nil {
			return platform.Operation{}, platform.Invalid("required_by", "Choose a date from the calendar, or type it as year, month and day, such as 2026-10-14.")
		}
		u.RequiredBy = &by
	}
	noteDetail(c, "To "+shortened(u.Plan))
	return a.jobs.StartUpgrade(c.Request().Context(), visitorOf(c).Email, u)
}

// otherMoment is what a form sends in place of one of the times that it offers,
// with "date" and "time" beside it.
const otherMoment = "other"

// readMoment reads a time that a form sends as "date" and "time", and a program
// in the named field, as RFC 3339.
func readMoment(input map[string]string, field string) (time.Time, error) {
	if input[field] != "" && input[field] != otherMoment {
		return platform.ParseInstant(field, input[field])
	}
	return platform.ParseMoment("date", input["date"], "time", input["time"])
}
