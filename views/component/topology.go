package component

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The picture's measures, in its own units (1144 wide, as the page is at most).
const (
	topoWidth     = 1144
	topoAppWidth  = 165
	topoAppHeight = 58
	topoAppGap    = 18
	topoPoolX     = 228 // between an app and the leader
	topoPoolW     = 112
	topoLeaderX   = 424
	topoLeaderW   = 239
	topoLeaderH   = 178 // at least; it grows to the second follower's arrow
	topoFollowX   = 852
	topoFollowW   = 278
	topoFollowH   = 86
	topoPad       = 14 // between a box and the edge of its zone's panel
	topoHead      = 34 // a zone's name above its first box
	topoTop       = 14
	topoMostApps  = 5 // more are counted in one box
)

// topoLayout is where everything of the picture stands.
type topoLayout struct {
	height           int
	leaderY, leaderH int
	apps             []topoAppBox
	zones            []topoZone
	followers        []topoFollowerBox
}

// topoZone is the panel of one zone's followers.
type topoZone struct {
	name string
	y, h int
}

type topoAppBox struct {
	app      TopologyApp
	more     int // apps that have no box of their own: this one stands for them
	y        int
	path     string // the arrow
	labelY   int
	readOnly bool
}

type topoFollowerBox struct {
	node   TopologyNode
	y      int
	arrowY int
	path   string
	labelX int
}

func (t Topology) layout() topoLayout {
	l := topoLayout{leaderY: topoTop - 10 + topoHead, leaderH: topoLeaderH}
	l.placeFollowers(t.Followers)
	if len(l.followers) > 1 {
		l.leaderH = min(max(l.leaderH, l.followers[1].arrowY+16-l.leaderY), topoLeaderH+32)
	}
	l.drawFollowerArrows()
	l.placeApps(t)
	bottom := l.leaderY + l.leaderH + topoPad
	for _, z := range l.zones {
		bottom = max(bottom, z.y+z.h)
	}
	for _, a := range l.apps {
		bottom = max(bottom, a.y+topoAppHeight)
	}
	l.height = bottom + 4
	return l
}

// leaderLow is the lowest place at the leader's sides where an arrow ends.
func (l topoLayout) leaderLow() int { return l.leaderY + l.leaderH - 14 }

// placeFollowers puts the followers of one zone together into one panel.
func (l *topoLayout) placeFollowers(followers []TopologyNode) {
	followers = slices.Clone(followers)
	slices.SortStableFunc(followers, func(a, b TopologyNode) int { return cmp.Compare(a.Zone, b.Zone) })
	y := topoTop - 10
	for i, f := range followers {
		if i == 0 || f.Zone != followers[i-1].Zone {
			if i > 0 {
				y += topoPad
			}
			l.zones = append(l.zones, topoZone{name: f.Zone, y: y})
			y += topoHead
		} else {
			y -= 4
		}
		l.followers = append(l.followers, topoFollowerBox{node: f, y: y, arrowY: y + topoFollowH/2})
		y += topoFollowH + topoPad
		zone := &l.zones[len(l.zones)-1]
		zone.h = y - zone.y
	}
}

// drawFollowerArrows leads a straight arrow to each follower beside the leader;
// those further down share a trunk that branches off the last straight one.
func (l *topoLayout) drawFollowerArrows() {
	const right, tip, trunk = topoLeaderX + topoLeaderW, topoFollowX - 8, topoLeaderX + topoLeaderW + 30
	from := l.leaderLow()
	for i := range l.followers {
		f := &l.followers[i]
		f.labelX = (right + topoFollowX - topoPad) / 2
		if last := l.followers[len(l.followers)-1]; last.arrowY > l.leaderLow() {
			f.labelX += 16 // clear of the trunk
		}
		if f.arrowY <= l.leaderLow() {
			from = f.arrowY
			f.path = fmt.Sprintf("M%d %dH%d", right, f.arrowY, tip)
			continue
		}
		f.path = fmt.Sprintf("M%d %dH%dV%dH%d", right, from, trunk, f.arrowY, tip)
	}
}

