package main

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"
)

// mostColors is what one byte a pixel can name.
const mostColors = 256

// packed is a picture of a page in a fraction of the bytes, with 256 colours:
// the most frequent half, which are nearly all that there is but for the edges
// of letters, and then always the one that is seen most and hit worst. Every
// other one becomes the nearest of them.
func packed(picture []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	bounds := full.Bounds()
	counts := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	colors := make([]color.RGBA, 0, len(counts))
	for c := range counts {
		colors = append(colors, c)
	}
	slices.SortFunc(colors, func(a, b color.RGBA) int {
		return cmp.Or(counts[b]-counts[a], int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B))
	})
	palette, index := color.Palette{}, map[color.RGBA]uint8{}
	far := make([]float64, len(colors)) // of each from the nearest that is chosen
	for i := range far {
		far[i] = math.Inf(1)
	}
	for len(palette) < min(len(colors), mostColors) {
		next := len(palette)
		if next >= mostColors/2 {
			for i := range colors {
				if math.Sqrt(float64(counts[colors[i]]))*far[i] > math.Sqrt(float64(counts[colors[next]]))*far[next] {
					next = i
				}
			}
		}
		for i, c := range colors {
			if d := distance(c, colors[next]); d < far[i] {
				far[i], index[c] = d, uint8(len(palette))
			}
		}
		palette = append(palette, colors[next])
	}
	few := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			few.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&out, few)
	return out.Bytes(), err
}

func distance(a, b color.RGBA) float64 {
	r, g, u := float64(a.R)-float64(b.R), float64(a.G)-float64(b.G), float64(a.B)-float64(b.B)
	return math.Sqrt(r*r + g*g + u*u)
}
