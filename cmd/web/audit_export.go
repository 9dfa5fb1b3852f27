package main

import (
	"encoding/csv"
	"net/http"
	"strings"
	"time"

	"changeover/internal/db"

	"github.com/labstack/echo/v4"
)

// exportBatch is how many rows of the audit are read at once.
const exportBatch = 1000

// auditExport serves GET /audit.csv: what the page lists, by the same filter and
// the same rights, all pages of it.
func (a *app) auditExport(c echo.Context) error {
	f, _, err := readAuditFilter(c)
	if err != nil {
		return err
	}
	f.Limit = exportBatch
	ctx, v := c.Request().Context(), visitorOf(c)
	batch, err := db.ListAudit(ctx, a.pool, v.Email, v.Access, f)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/csv; charset=utf-8; header=present")
	h.Set(echo.HeaderContentDisposition, `attachment; filename="audit-`+time.Now().UTC().Format(time.DateOnly)+`.csv"`)
	out := csv.NewWriter(c.Response())
	_ = out.Write([]string{"at", "actor", "action", "subject", "outcome", "detail", "address"}) // Flush below has the error
	for len(batch) > 0 {
		for _, e := range batch {
			_ = out.Write([]string{e.At.UTC().Format(time.RFC3339Nano), cell(e.Actor), cell(e.Action), cell(e.Subject), cell(e.Outcome), cell(e.Detail), cell(e.IP)})
		}
		if out.Flush(); out.Error() != nil || len(batch) < exportBatch {
			break
		}
		f.BeforeID = batch[len(batch)-1].ID
		if batch, err = db.ListAudit(ctx, a.pool, v.Email, v.Access, f); err != nil {
			// Half of a file must not look like all of it: the connection breaks.
			a.log.Warn("the export of the audit broke off", "request", requestID(c), "error", err)
			panic(http.ErrAbortHandler)
		}
	}
	out.Flush()
	return out.Error()
}

// cell is a text that no spreadsheet takes for a formula.
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
