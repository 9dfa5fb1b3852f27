package component

import (
	"encoding/json"
	"math"
	"time"
)

// WaitPlot is the plot of a connection pool's waits with its switches.
type WaitPlot struct {
	URL      string // of the page, for its links
	Range    string // "1h", "6h", "24h"
	From, To time.Time
	Summary  string
	Points   []WaitPoint
	Switches []HoldMark
}

// WaitPoint is one stretch of time of the plot. Known false is a gap.
type WaitPoint struct {
	At                          time.Time
	Known                       bool
	LongestMS, AverageMS        float64
	ClientsWaiting, ServersUsed int
}

// HoldMark is a switch in which the pool's clients were held.
type HoldMark struct {
	At      time.Time
	HeldMS  float64
	AtLeast bool // it is not known how much longer
	URL     string
}

// waitSeries are the lines of the plot.
func (p WaitPlot) waitSeries() []plotSeries {
	longest, average := plotSeries{Name: "longest", Label: "Longest wait", At: []float64{}, MS: []*float64{}}, plotSeries{Name: "average", Label: "Average of a transaction", At: []float64{}, MS: []*float64{}}
	for _, pt := range p.Points {
		at := float64(pt.At.UnixMilli()) / 1000
		var l, a *float64
		if pt.Known {
			most, mean := math.Round(pt.LongestMS*10)/10, math.Round(pt.AverageMS*100)/100
			l, a = &most, &mean
		}
		longest.At, longest.MS = append(longest.At, at), append(longest.MS, l)
		average.At, average.MS = append(average.At, at), append(average.MS, a)
	}
	return []plotSeries{longest, average}
}

// JSON is the plot for the script.
func (p WaitPlot) JSON() string {
	d := plotData{Unit: "ms", From: p.From.Unix(), To: p.To.Unix(), Series: p.waitSeries(), Switches: []plotSwitch{}}
	for _, s := range p.Switches {
		d.Switches = append(d.Switches, plotSwitch{At: float64(s.At.UnixMilli()) / 1000, Words: "Switch, clients waited" + atLeast(s.AtLeast) + " " + Millis(s.HeldMS) + " ms"})
	}
	b, err := json.Marshal(d)
	if err != nil {
		// Only NaN or Inf could do that, and waits come from time differences.
		return `{"series":[],"switches":[]}`
	}
	return string(b)
}

// last is the newest point; ok is false without any.
func (p WaitPlot) last() (WaitPoint, bool) {
	if len(p.Points) == 0 {
		return WaitPoint{}, false
	}
	return p.Points[len(p.Points)-1], true
}

// thinned are the points that fit in a table of at most n rows, the newest first.
func (p WaitPlot) thinned(n int) []WaitPoint {
	points := p.Points
	step := max(1, (len(points)+n-1)/n)
	var out []WaitPoint
	for i := len(points) - 1; i >= 0; i -= step {
		out = append(out, points[i])
	}
	return out
}
