package page

import (
	"strings"
	"testing"

	"changeover/internal/platform"
	"changeover/views/component"
)

// Idle connections are folded away, and what works stands alone: a page with
// hundreds of them must show the one query that runs.
func TestIdleConnectionsAreFolded(t *testing.T) {
	v := ActivityView{DatabaseName: "postgresql-shaped-12345", May: platform.RoleOperate, Working: 2, Idle: 2, Total: 4,
		Rows: []ActivityRow{{PID: 1, State: "active"}, {PID: 2, State: "idle"}, {PID: 3, State: "idle in transaction"}, {PID: 4, State: "idle"}}}
	doc, _ := render(t, DatabaseActivity(v))
	for pid, folded := range map[string]bool{"1": false, "2": true, "3": false, "4": true} {
		row := doc.Find("#pid-" + pid)
		if row.Length() != 1 || (row.Closest("details:not([open])").Length() == 1) != folded {
			t.Errorf("pid %s: %d rows, folded %v, want %v", pid, row.Length(), !folded, folded)
		}
	}
	if words := doc.Find("[data-testid=idle] summary").Text(); !strings.Contains(words, "2 idle connections") {
		t.Errorf("the fold says %q", words)
	}
	v.ShowIdle = true
	if doc, _ = render(t, DatabaseActivity(v)); doc.Find("details[open] #pid-2").Length() != 1 {
		t.Error("asked for, they are not shown")
	}
}

// The picture leads through an app's connection pool, to its page.
func TestTopologyShowsThePool(t *testing.T) {
	picture := component.Topology{Leader: component.TopologyNode{Name: "postgresql-shaped-12345"}, Apps: []component.TopologyApp{
		{Name: "sushi", To: "postgresql-shaped-12345", Pool: "/databases/postgresql-shaped-12345/pools/4"}, {Name: "kitchen", To: "postgresql-shaped-12345"}}}
	doc, html := render(t, component.TopologyPicture(picture))
	for _, drawing := range []string{".topology-wide", ".topology-narrow"} {
		if n := doc.Find(drawing + ` [href="/databases/postgresql-shaped-12345/pools/4"]`).Length(); n != 1 {
			t.Errorf("%s leads to the pool %d times", drawing, n)
		}
	}
	if !strings.Contains(html, "App sushi, with a connection pool. App kitchen.") {
		t.Error("its words leave the pool out")
	}
}
