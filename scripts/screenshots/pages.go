package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"changeover/bench/program"
)

// shot is a page to photograph.
type shot struct {
	name, path    string
	width, height int64 // in CSS pixels; without a height all of the page
}

// The pictures of the README are of one size.
const wide, high, narrow = 1280, 880, 390

// demoPages are the pages of the demo that is in the program's home.
func demoPages(ctx context.Context, p *program.Program, all bool) ([]shot, error) {
	text, err := os.ReadFile(filepath.Join(p.Home, "demo.json"))
	if err != nil {
		return nil, err
	}
	var made struct {
		Complete           bool
		Held, Fork         string
		Changeover, Undone int64
	}
	if err := json.Unmarshal(text, &made); err != nil {
		return nil, err
	}
	if !made.Complete {
		return nil, fmt.Errorf("the demo in %s is not finished", p.Home)
	}
	api, err := p.Token(ctx, "mika@example.com")
	if err != nil {
		return nil, err
	}
	var done program.Operation
	if err := api.Call(ctx, "GET", fmt.Sprintf("/operations/%d", made.Changeover), nil, &done); err != nil {
		return nil, err
	}
	leader := "/databases/" + done.Target
	readme := []shot{
		{name: "databases", path: "/databases"},
		{name: "database", path: leader},
		{name: "change-plan", path: leader + "/change-plan?plan=standard-4"},
		{name: "operation", path: fmt.Sprintf("/operations/%d", made.Changeover)},
		{name: "notices", path: "/notices"},
	}
	for i := range readme {
		readme[i].width, readme[i].height = wide, high
		if readme[i].name == "change-plan" {
			readme[i].height += 80 // as far as the outage that is expected
		}
	}
	if !all {
		return readme, nil
	}
	paths := map[string]string{
		"databases": "/databases", "database": leader, "database-held": "/databases/" + made.Held, "database-fork": "/databases/" + made.Fork,
		"database-old": "/databases/" + done.Database, "change-plan": leader + "/change-plan?plan=standard-4", "change-plan-changeover": leader + "/change-plan?plan=standard-4&method=changeover",
		"operation": fmt.Sprintf("/operations/%d", made.Changeover), "operation-undone": fmt.Sprintf("/operations/%d", made.Undone),
		"notices": "/notices", "maintenances": "/maintenances", "apps": "/apps", "app": "/apps/sushi", "audit": "/audit", "settings": "/settings",
		"plans": "/plans", "search": "/search?q=s", "follower-new": leader + "/followers/new", "database-new": "/databases/new",
	}
	var shots []shot
	for name, path := range paths {
		shots = append(shots, shot{name + "-wide", path, wide, 0}, shot{name + "-narrow", path, narrow, 0})
	}
	return shots, nil
}
