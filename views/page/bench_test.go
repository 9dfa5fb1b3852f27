package page

import (
	"bytes"
	"context"
	"fmt"
	"testing"
)

// BenchmarkDatabases renders the list of 500 databases; its bar is the page's
// p99 of 50 ms, most of which belongs to the control database.
func BenchmarkDatabases(b *testing.B) {
	v := sampleDatabases()
	one := v.Rest[1]
	v.Rest = nil
	for i := range 500 {
		row := one
		row.ID, row.Name = int64(i+10), fmt.Sprintf("postgresql-angular-%05d", i)
		v.Rest = append(v.Rest, row)
	}
	var out bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := DatabaseRows(v).Render(context.Background(), &out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out.Len()), "bytes/page")
}
