package main

import (
	"fmt"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/engine/local"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// planIndex serves GET /plans.
func (a *app) planIndex(c echo.Context) error {
	view := page.PlanIndexView{Catalogue: a.catalogue}
	scale := a.cfg.MemoryScale
	if scale == 0 {
		scale = local.DefaultMemoryScale
	}
	if scale < 1 {
		view.MemoryScale = fmt.Sprintf("1/%.0f", 1/scale)
	}
	if isAPI(c) {
		type planJSON struct {
			Name         string `json:"name"`
			Tier         string `json:"tier"`
			MonthlyCents int64  `json:"monthly_cents"`
			MemoryBytes  int64  `json:"memory_bytes"`
			StorageBytes int64  `json:"storage_bytes"`
			Connections  int    `json:"connections"`
		}
		list := make([]planJSON, 0, len(a.catalogue.Plans))
		for _, p := range a.catalogue.Plans {
			list = append(list, planJSON{p.Name, p.Tier.Name, p.MonthlyCents, p.MemoryBytes, p.StorageBytes, p.Connections})
		}
		return c.JSON(200, list)
	}
	f, err := a.frame(c, "Plans", layout.NavPlans)
	if err != nil {
		return err
	}
	return a.render(c, 200, page.PlanIndex(f, view))
}

// search serves GET /search?q=.
func (a *app) search(c echo.Context) error {
	view := page.SearchView{Query: strings.TrimSpace(c.QueryParam("q"))}
	hits, err := db.Search(c.Request().Context(), a.pool, visitorOf(c).Access, view.Query, 50)
	if err != nil {
		return err
	}
	for _, h := range hits {
		if h.Kind == "app" {
			view.Apps = append(view.Apps, page.SearchHit{Link: appLink(h.Name)})
			continue
		}
		view.Databases = append(view.Databases, page.SearchHit{Link: databaseLink(h.Name), Note: h.Plan + ", " + h.AppName, Status: stateWord(platform.DatabaseState(h.State))})
	}
	for _, p := range a.catalogue.Plans {
		if view.Query != "" && strings.Contains(p.Name, strings.ToLower(view.Query)) {
			view.Plans = append(view.Plans, page.SearchHit{Link: component.Link{Text: p.Name, URL: "/plans#" + p.Name}, Note: p.Price()})
		}
	}
	f, err := a.frame(c, "Search", layout.NavNone)
	if err != nil {
		return err
	}
	f.Query = view.Query
	return a.render(c, 200, page.Search(f, view))
}

// stateWord is a database's stored state alone, where nothing else is known of it.
func stateWord(s platform.DatabaseState) component.Status {
	tone := component.ToneBusy
	switch s {
	case platform.DatabaseAvailable:
		tone = component.ToneOK
	case platform.DatabaseFenced:
		tone = component.ToneWarn
	case platform.DatabaseDestroyed:
		tone = component.ToneOff
	}
	return component.Status{Tone: tone, Word: string(s)}
}
