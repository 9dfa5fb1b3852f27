package platform

import (
	"reflect"
	"testing"
)

func TestUsedMost(t *testing.T) {
	relations := []Relation{
		{Path: "scanned at night", Uses: 130_000, Bytes: 1 << 30},
		{Path: "unused", Uses: 0, Bytes: 8192},
		{Path: "index", Uses: 90_000, Bytes: 20 << 20},
		{Path: "gone", Uses: 500, Bytes: 0},
		{Path: "table", Uses: 100_000, Bytes: 100 << 20},
	}
	tests := []struct {
		name   string
		memory int64
		want   []RelationPart
	}{
		{"all of it", 2 << 30, []RelationPart{{"index", 0, 20 << 20}, {"table", 0, 100 << 20}, {"scanned at night", 0, 1 << 30}}},
		{"the end of what does not fit", 60 << 20, []RelationPart{{"index", 0, 20 << 20}, {"table", 60 << 20, 40 << 20}}},
		{"to the byte", 20 << 20, []RelationPart{{"index", 0, 20 << 20}}},
		{"no memory", 0, nil},
		{"less than none", -1, nil},
	}
	for _, test := range tests {
		parts, total := UsedMost(relations, test.memory)
		if want := int64(1<<30 + 120<<20); total != want {
			t.Errorf("%s: %d bytes are used, want %d", test.name, total, want)
		}
		if !reflect.DeepEqual(parts, test.want) {
			t.Errorf("%s: %v, want %v", test.name, parts, test.want)
		}
	}
	if relations[0].Path != "scanned at night" {
		t.Error("the caller's list was sorted")
	}
}
