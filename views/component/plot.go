package component

import (
	"encoding/json"
	"fmt"
	"math"
)

// plotData is what the plot's script reads from the figure's data-plot.
type plotData struct {
	Unit     string       `json:"unit"`
	From     int64        `json:"from"` // unix seconds
	To       int64        `json:"to"`
	Line     int64        `json:"line"` // commits that count as caught up
	Series   []plotSeries `json:"series"`
	Switches []plotSwitch `json:"switches"`
}

type plotSeries struct {
	Name    string     `json:"name"`
	Label   string     `json:"label"`
	At      []float64  `json:"at"`
	Commits []*float64 `json:"commits"`
	Bytes   []*float64 `json:"bytes"`
	Seconds []*float64 `json:"seconds"`
	MS      []*float64 `json:"ms"` // in a plot of waits, in place of the others
}

type plotSwitch struct {
	At    float64 `json:"at"`
	Words string  `json:"words"`
}

func seriesData(s LagSeries) plotSeries {
	out := plotSeries{Name: s.Name, Label: s.Label, At: []float64{}, Commits: []*float64{}, Bytes: []*float64{}, Seconds: []*float64{}}
	for _, p := range s.Points {
		out.At = append(out.At, float64(p.At.UnixMilli())/1000)
		var commits, bytes, seconds *float64
		if p.Known {
			c, b, sec := float64(p.Commits), float64(p.Bytes), math.Round(p.Seconds*100)/100
			commits, bytes, seconds = &c, &b, &sec
		}
		out.Commits = append(out.Commits, commits)
		out.Bytes = append(out.Bytes, bytes)
		out.Seconds = append(out.Seconds, seconds)
	}
	return out
}

// JSON is the plot for the script.
func (p LagPlot) JSON(line int64) string {
	d := plotData{Unit: p.Unit, From: p.From.Unix(), To: p.To.Unix(), Line: line, Series: []plotSeries{}, Switches: []plotSwitch{}}
	for _, s := range p.Series {
		d.Series = append(d.Series, seriesData(s))
	}
	for _, s := range p.Switches {
		d.Switches = append(d.Switches, plotSwitch{At: float64(s.At.UnixMilli()) / 1000, Words: fmt.Sprintf("Switch, writes refused %.0f ms", s.OutageMS)})
	}
	b, err := json.Marshal(d)
	if err != nil {
		// Only NaN or Inf could do that, and seconds come from time differences.
		return `{"series":[],"switches":[]}`
	}
	return string(b)
}

// thin is every point that fits in a table of at most n rows, the last one always.
func thin(points []LagPoint, n int) []LagPoint {
	if len(points) <= n {
		return points
	}
	var out []LagPoint
	step := float64(len(points)-1) / float64(n-1)
	for i := range n {
		out = append(out, points[int(math.Round(float64(i)*step))])
	}
	return out
}
