package platform

import (
	_ "embed" // the shipped catalogue is data
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

//go:embed plans.json
var shippedPlans []byte

// MaxConnections is PostgreSQL's max_connections on every server, whatever its
// plan: a follower with less than its leader does not start, and one whose
// leader was raised stops replaying (safety 3). The plan's limit is enforced by
// superuser_reserved_connections = MaxConnections - limit.
const MaxConnections = 540

// hoursPerMonth is what the catalogue's monthly price is divided by.
const hoursPerMonth = 720

// Tier is a row of plans that share their abilities.
type Tier struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// CanFork, CanFollow, HasHA, HasWindow: what the tier offers.
	CanFork   bool `json:"fork"`
	CanFollow bool `json:"follow"`
	HasHA     bool `json:"ha"`
	HasWindow bool `json:"window"`
	// DowntimeMinutes is the downtime tolerated a month.
	DowntimeMinutes int `json:"downtime_minutes"`
	// IsShared: its databases are databases in shared clusters, not clusters of
	// their own.
	IsShared bool `json:"shared"`
	// NotIsolated marks tiers whose network isolation the local engine does not give.
	NotIsolated bool `json:"not_isolated"`
}

// Plan is what a database may use and costs.
type Plan struct {
	Name         string // "standard-0"
	Tier         Tier
	Level        int
	Position     int // place in the tier's ladder, 0 first; levels 0, 2, 3 … are positions 0, 1, 2 …
	MonthlyCents int64
	MemoryBytes  int64 // 0 for Essential, which shares
	StorageBytes int64
	Connections  int
	Burstable    bool
}

// PoolSize is how many connections to the server one connection pool opens at
// most: a quarter of what the plan allows, so that several pools and direct
// connections fit beside each other.
func (p Plan) PoolSize() int { return max(p.Connections/4, 1) }

// PoolClients is how many clients one connection pool takes at most.
func (p Plan) PoolClients() int { return p.Connections * 10 }

// HourlyDollars is the price an hour, in dollars.
func (p Plan) HourlyDollars() float64 { return float64(p.MonthlyCents) / 100 / hoursPerMonth }

// Price is the price as the catalogue's pages say it: "~$1.042/hour (max $750/month)".
func (p Plan) Price() string {
	return fmt.Sprintf("~$%.3f/hour (max $%d/month)", p.HourlyDollars(), p.MonthlyCents/100)
}

// CostCents is what the plan costs for d, prorated to the second, at most its
// monthly price for every 30 days.
func (p Plan) CostCents(d time.Duration) float64 {
	if d < 0 {
		return 0
	}
	return float64(p.MonthlyCents) * d.Truncate(time.Second).Hours() / hoursPerMonth
}

// TempBytes is how large the temporary files of one session may be: together
// those of all its sessions are no more than its storage again. Only databases
// in a shared cluster have this limit.
func (p Plan) TempBytes() int64 { return p.StorageBytes / int64(max(p.Connections, 1)) }

// Catalogue is every plan, cheapest first within its tier.
type Catalogue struct {
	Tiers []Tier
	Plans []Plan
	// Shared is what a shared cluster gives to the databases in it, together.
	Shared Plan
}

// SharedPlanName is the plan of a shared cluster, which nobody can choose.
const SharedPlanName = "shared"

// HasRoom is whether a shared cluster that holds databases on the plans used
// has room for one more: the limits of all together never exceed the cluster's,
// so that each always gets what its plan promises.
func (c Catalogue) HasRoom(used []string, plan Plan) bool {
	connections, storage := plan.Connections, plan.StorageBytes
	for _, name := range used {
		p, err := c.Plan(name)
		if err != nil {
			return false // of a plan that is not known any more: what it may use is not known either
		}
		connections += p.Connections
		storage += p.StorageBytes
	}
	return connections <= c.Shared.Connections && storage <= c.Shared.StorageBytes
}

// ShippedCatalogue reads the catalogue that is built into the program.
func ShippedCatalogue() (Catalogue, error) { return ParseCatalogue(shippedPlans) }

// ParseCatalogue reads a catalogue in the form of plans.json.
func ParseCatalogue(data []byte) (Catalogue, error) {
	type row struct {
		Level       int   `json:"level"`
		Dollars     int64 `json:"dollars"`
		Standard    int64 `json:"standard_dollars"`
		Premium     int64 `json:"premium_dollars"`
		MemoryGB    int64 `json:"memory_gb"`
		StorageGB   int64 `json:"storage_gb"`
		Connections int   `json:"connections"`
		Burstable   bool  `json:"burstable"`
	}
	var file struct {
		Tiers     []Tier `json:"tiers"`
		Essential []row  `json:"essential"`
		Shared    row    `json:"shared_cluster"`
		Ladder    []row  `json:"ladder"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return Catalogue{}, fmt.Errorf("plan catalogue: %w", err)
	}
	c := Catalogue{Tiers: file.Tiers, Shared: Plan{
		Name: SharedPlanName, MemoryBytes: file.Shared.MemoryGB << 30, StorageBytes: file.Shared.StorageGB << 30, Connections: file.Shared.Connections,
	}}
	for _, tier := range file.Tiers {
		rows := file.Ladder
		if tier.Name == "essential" {
			rows = file.Essential
		}
		for i, r := range rows {
			dollars := r.Premium
			switch tier.Name {
			case "essential":
				dollars = r.Dollars
			case "standard":
				dollars = r.Standard
			}
			if tier.IsShared {
				c.Shared.Tier = tier
			}
			c.Plans = append(c.Plans, Plan{
				Name: tier.Name + "-" + strconv.Itoa(r.Level), Tier: tier, Level: r.Level, Position: i,
				MonthlyCents: dollars * 100, MemoryBytes: r.MemoryGB << 30, StorageBytes: r.StorageGB << 30,
				Connections: r.Connections, Burstable: r.Burstable,
			})
		}
	}
	return c, nil
}

// Plan finds a plan by its name. An unknown name is Invalid, at field "plan".
func (c Catalogue) Plan(name string) (Plan, error) {
	for _, p := range c.Plans {
		if p.Name == name {
			return p, nil
		}
	}
	if strings.HasSuffix(name, "-1") && !strings.HasPrefix(name, "essential") {
		return Plan{}, Invalid("plan", "There is no plan %q: the levels are 0, 2, 3 and so on to 9. Choose one from the list.", shorten(name))
	}
	return Plan{}, Invalid("plan", "There is no plan %q. Choose one from the list, such as standard-0.", shorten(name))
}

// OfTier is the tier's plans, smallest first.
func (c Catalogue) OfTier(tier string) []Plan {
	var plans []Plan
	for _, p := range c.Plans {
		if p.Tier.Name == tier {
			plans = append(plans, p)
		}
	}
	return plans
}

// SmallestHolding is the smallest plan of the tier whose storage holds bytes.
func (c Catalogue) SmallestHolding(tier string, bytes int64) (Plan, bool) {
	for _, p := range c.OfTier(tier) {
		if p.StorageBytes >= bytes {
			return p, true
		}
	}
	return Plan{}, false
}
