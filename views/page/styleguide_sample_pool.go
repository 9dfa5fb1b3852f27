package page

import (
	"fmt"
	"time"

	"changeover/internal/platform"
	"changeover/views/component"
)

// sampleWaits are the waits of a pool with one switch.
func sampleWaits() component.WaitPlot {
	p := component.WaitPlot{URL: "/styleguide", Range: "1h", To: sampleTime(), From: sampleTime().Add(-time.Hour), Summary: "Of a client for a connection to the server, looked at once a second; a switch's own figure is measured"}
	for i := range 120 {
		point := component.WaitPoint{At: p.From.Add(time.Duration(i) * 30 * time.Second), Known: true, LongestMS: float64(2 + i%5), AverageMS: 0.4, ClientsWaiting: i % 3, ServersUsed: 12}
		switch i {
		case 40:
			point.Known = false
		case 90:
			point.LongestMS = 171.2
			p.Switches = append(p.Switches, component.HoldMark{At: point.At, HeldMS: 171.2, URL: "/operations/41"})
		}
		p.Points = append(p.Points, point)
	}
	return p
}

// samplePool is a pool that answers, or does not, or was never asked.
func samplePool(known, away bool) PoolShowView {
	v := PoolShowView{
		ID: 3, Name: platform.PoolAttachment, ConfigVar: platform.PoolAttachment + "_URL", AppName: "sushi", DatabaseName: "postgresql-shaped-12345",
		Status: component.Status{Tone: component.ToneOK, Word: "Takes clients"}, Waits: sampleWaits(), Size: 30, Clients: 1200, ConnectionLimit: 120, PlanName: "standard-0",
		Port: 20007, AttachedAt: sampleTime(), Moves: "It leads to where DATABASE_URL of sushi leads.", Version: "1.18.0", May: platform.RoleManage, MayDetach: true,
		Sample: fmt.Sprintf("pool-figures-%t-%t", known, away),
	}
	switch {
	case known:
		v.Now = PoolNow{Known: true, LookedAt: true, At: sampleTime(), ClientsActive: 212, ClientsWaiting: 3, ServersUsed: 28, Size: 30, LongestWaitMS: 4.2, Held: true}
	case away:
		v.Now = PoolNow{LookedAt: true, At: sampleTime(), UnansweredSince: sampleTime(), Problem: "Its PgBouncer does not answer. It is started again by itself.", ClientsActive: 41, ClientsWaiting: 2}
		v.Status = component.Status{Tone: component.ToneBad, Word: "Does not answer"}
	}
	return v
}
