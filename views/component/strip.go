package component

// stripBox is one part of the strip, in percent of its width.
type stripBox struct {
	x, width, middle string
	label, anchor    string // where the text stands
	row              int    // 0 right below the bar; further down where it would touch another
	late             bool   // too far right for a label to its right
	part             StripPart
}

// stripBoxes places the parts side by side, none narrower than can be seen, and
// their labels below without overlap. It also says how many rows of labels.
func stripBoxes(parts []StripPart) ([]stripBox, int) {
	const (
		least     = 1.2 // percent of the width
		character = .68 // percent, for a strip of about 1000 pixels
		gap       = 1.5
	)
	var total, sum float64
	for _, p := range parts {
		total += p.MS
	}
	if total <= 0 {
		return nil, 0
	}
	widths := make([]float64, len(parts))
	for i, p := range parts {
		widths[i] = max(p.MS/total*100, least)
		sum += widths[i]
	}
	var boxes []stripBox
	var ends []float64 // of the last label of each row
	x := 0.0
	for i, p := range parts {
		w := widths[i] / sum * 100
		b := stripBox{x: percent(x, 100), width: percent(max(w-.15, .3), 100), middle: percent(x+w/2, 100), late: x > 80, part: p}
		text := float64(len([]rune(p.Name))+1+len(Millis(p.MS))) * character
		from := x + w/2 - text/2
		switch {
		case from < 0:
			from, b.label, b.anchor = 0, "0%", "start"
		case from+text > 100:
			from, b.label, b.anchor = 100-text, "100%", "end"
		default:
			b.label, b.anchor = b.middle, "middle"
		}
		for b.row < len(ends) && from < ends[b.row]+gap {
			b.row++
		}
		if b.row == len(ends) {
			ends = append(ends, 0)
		}
		ends[b.row] = from + text
		boxes = append(boxes, b)
		x += w
	}
	return boxes, len(ends)
}