// placeApps stacks those that use the leader, then those that only read.
func (l *topoLayout) placeApps(t Topology) {
	var writers, readers []TopologyApp
	for _, a := range t.Apps {
		if l.follower(a.To) == nil {
			writers = append(writers, a)
		} else {
			readers = append(readers, a)
		}
	}
	y, trunk := topoTop+28, l.leaderLow()
	more := 0
	if len(writers) > topoMostApps {
		more = len(writers) - topoMostApps + 1
		writers = writers[:topoMostApps-1]
	}
	for i := 0; i < len(writers) || i == len(writers) && more > 0; i++ {
		box := topoAppBox{y: y, labelY: y + topoAppHeight/2 - 8}
		if i < len(writers) {
			box.app = writers[i]
		} else {
			box.more = more
		}
		middle := y + topoAppHeight/2
		if middle <= l.leaderLow() {
			trunk = middle
			box.path = fmt.Sprintf("M%d %dH%d", topoAppWidth, middle, topoLeaderX-8)
		} else {
			box.path = fmt.Sprintf("M%d %dH%dV%dH%d", topoAppWidth, middle, topoLeaderX-46, trunk, topoLeaderX-8)
		}
		l.apps = append(l.apps, box)
		y += topoAppHeight + topoAppGap
	}
	// A reader's line passes below the leader and enters its follower from the left.
	y = max(y, l.leaderY+l.leaderH+topoPad+12-topoAppHeight/2)
	for i, a := range readers {
		f, middle := l.follower(a.To), y+topoAppHeight/2
		in := f.arrowY + 26
		box := topoAppBox{app: a, y: y, labelY: middle - 8, readOnly: true}
		box.path = fmt.Sprintf("M%d %dH%dV%dH%d", topoAppWidth, middle, topoFollowX-36-8*i, in, topoFollowX-8)
		l.apps = append(l.apps, box)
		y += topoAppHeight + topoAppGap
	}
}

func (l topoLayout) follower(name string) *topoFollowerBox {
	for i := range l.followers {
		if l.followers[i].node.Name == name {
			return &l.followers[i]
		}
	}
	return nil
}

func (l topoLayout) viewBox() string {
	return "0 0 " + strconv.Itoa(topoWidth) + " " + strconv.Itoa(l.height)
}

// words is the picture for people who do not see it.
func (t Topology) words() string {
	var b strings.Builder
	b.WriteString(leaderTitle(t.Leader) + " " + t.Leader.Name + ", " + t.Leader.Status.Word + ".")
	for _, f := range t.Followers {
		b.WriteString(" Follower " + f.Name + ", " + f.Status.Word)
		if f.Lag != nil {
			b.WriteString(", " + LagCommits(*f.Lag) + " behind")
		}
		b.WriteString(".")
	}
	for _, a := range t.Apps {
		b.WriteString(" App " + a.Name)
		if a.Pool != "" {
			b.WriteString(", with a connection pool")
		}
		b.WriteString(".")
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

// leaderTitle is what the middle box is: a replaced leader leads nothing.
func leaderTitle(n TopologyNode) string {
	if n.Replaced {
		return "Old leader"
	}
	return "Leader"
}

// followerTitle is "Follower, WHITE", without the name where that would run
// into the state beside it.
func followerTitle(n TopologyNode) string {
	title := "Follower"
	if n.Label != "" {
		title += ", " + strings.TrimPrefix(n.Label, "HEROKU_POSTGRESQL_")
	}
	if utf8.RuneCountInString(title)+utf8.RuneCountInString(n.Status.Word) > 34 {
		return "Follower"
	}
	return title
}

// stateGlyph stands before a state in the picture, so that its colour is not alone.
func stateGlyph(t Tone) string {
	switch t {
	case ToneOK:
		return "✓ "
	case ToneBusy:
		return "↻ "
	case ToneWarn:
		return "▲ "
	case ToneBad:
		return "✕ "
	case ToneBack:
		return "↶ "
	}
	return ""
}

func planVersion(n TopologyNode) string {
	if n.Version == "" {
		return n.Plan
	}
	return n.Plan + ", PostgreSQL " + n.Version
}

func fencedTone(n TopologyNode) bool { return n.Status.Word == "Fenced" }

// zoneTitle heads the panel of a zone; a database that is being created has
// none yet.
func zoneTitle(name string) string {
	if name == "" {
		return "Zone not chosen yet"
	}
	return "Zone " + name
}
