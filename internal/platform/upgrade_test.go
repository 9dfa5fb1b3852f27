package platform_test

import (
	"strings"
	"testing"

	"changeover/internal/platform"
)

func TestUpgradePlan(t *testing.T) {
	c, err := platform.ShippedCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	const gb = int64(1) << 30
	for _, v := range []struct {
		from, to    string
		bytes       int64
		connections int
		words       string // "" = may
	}{
		{"standard-0", "standard-2", gb, 10, ""},
		{"standard-0", "standard-0", gb, 10, ""}, // renews the infrastructure
		{"standard-4", "standard-0", 64 * gb, 120, ""},
		{"standard-2", "premium-9", gb, 10, ""},
		{"standard-4", "standard-0", 64*gb + 1, 1, "The smallest plan that fits is standard-2."},
		{"standard-4", "standard-0", gb, 121, "The smallest plan that fits is standard-2."},
		{"premium-4", "premium-0", 300 * gb, 121, "The smallest plan that fits is premium-3."},
		{"standard-4", "standard-0", gb, 501, "No plan of its tier fits."},
		{"essential-0", "standard-0", gb, 1, "se copy"},
		{"standard-0", "essential-2", gb, 1, "se copy"},
		{"essential-0", "essential-1", gb, 1, ""},
		{"essential-1", "essential-0", 2 * gb, 1, "The smallest plan that fits is essential-1."},
	} {
		from, err := c.Plan(v.from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := c.Plan(v.to)
		if err != nil {
			t.Fatal(err)
		}
		err = c.UpgradePlan(from, to, v.bytes, v.connections)
		switch {
		case v.words == "" && err != nil:
			t.Errorf("%s to %s: %v", v.from, v.to, err)
		case v.words != "" && (platform.KindOf(err) != platform.KindInvalid || !strings.Contains(err.Error(), v.words)):
			t.Errorf("%s to %s: %v, want %q", v.from, v.to, err, v.words)
		}
	}
}
