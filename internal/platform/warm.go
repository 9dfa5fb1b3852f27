package platform

import (
	"cmp"
	"slices"
)

// Relation is a table, an index or another part of a database as it lies on the
// disk: the path of its first file below the data directory, and its size.
type Relation struct {
	Path  string // "base/16384/16385"
	Uses  int64  // how often one of its blocks was asked for
	Bytes int64
}

// RelationPart is a stretch of a relation, over however many files it goes.
type RelationPart struct {
	Path        string
	From, Bytes int64
}

// UsedMost chooses what of the relations is worth so many bytes of memory, the
// best first: those whose bytes are asked for most often, so that a small index
// comes before a large table that somebody scans at night. Of the one that does
// not fit any more it is the end, where tables grow. One that nobody uses is
// left out. total is how large all that is used is.
func UsedMost(relations []Relation, memory int64) (parts []RelationPart, total int64) {
	used := slices.DeleteFunc(slices.Clone(relations), func(r Relation) bool { return r.Uses <= 0 || r.Bytes <= 0 })
	slices.SortStableFunc(used, func(a, b Relation) int {
		return cmp.Compare(float64(b.Uses)/float64(b.Bytes), float64(a.Uses)/float64(a.Bytes))
	})
	for _, r := range used {
		total += r.Bytes
		if n := min(r.Bytes, memory); n > 0 {
			parts = append(parts, RelationPart{Path: r.Path, From: r.Bytes - n, Bytes: n})
			memory -= n
		}
	}
	return parts, total
}
