// Command switch measures planned switches as the clients of a connection pool
// see them, beside the same switch made by a script through a pool of its own,
// in one run and in turns, with 8 clients and with 32. docs/benchmarks.md tells
// what is measured and how.
//
// The last line of its output is one JSON object. The exit status is 0 whenever
// it measured, whatever the figures are.
package main

import "changeover/bench/switching"

func main() { benchmark.Main() }

var benchmark = switching.Benchmark{
	Name: "switch", Title: "Planned switch", New: switching.NewChangeover, Pooled: true, Clients: []int{8, 32},
}
