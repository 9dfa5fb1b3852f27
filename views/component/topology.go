package component

import (
	"fmt"
	"strconv"
	"strings"
)

// The picture's measures, in its own units (1144 wide, as the page is at most).
const (
	topoWidth      = 1144
	topoAppWidth   = 165
	topoAppHeight  = 58
	topoAppGap     = 18
	topoLeaderX    = 424
	topoLeaderW    = 239
	topoLeaderH    = 178
	topoFollowX    = 873
	topoFollowW    = 257
	topoFollowH    = 86
	topoFollowZone = 128 // a follower with its zone's panel
	topoTop        = 14
)

// topoLayout is where everything of the picture stands.
type topoLayout struct {
	height    int
	leaderY   int
	apps      []topoAppBox
	followers []topoFollowerBox
}

type topoAppBox struct {
	app      TopologyApp
	y        int
	path     string // the arrow
	labelX   int
	labelY   int
	readOnly bool
}

type topoFollowerBox struct {
	node   TopologyNode
	y      int // of the zone's panel
	arrowY int
	path   string
}

func (t Topology) layout() topoLayout {
	l := topoLayout{leaderY: topoTop + 24}
	rows := len(t.Followers)
	followersHeight := rows*topoFollowZone + max(0, rows-1)*12
	appsHeight := 28 + len(t.Apps)*topoAppHeight + max(0, len(t.Apps)-1)*topoAppGap
	leaderHeight := 24 + topoLeaderH + 14
	l.height = topoTop + max(followersHeight, appsHeight, leaderHeight) + 6
	for i, f := range t.Followers {
		y := topoTop + i*(topoFollowZone+12)
		arrowY := y + 32 + topoFollowH/2
		from := min(arrowY, l.leaderY+topoLeaderH-14-6*(rows-1-i))
		path := fmt.Sprintf("M%d %dH%d", topoLeaderX+topoLeaderW, arrowY, topoFollowX-8)
		if from != arrowY {
			mid := topoLeaderX + topoLeaderW + 22 + 8*(rows-1-i)
			path = fmt.Sprintf("M%d %dH%dV%dH%d", topoLeaderX+topoLeaderW, from, mid, arrowY, topoFollowX-8)
		}
		l.followers = append(l.followers, topoFollowerBox{node: f, y: y, arrowY: arrowY, path: path})
	}
	for i, a := range t.Apps {
		y := topoTop + 28 + i*(topoAppHeight+topoAppGap)
		middle := y + topoAppHeight/2
		to := min(middle, l.leaderY+topoLeaderH-14-6*(len(t.Apps)-1-i))
		box := topoAppBox{app: a, y: y, labelX: (topoAppWidth + topoLeaderX - 20) / 2, labelY: middle - 8}
		box.path = fmt.Sprintf("M%d %dH%d", topoAppWidth, middle, topoLeaderX-8)
		if to != middle {
			box.path = fmt.Sprintf("M%d %dH%dV%dH%d", topoAppWidth, middle, topoLeaderX-40-8*i, to, topoLeaderX-8)
		}
		if a.To != "" && a.To != t.Leader.Name {
			box.readOnly = true
			box.path = ""
			for _, f := range l.followers {
				if f.node.Name == a.To {
					// Below the leader, and into the follower below its own arrow.
					low, in := max(l.leaderY+topoLeaderH+10, f.arrowY+30), f.arrowY+30
					box.path = fmt.Sprintf("M%d %dH%dV%dH%dV%dH%d", topoAppWidth, middle, topoLeaderX-60, low, topoFollowX-40, in, topoFollowX-8)
				}
			}
		}
		l.apps = append(l.apps, box)
	}
	return l
}

func (l topoLayout) viewBox() string {
	return "0 0 " + strconv.Itoa(topoWidth) + " " + strconv.Itoa(l.height)
}

// words is the picture for people who do not see it.
func (t Topology) words() string {
	var b strings.Builder
	b.WriteString("Leader " + t.Leader.Name + ", " + t.Leader.Status.Word + ".")
	for _, f := range t.Followers {
		b.WriteString(" Follower " + f.Name + ", " + f.Status.Word)
		if f.Lag != nil {
			b.WriteString(", " + LagCommits(*f.Lag) + " behind")
		}
		b.WriteString(".")
	}
	for _, a := range t.Apps {
		b.WriteString(" App " + a.Name + ".")
	}
	return b.String()
}

func itoa(n int) string { return strconv.Itoa(n) }

// meterWidth is part of whole of a bar that is full wide.
func meterWidth(part, whole, full float64) string {
	if whole <= 0 {
		return "0"
	}
	return strconv.FormatFloat(min(part/whole, 1)*full, 'f', 1, 64)
}

// nodeTitle is "Leader" or "Follower, WHITE".
func nodeTitle(n TopologyNode, leader bool) string {
	if leader {
		return "Leader"
	}
	if n.Label != "" {
		return "Follower, " + strings.TrimPrefix(n.Label, "HEROKU_POSTGRESQL_")
	}
	return "Follower"
}

func planVersion(n TopologyNode) string {
	if n.Version == "" {
		return n.Plan
	}
	return n.Plan + ", PostgreSQL " + n.Version
}

func fencedTone(n TopologyNode) bool { return n.Status.Word == "Fenced" }
