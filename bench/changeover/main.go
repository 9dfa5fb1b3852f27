// Command changeover measures follower changeovers of the real program beside
// the same switch made by a script, in one run and in turns: what eight writers
// with direct connections see of it, and whether anything that was acknowledged
// is missing afterwards. docs/benchmarks.md tells what is measured and how.
//
// The last line of its output is one JSON object. The exit status is 0 whenever
// it measured, whatever the figures are.
package main

import "changeover/bench/switching"

func main() { benchmark.Main() }

var benchmark = switching.Benchmark{Name: "changeover", Title: "Follower changeover", New: switching.NewChangeover}
