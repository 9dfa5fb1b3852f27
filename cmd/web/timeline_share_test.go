package main

import (
	"testing"

	"changeover/internal/platform"
)

func TestShareOfACopyingStep(t *testing.T) {
	for _, bytes := range [][2]int64{{0, 7_600_000}, {512, 1023}, {3_200_000, 531_000_000}, {23_400_000_000, 38_400_000_000}, {1 << 40, 1 << 40}} {
		got := shareOf(platform.Bytes(bytes[0]) + " of " + platform.Bytes(bytes[1]))
		want := 100 * float64(bytes[0]) / float64(bytes[1])
		if got == nil || float64(*got) < want-2 || float64(*got) > want+2 {
			t.Errorf("%s of %s: %v, want %.0f", platform.Bytes(bytes[0]), platform.Bytes(bytes[1]), got, want)
		}
	}
	for _, other := range []string{"", "Release v4 of sushi", "1 of 2 steps", "3.2 MB behind", "4 of 4 follow the new server"} {
		if got := shareOf(other); got != nil {
			t.Errorf("%q has a share: %d", other, *got)
		}
	}
}
